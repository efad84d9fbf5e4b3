// The API through fastify's inject: every route, its errors, its limits, its description.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { AssertionError } from '../../../../lib/assert.ts'
import { ERROR_CODES, TuttiError } from '../../../../lib/errors.ts'
import type { LogLevel } from '../../../../lib/log.ts'
import * as contract from '../../../../node/serve/api/contract.ts'
import { EventsReply, LogReply } from '../../../../node/serve/api/contract-streams.ts'
import { PACKAGE_ROUTES } from '../../../../node/serve/api/contract-packages.ts'
import { VotersReplaced, VotersStanding } from '../../../../node/serve/api/contract-leases.ts'
import { HTTP_STATUSES } from '../../../../node/serve/api/statuses.ts'
import { FakeAgent, FakeOutput, logLine, service, WALL } from '../fake-agent.ts'
import { FakeApis } from '../fake-api.ts'

const apis = new FakeApis()
after(async () => {
  await apis.close()
})

interface Logged {
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

const world = async (more: Parameters<FakeApis['of']>[1] = {}) => {
  const agent = new FakeAgent()
  const output = new FakeOutput()
  const logged: Logged[] = []
  const api = await apis.of(agent, {
    output,
    join: ({ name }) => Promise.resolve({ cluster: 'c', id: 'i', name: name ?? 'oak', members: 3 }),
    log: { log: (level, message, fields = {}) => logged.push({ level, message, fields }) },
    ...more,
  })
  agent.apply('shop', [service('web', { replicas: 3 }), service('api', { replicas: 1 })])
  for (const [seat, name] of ['oak', 'elm', 'ash'].entries()) agent.say(seat, name, {})
  const get = async (url: string, headers: Readonly<Record<string, string>> = {}) => {
    const reply = await api.app.inject({ method: 'GET', url, headers })
    return { status: reply.statusCode, body: reply.json(), headers: reply.headers }
  }
  const post = async (
    url: string,
    payload: object | string,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const reply = await api.app.inject({ method: 'POST', url, payload, headers })
    return { status: reply.statusCode, body: reply.json(), headers: reply.headers }
  }
  return { agent, output, api, get, post, logged }
}

const fits = (schema: TSchema, value: unknown): void => {
  const [error] = Compile(schema).Errors(value)
  assert.equal(error, undefined)
}

describe('reads', () => {
  it('answer as the contract says', async () => {
    const { get } = await world()
    const routes: readonly (readonly [string, TSchema])[] = [
      ['/v1', contract.IndexReply],
      ['/v1/peers', contract.PeersReply],
      ['/v1/status', contract.StatusReply],
      ['/v1/status?service=shop/web', contract.StatusReply],
      ['/v1/services?cell=shop', contract.ServicesReply],
      ['/v1/cells', contract.CellsReply],
      ['/v1/instances?service=shop/web', contract.InstancesReply],
      ['/v1/placements?of=shop/web', contract.ExplainReply],
      ['/v1/placements?slot=shop/web/2', contract.ExplainReply],
      ['/v1/conflicts', contract.ConflictsReply],
      ['/v1/voters', VotersStanding],
      ['/v1/events', EventsReply],
      ['/healthz', contract.HealthReply],
    ]
    for (const [url, schema] of routes) {
      const { status, body } = await get(url)
      assert.equal(status, 200, `${url}: ${JSON.stringify(body)}`)
      fits(schema, body)
    }
  })

  it('narrow to what is asked for, and refuse names that do not exist', async () => {
    const { get } = await world()
    const { body } = await get('/v1/status?service=shop/web')
    assert.deepEqual(
      body.cells.map(({ services }: { services: { name: string }[] }) => services.map(({ name }) => name)),
      [['web']],
    )
    const unknown = await get('/v1/status?service=shop/wbe')
    assert.equal(unknown.status, 404)
    assert.match(unknown.body.error.message, /there is no service 'shop\/wbe'; did you mean 'shop\/web'\?/)
    assert.equal((await get('/v1/services?cell=shp')).status, 404)
    const slot = await get('/v1/placements?slot=shop/web/7')
    assert.match(
      slot.body.error.message,
      /there is no slot 'shop\/web\/7'; the slots of shop\/web: shop\/web\/0 to shop\/web\/2/,
    )
    assert.equal((await get('/v1/placements')).status, 400)
    assert.equal((await get('/v1/placements?of=shop/web&slot=shop/web/1')).status, 400)
  })

  it('explain a slot with every member as a candidate', async () => {
    const { get } = await world()
    const { body } = await get('/v1/placements?of=shop/web/1')
    const [slot] = body.slots
    assert.equal(body.slots.length, 1)
    assert.deepEqual(
      slot.candidates.map(({ rank }: { rank: number }) => rank),
      [1, 2, 3],
    )
    assert.ok(['oak', 'elm', 'ash'].includes(slot.peer))
    assert.ok(slot.changes.length > 0)
  })

  it('refuse fields of the query that they do not know', async () => {
    const { get } = await world()
    const { status, body } = await get('/v1/instances?servce=shop/web')
    assert.equal(status, 400)
    assert.equal(body.error.message, "unknown field 'servce'; did you mean 'service'?")
  })
})

describe('POST /v1/changes', () => {
  it('makes one atomic change of all operations, each on top of the ones before', async () => {
    const { agent, post } = await world()
    const { status, body } = await post('/v1/changes', {
      operations: [
        { kind: 'apply', cell: { name: 'blog', services: [service('site')] } },
        { kind: 'scale', service: 'blog/site', replicas: 2 },
        { kind: 'cordon', peer: 'elm' },
        { kind: 'drain', peer: agent.id(2) },
      ],
    })
    assert.equal(status, 200, JSON.stringify(body))
    fits(contract.ChangeReply, body)
    assert.equal(agent.metas.length, 1)
    assert.match(agent.metas[0]?.message ?? '', /^apply blog, scale blog\/site=2, cordon elm, drain 12D3KooW/)
    const site = agent.view.services.find(({ id }) => id === 'blog/site')
    assert.equal(site?.replicas, 2)
    assert.equal(agent.view.members.find(({ name }) => name === 'elm')?.cordoned, true)
    assert.equal(agent.view.members.find(({ name }) => name === 'ash')?.draining, true)
    assert.match(body.change, /^[0-9a-f]{64}$/)
    assert.equal(body.digest, agent.view.digest)
    assert.equal(body.slots.filter(({ kind }: { kind: string }) => kind === 'start').length, 2)
  })

  it('only tells what it would do, when dry', async () => {
    const { agent, post } = await world()
    const { digest } = agent.view
    const { body } = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: 5 }],
      dry: true,
    })
    assert.equal(body.change, null)
    assert.equal(agent.metas.length, 0)
    assert.equal(agent.view.digest, digest)
    assert.deepEqual(body.edits, [{ path: 'shop/web replicas', from: '3', to: '5' }])
    assert.deepEqual(
      body.slots.map(({ slot }: { slot: string }) => slot),
      ['shop/web/3', 'shop/web/4'],
    )
  })

  it('writes nothing when nothing would change', async () => {
    const { post } = await world()
    const { status, body } = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: 3 }],
    })
    assert.equal(status, 200)
    assert.deepEqual(
      { change: body.change, edits: body.edits, slots: body.slots },
      { change: null, edits: [], slots: [] },
    )
  })

  it('changes nothing when one of several operations is refused', async () => {
    const { agent, post } = await world()
    const { status, body } = await post('/v1/changes', {
      operations: [
        { kind: 'stop', service: 'shop/web' },
        { kind: 'stop', service: 'shop/nope' },
      ],
    })
    assert.equal(status, 404)
    assert.equal(body.error.code, 'unknown')
    assert.equal(agent.metas.length, 0)
  })

  it('gives each restart a release of its own', async () => {
    const { agent, post } = await world()
    const releases = new Set<string>()
    for (let round = 0; round < 3; round += 1) {
      await post('/v1/changes', { operations: [{ kind: 'restart', service: 'shop/web' }] })
      releases.add(agent.view.services.find(({ id }) => id === 'shop/web')?.release ?? '')
    }
    assert.equal(releases.size, 3)
  })

  it('keeps the message that the operator gives', async () => {
    const { agent, post } = await world()
    await post('/v1/changes', { operations: [{ kind: 'remove-cell', cell: 'shop' }], message: 'the end' })
    assert.deepEqual(agent.metas, [{ message: 'the end', at: WALL }])
    assert.equal(agent.view.services.length, 0)
  })

  it('drops and coerces nothing', async () => {
    const { agent, post } = await world()
    const typo = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: 1, replica: 2 }],
    })
    assert.equal(typo.status, 400)
    assert.match(typo.body.error.message, /unknown field 'replica' .*did you mean 'replicas'/)
    const text = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: '1' }],
    })
    assert.equal(text.body.error.code, 'invalid')
    assert.equal(agent.metas.length, 0)
  })
})

describe('POST /v1/voters', () => {
  it('names those who vote from now on, and writes down that an operator did it', async () => {
    const { post, agent } = await world()
    const { status, body } = await post('/v1/voters', {})
    assert.equal(status, 200)
    fits(VotersReplaced, body)
    assert.match(agent.events().at(-1)?.message ?? '', /made .* the voters on leases/)
  })
})

describe('POST /v1/invites and /v1/join', () => {
  it('mint a ticket with stated defaults', async () => {
    const { post } = await world()
    const { status, body } = await post('/v1/invites', {})
    assert.equal(status, 200)
    assert.deepEqual({ uses: body.uses, expiresAt: body.expiresAt }, { uses: 1, expiresAt: WALL + 3_600_000 })
    assert.equal((await post('/v1/invites', { uses: 0 })).status, 400)
  })

  it('join through what the peer was built with', async () => {
    const { post } = await world()
    assert.deepEqual((await post('/v1/join', { ticket: 'tutti1-x', name: 'fir' })).body, {
      cluster: 'c',
      id: 'i',
      name: 'fir',
      members: 3,
    })
  })
})

describe('errors', () => {
  it('have a status for every code, and never a stack', async () => {
    const { agent, post, logged } = await world()
    for (const code of Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]) {
      if (code === 'internal') continue
      agent.editFailure = new TuttiError(code, 'told so')
      const { status, body, headers } = await post('/v1/changes', {
        operations: [{ kind: 'stop', service: 'shop/web' }],
      })
      assert.equal(status, HTTP_STATUSES[code])
      assert.deepEqual(body.error, { code, message: 'told so', requestId: headers['x-request-id'] })
    }
    assert.ok(logged.some(({ level, message }) => level === 'warn' && message === 'request failed'))
  })

  it('keep the words of a bug to the log, under the request id', async () => {
    for (const bug of [new AssertionError('assertion failed: hush'), new TypeError('hush')]) {
      const { agent, post, logged } = await world()
      agent.editFailure = bug
      const { status, body } = await post('/v1/changes', {
        operations: [{ kind: 'stop', service: 'shop/web' }],
      })
      assert.equal(status, 500)
      assert.equal(body.error.code, 'internal')
      assert.doesNotMatch(JSON.stringify(body), /hush|at /)
      const entry = logged.find(({ level }) => level === 'error')
      assert.equal(entry?.fields['error'], bug)
      assert.equal(entry?.fields['requestId'], body.error.requestId)
    }
  })

  it('say what is wrong with a request that is none', async () => {
    const { post, get } = await world()
    const json = { 'content-type': 'application/json' }
    assert.match((await post('/v1/changes', '{"a":', json)).body.error.message, /not valid JSON/)
    assert.match((await post('/v1/changes', '', json)).body.error.message, /empty/)
    assert.match(
      (await post('/v1/changes', 'a=1', { 'content-type': 'text/x' })).body.error.message,
      /must be JSON/,
    )
    assert.match(
      (await post('/v1/changes', '{"__proto__": {}}', json)).body.error.message,
      /not valid JSON|unknown field/,
    )
    const large = await post('/v1/changes', JSON.stringify({ message: 'x'.repeat(3_000_000) }), json)
    assert.deepEqual(
      { status: large.status, code: large.body.error.code },
      { status: 413, code: 'too-large' },
    )
    const path = await get('/v1/peer')
    assert.deepEqual(
      { status: path.status, message: path.body.error.message },
      { status: 404, message: "there is no /v1/peer; did you mean '/v1/peers'?" },
    )
    const method = await post('/v1/peers', {})
    assert.match(method.body.error.message, /\/v1\/peers takes no POST/)
  })

  it('use no request id of the caller', async () => {
    const { get } = await world()
    const { headers } = await get('/v1/peers', { 'request-id': 'forged', 'x-request-id': 'forged' })
    assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/)
  })
})

describe('GET /readyz', () => {
  it('says why not', async () => {
    let reason: string | null = 'catching up with the cluster'
    const { get } = await world({ ready: () => reason })
    const { status, body } = await get('/readyz')
    assert.deepEqual({ status, message: body.error.message }, { status: 503, message: reason })
    reason = null
    assert.deepEqual(await get('/readyz').then(({ body }) => body), { ok: true, reason: '' })
  })
})

describe('GET /metrics', () => {
  it('gives the text it was built with, and says so when there is none', async () => {
    const { api } = await world({
      metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
    })
    const reply = await api.app.inject('/metrics')
    assert.deepEqual([reply.statusCode, reply.body], [200, 'up 1\n'])
    assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4')
    assert.equal((await (await world()).get('/metrics')).status, 501)
  })
})

describe('OpenAPI document', () => {
  interface Route {
    readonly summary?: string
    readonly description?: string
    readonly responses?: Readonly<
      Record<string, { readonly description?: string; readonly content?: object }>
    >
    readonly requestBody?: object
    readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema?: object }[]
  }

  it('describes every route, with its replies', async () => {
    const { get, api } = await world()
    const { body } = await get('/v1/openapi.json')
    assert.equal(body.openapi, '3.1.0')
    const described = Object.entries<Record<string, Route>>(body.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, route]) => ({ path, method, route })),
    )
    for (const { path, method, route } of described) {
      assert.ok(route.summary !== undefined && route.summary !== '', path)
      assert.ok(route.description !== undefined && route.description !== '', path)
      const ok = route.responses?.['200']
      assert.ok(Object.keys(ok?.content ?? {}).length > 0, `${method} ${path} has a reply`)
      for (const response of Object.values(route.responses ?? {}))
        assert.ok((response.description ?? '') !== '')
      assert.ok(route.responses?.['4XX'] !== undefined && route.responses['5XX'] !== undefined, path)
    }
    const paths = described.map(({ path }) => path)
    for (const path of Object.values({ ...contract.ROUTES, ...PACKAGE_ROUTES }))
      assert.ok(paths.includes(path), path)
    for (const path of ['/v1', '/v1/openapi.json', '/metrics', '/healthz', '/readyz'])
      assert.ok(paths.includes(path), path)
    for (const { path, method } of described) {
      const url = path.replaceAll(/\{(\w+)\}/g, ':$1')
      assert.ok(api.app.hasRoute({ url, method: method === 'post' ? 'POST' : 'GET' }), `${method} ${path}`)
    }
    const logs = body.paths['/v1/logs'].get
    assert.deepEqual(
      logs.parameters.map(({ name, in: where }: { name: string; in: string }) => `${where} ${name}`),
      [
        'query of',
        'query service',
        'query slot',
        'query tail',
        'query since',
        'query until',
        'query stream',
        'query grep',
        'query follow',
        'query resume',
      ],
    )
    assert.ok('application/x-ndjson' in logs.responses['200'].content)
    assert.ok('text/event-stream' in body.paths['/v1/watch'].get.responses['200'].content)
    assert.ok('application/json' in body.paths['/v1/changes'].post.requestBody.content)
  })

  it('is valid as far as its own references and required members go', async () => {
    const { get } = await world()
    const text = JSON.stringify((await get('/v1/openapi.json')).body)
    const document = JSON.parse(text)
    for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = (reference ?? '').split('/').reduce((value, key) => value?.[key], document)
      assert.ok(found !== undefined, reference)
    }
    assert.ok(typeof document.info.title === 'string' && document.info.version === '1.2.3')
  })
})

describe('GET /v1/logs, not followed', () => {
  it('merges all peers by time and names those that could not be asked', async () => {
    const { agent, output, api } = await world()
    output.lines = [logLine(10, 'oak', 'a'), logLine(30, 'oak', 'c')]
    agent.onAsk = async function* (member) {
      if (member === agent.id(1)) {
        const text = [logLine(20, 'elm', 'b'), logLine(40, 'elm', 'd')]
          .map((line) => `${JSON.stringify(line)}\n`)
          .join('')
        // Cut within a line: parts are not lines.
        yield Buffer.from(text.slice(0, 70))
        yield Buffer.from(text.slice(70))
        return
      }
      throw new TuttiError('unreachable', 'no route to ash')
    }
    const reply = await api.app.inject('/v1/logs?of=shop/web&tail=3')
    assert.equal(reply.headers['content-type'], 'application/x-ndjson')
    const lines = reply.body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const line of lines) fits(LogReply, line)
    assert.deepEqual(
      lines.map(({ stream, peer, text }) => `${stream} ${peer} ${text}`),
      [
        'notice ash its output is missing or incomplete: no route to ash',
        'stdout elm b',
        'stdout oak c',
        'stdout elm d',
      ],
    )
    assert.deepEqual(output.queries[0], {
      of: 'shop/web',
      tail: 3,
      since: undefined,
      until: undefined,
      stream: undefined,
      grep: undefined,
      follow: false,
    })
  })

  it('asks no dead member and says so', async () => {
    const { agent, api } = await world()
    agent.states.set(agent.id(1), 'dead')
    agent.states.set(agent.id(2), 'left')
    const reply = await api.app.inject('/v1/logs?service=shop/web')
    assert.deepEqual(agent.asked, [])
    assert.match(reply.body, /"peer":"elm".*is dead and could not be asked/)
    assert.doesNotMatch(reply.body, /"peer":"ash"/)
  })

  it('answers with an error where there is neither output nor service', async () => {
    const { agent, api, get } = await world()
    agent.onAsk = async function* () {}
    assert.equal((await get('/v1/logs?of=shop/wbe')).body.error.code, 'unknown')
    assert.equal((await get('/v1/logs?of=shop/wbe&follow=1')).status, 404)
    assert.equal((await get('/v1/logs?of=shpo')).status, 404)
    assert.equal((await api.app.inject('/v1/logs?of=shop')).statusCode, 200)
    assert.equal((await get('/v1/logs?of=shop/a/b/c')).status, 400)
    assert.equal((await get('/v1/logs?of=shop&follow=1&until=5')).status, 400)
  })

  it('takes the last hundred lines, and everything since when asked', async () => {
    const { output, api } = await world()
    await api.app.inject('/v1/logs?of=shop/web')
    await api.app.inject('/v1/logs?of=shop/web/1&since=5')
    assert.deepEqual(
      output.queries.map(({ tail, of, since }) => [tail, of, since]),
      [
        [100, 'shop/web', undefined],
        [100_000, 'shop/web/1', 5],
      ],
    )
  })
})

describe('GET /v1/events', () => {
  it('merges the peers and tells once what all noticed', async () => {
    const { agent, get } = await world()
    const dead = (peer: string, at: number) => ({
      seq: 1,
      at,
      peer,
      kind: 'member' as const,
      subject: 'ash',
      message: 'is dead, was alive',
    })
    agent.kept = [dead('oak', 100)]
    agent.onAsk = async function* (member) {
      if (member !== agent.id(1)) return
      yield Buffer.from(`${JSON.stringify(dead('elm', 130))}\n`)
      yield Buffer.from(
        `${JSON.stringify({ at: 50, peer: 'elm', kind: 'instance', subject: 'shop/web/0@r', message: 'ready' })}\n`,
      )
    }
    const { body } = await get('/v1/events')
    fits(EventsReply, body)
    assert.deepEqual(
      body.events.map(
        ({ at, peer, message }: { at: number; peer: string; message: string }) => `${at} ${peer} ${message}`,
      ),
      ['50 elm ready', '100 oak is dead, was alive'],
    )
  })
})

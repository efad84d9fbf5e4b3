// The API's routes about what was, and the operations that go back to it, through fastify's inject.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { removeMember, scale } from '../../../../crdt/edits.ts'
import type { ServiceId } from '../../../../lib/ids.ts'
import * as history from '../../../../node/serve/api/contract-history.ts'
import { FakeAgent, service, WALL } from '../fake-agent.ts'
import { FakeApis, fits } from '../fake-api.ts'

const apis = new FakeApis()
after(() => apis.close())

const WEB = 'shop/web' as ServiceId

/** `shop/web` deployed three times, scaled, and a second service that is gone again. */
const world = async () => {
  const agent = new FakeAgent()
  const api = await apis.of(agent)
  const web = (version: string) => service('web', { environment: { VERSION: version } })
  agent.apply('shop', [web('1'), service('gone')])
  agent.apply('shop', [web('2')])
  agent.write(scale(agent.view, WEB, 3), { message: 'more', at: WALL + 1000 })
  agent.apply('shop', [web('3')])
  const ask = async (method: 'GET' | 'POST', url: string, payload?: object) => {
    const reply = await api.app.inject({ method, url, ...(payload === undefined ? {} : { payload }) })
    return { status: reply.statusCode, body: reply.json() }
  }
  const get = (url: string) => ask('GET', url)
  const change = (...operations: readonly object[]) => ask('POST', '/v1/changes', { operations })
  const now = () => agent.view.services.find(({ id }) => id === WEB)
  return { agent, ask, get, change, now }
}

describe('GET /v1/changes', () => {
  it('lists changes newest first, with what each did, and says when there are more', async () => {
    const { get } = await world()
    const { body } = await get('/v1/changes?of=shop/web&limit=2')
    fits(history.HistoryReply, body)
    assert.deepEqual(
      body.changes.map(({ author, edits }: history.HistoryChangeReply) => [author, edits]),
      [
        ['oak', [{ path: 'shop/web environment.VERSION', from: '2', to: '3' }]],
        ['oak', [{ path: 'shop/web replicas', from: null, to: '3' }]],
      ],
    )
    assert.equal(body.more, true)
    const since = await get(`/v1/changes?since=${WALL + 1000}`)
    assert.deepEqual(
      since.body.changes.map(({ message }: { message: string }) => message),
      ['more'],
    )
  })

  it('tells of what is gone and by whom, also by members that were removed, and refuses what never was', async () => {
    const { agent, get } = await world()
    const cut = agent.replicaOf(1)
    const staged = cut.draft(scale(cut.view(), WEB, 9), { message: 'by elm', at: WALL + 5000 })
    assert.ok(staged)
    cut.commit([staged])
    agent.hear(cut)
    agent.write(removeMember(agent.view, 'elm'))
    const { body } = await get('/v1/changes?of=shop/gone')
    assert.deepEqual(
      body.changes.map(({ edits }: history.HistoryChangeReply) => edits[0]?.to),
      [null, 'present'],
    )
    const one = await get(`/v1/changes/${staged.hash.slice(0, 12)}`)
    fits(history.OneChangeReply, one.body)
    assert.deepEqual([one.body.change.author, one.body.change.message], ['elm', 'by elm'])
    assert.equal((await get('/v1/changes?of=shop/never')).status, 404)
    const unknown = await get('/v1/changes/ffffffffff')
    assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'unknown'])
    assert.equal((await get('/v1/changes/xyz')).status, 400)
  })
})

describe('GET /v1/diff and /v1/intent', () => {
  it('compare two moments, and show one as it was', async () => {
    const { agent, get } = await world()
    const { body: list } = await get('/v1/changes?of=shop')
    const first = list.changes.at(-1).change.slice(0, 10)
    const { body } = await get(`/v1/diff?from=${first}&of=shop`)
    fits(history.DiffReply, body)
    assert.deepEqual(body.edits, [
      { path: 'shop/gone', from: 'present', to: null },
      { path: 'shop/web replicas', from: '1', to: '3' },
      { path: 'shop/web environment.VERSION', from: '1', to: '3' },
    ])
    assert.equal(body.to.digest, agent.view.digest)
    const was = await get(`/v1/intent?at=${first}&cell=shop`)
    fits(history.IntentReply, was.body)
    const names = was.body.cells[0].services.map(({ name }: { name: string }) => name)
    assert.deepEqual(names, ['gone', 'web'])
    assert.deepEqual(was.body.cells[0].services[1].fields, {
      command: '["node","web.js"]',
      'environment.VERSION': '1',
    })
    assert.equal(was.body.at.digest, body.from.digest)
    assert.equal((await get('/v1/intent')).body.at.digest, agent.view.digest)
    assert.equal((await get(`/v1/intent?at=${first}~&cell=shop`)).status, 404)
    assert.equal((await get('/v1/diff?from=tomorrow')).status, 400)
  })
})

describe('rollback', () => {
  it('goes back to the release before, and by a moment to all of the service but its replicas', async () => {
    const { agent, change, get, now } = await world()
    const { status, body } = await change({ kind: 'rollback', service: 'shop/web' })
    assert.equal(status, 200, JSON.stringify(body))
    assert.deepEqual(body.edits, [{ path: 'shop/web environment.VERSION', from: '3', to: '2' }])
    assert.equal(now()?.environment['VERSION'], '2')
    assert.match(agent.metas.at(-1)?.message ?? '', /^rollback shop\/web to release [0-9a-f]{12}$/)
    const { body: list } = await get('/v1/changes?of=shop')
    const first = list.changes.at(-1).change
    await change({ kind: 'rollback', service: 'shop/web', to: first })
    assert.deepEqual([now()?.environment['VERSION'], now()?.replicas], ['1', 3])
    assert.equal(agent.metas.at(-1)?.message, `rollback shop/web to change ${first.slice(0, 8)}`)
    await change({ kind: 'rollback', service: 'shop/gone' })
    assert.ok(
      agent.view.services.some(({ id }) => id === 'shop/gone'),
      'what was removed is back',
    )
  })

  it('is refused in one sentence where there is nothing to go back to', async () => {
    const { change, get } = await world()
    const { body: list } = await get('/v1/changes?of=shop')
    const first = list.changes.at(-1).change
    for (const [operation, expected] of [
      [{ service: 'shop/wbe' }, /there is no service 'shop\/wbe'; did you mean 'shop\/web'/],
      [{ service: 'shop/web', to: `${first}~` }, /'shop\/web' did not exist at/],
      [{ service: 'shop/web', to: 'last week' }, /is no change/],
    ] as const) {
      const { status, body } = await change({ kind: 'rollback', ...operation })
      assert.ok(status >= 400 && status < 500)
      assert.match(body.error.message, expected)
    }
    const { agent, change: other } = await world()
    agent.apply('blog', [service('site')])
    const { body } = await other({ kind: 'rollback', service: 'blog/site' })
    assert.match(body.error.message, /'blog\/site' has had no other release; tutti history blog\/site/)
  })
})

describe('resolve', () => {
  it('settles a conflict for the value in force, or for the one that lost', async () => {
    for (const takesLost of [false, true]) {
      const { agent, change, get, now } = await world()
      const cut = agent.replicaOf(1)
      for (const replicas of [8, 9]) {
        const staged = cut.draft(scale(cut.view(), WEB, replicas), { message: 'scale', at: WALL })
        if (staged !== null) cut.commit([staged])
      }
      agent.write(scale(agent.view, WEB, 5))
      agent.hear(cut)
      const { body } = await get('/v1/conflicts')
      const [{ path, change: lost }] = body.conflicts
      assert.equal(now()?.replicas, 9)
      const wrong = await change({ kind: 'resolve', path: 'shop/web replica' })
      assert.match(wrong.body.error.message, /there is no conflict .*did you mean 'shop\/web replicas'/)
      await change({ kind: 'resolve', path, ...(takesLost ? { take: lost.slice(0, 8) } : {}) })
      assert.equal(now()?.replicas, takesLost ? 5 : 9)
      assert.deepEqual((await get('/v1/conflicts')).body.conflicts, [])
    }
  })
})

describe('ifDigest', () => {
  it('refuses a change, dry or not, when the intent is another one by now', async () => {
    const { agent, ask } = await world()
    const request = { operations: [{ kind: 'scale', service: 'shop/web', replicas: 9 }] }
    const digest = agent.view.digest.slice(0, 8)
    agent.write(scale(agent.view, WEB, 4))
    for (const dry of [true, false]) {
      const { status, body } = await ask('POST', '/v1/changes', { ...request, dry, ifDigest: digest })
      assert.deepEqual([status, body.error.code], [409, 'conflict'])
      assert.match(body.error.message, /no longer the one with digest .*; look at it again, then repeat/)
    }
    const fresh = agent.view.digest
    assert.equal((await ask('POST', '/v1/changes', { ...request, ifDigest: fresh })).status, 200)
    assert.equal((await ask('POST', '/v1/changes', { ...request, ifDigest: 'abc' })).status, 400)
  })
})

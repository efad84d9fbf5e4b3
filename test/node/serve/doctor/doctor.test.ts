// Examinations over the API and between peers: what is asked, what is answered, and what becomes of a member that answers
// late, wrongly or not at all.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { textOf, utf8 } from '../../../../lib/bytes.ts'
import { TuttiError } from '../../../../lib/errors.ts'
import type { MemberId } from '../../../../lib/ids.ts'
import type { MachineFacts, MemberAnswer } from '../../../../node/doctor/facts.ts'
import { DoctorReply, MemberAnswerShape } from '../../../../node/serve/api/contract-doctor.ts'
import type { Examiner } from '../../../../node/serve/doctor/doctor.ts'
import { reachOthers } from '../../../../node/serve/doctor/reach.ts'
import { FakeAgent } from '../fake-agent.ts'
import { FakeApis, fits } from '../fake-api.ts'

const facts: MachineFacts = {
  node: '24.0.0',
  limits: {
    filesMax: null,
    processesMax: null,
    pidMax: null,
    cgroupPidsMax: null,
    filesOpen: null,
    machineFiles: null,
    root: true,
  },
  cgroups: { version: 'none', subsystems: [], killable: false, unified: null },
  clock: { synchronised: true, source: 'a test', steppedMs: 0 },
  disk: {
    directory: '/d',
    exists: true,
    filesystem: 'ext4',
    freeBytes: 2 ** 40,
    totalBytes: 2 ** 41,
    freeInodes: 0,
    totalInodes: 0,
    syncMs: { median: 1, max: 1 },
    failure: null,
    mode: 0o700,
    foreignOwner: false,
    exposed: [],
  },
  log: null,
  ports: { ephemeral: null, reserved: [], allocated: { first: 1, last: 2 }, listening: [], wanted: [] },
  tools: [],
}

const answerOf = (name: string, others: readonly string[]): MemberAnswer => ({
  version: '1.2.3',
  node: '24.0.0',
  documentFormat: 1,
  placementVersion: 1,
  machine: 'm',
  addresses: [],
  findings: [{ level: 'ok', check: 'runtime', found: `fine on ${name}`, advice: '' }],
  reach: others.map((to) => ({
    to,
    answered: true,
    failure: '',
    tried: [{ address: '/x', failure: '', ms: 0 }],
  })),
})

const NAMES = ['oak', 'elm', 'ash']

async function* lineOf(value: object): AsyncGenerator<Uint8Array> {
  yield utf8(`${JSON.stringify(value)}\n`)
}

const world = async (examiner: Partial<Examiner> = {}) => {
  const agent = new FakeAgent(NAMES)
  const machines: boolean[] = []
  const nameOf = (id: MemberId): string => NAMES[agent.ids.indexOf(id)] ?? ''
  agent.onAsk = (member, _method, body) => {
    const question = JSON.parse(textOf(body)) as { readonly kind: string; readonly machine: boolean }
    if (question.kind === 'clock') return lineOf({ wall: Date.now() })
    machines.push(question.machine)
    const name = nameOf(member)
    return lineOf(
      answerOf(
        name,
        NAMES.filter((each) => each !== name),
      ),
    )
  }
  const apis = new FakeApis()
  const api = await apis.of(agent, {
    examiner: {
      examine: () => Promise.resolve(facts),
      connect: () => Promise.resolve(null),
      machine: 'm',
      ...examiner,
    },
  })
  const get = async (url: string) => {
    const reply = await api.app.inject({ method: 'GET', url })
    return { status: reply.statusCode, body: reply.json<DoctorReply>() }
  }
  return { agent, get, machines, close: () => apis.close() }
}

const troubles = ({ findings }: DoctorReply): readonly string[] =>
  findings.filter(({ level }) => level !== 'ok').map(({ check, found }) => `${check}: ${found}`)

describe('GET /v1/doctor', () => {
  it('examines this machine, asks every member and judges the links between them', async () => {
    const { get, machines, close } = await world()
    const { status, body } = await get('/v1/doctor')
    assert.equal(status, 200)
    fits(DoctorReply, body)
    assert.equal(body.healthy, true)
    assert.equal(body.links.length, 6)
    assert.ok(body.links.every(({ state }) => state === 'reaches'))
    assert.deepEqual(machines, [false, false])
    assert.ok(
      body.members
        .filter(({ self }) => !self)
        .every(({ clockOffsetMs }) => Math.abs(clockOffsetMs ?? 1e9) < 60_000),
    )
    await close()
  })

  it('asks for the machines of all members when told', async () => {
    const { get, machines, close } = await world()
    const { body } = await get('/v1/doctor?all=true')
    assert.deepEqual(machines, [true, true])
    assert.deepEqual(
      body.findings.filter(({ found }) => found.startsWith('fine on')).map(({ peer }) => peer),
      ['ash', 'elm'],
    )
    await close()
  })

  it('names a member that cannot be asked, and goes on', async () => {
    const { agent, get, close } = await world()
    const answered = agent.onAsk
    agent.onAsk = (member, ...rest) => {
      if (member === agent.id(1)) throw new TuttiError('unreachable', 'there is no connection')
      return answered(member, ...rest)
    }
    const { body } = await get('/v1/doctor')
    assert.equal(body.healthy, false)
    assert.match(
      troubles(body).join('\n'),
      /members: elm is alive but could not be asked: there is no connection/,
    )
    await close()
  })

  it('takes no answer of another form', async () => {
    const { agent, get, close } = await world()
    agent.onAsk = (_member, _method, body) =>
      lineOf(textOf(body).includes('clock') ? { wall: Date.now() } : { version: 1 })
    const { status, body } = await get('/v1/doctor')
    assert.equal(status, 200)
    assert.match(
      troubles(body).join('\n'),
      /elm is alive but could not be asked: the peer sent a line of another kind/,
    )
    await close()
  })

  it('measures a clock that is off', async () => {
    const { agent, get, close } = await world()
    const answered = agent.onAsk
    agent.onAsk = (member, method, body, signal) =>
      member === agent.id(2) && textOf(body).includes('clock')
        ? lineOf({ wall: Date.now() + 3_600_000 })
        : answered(member, method, body, signal)
    const { body } = await get('/v1/doctor')
    assert.match(troubles(body).join('\n'), /skew: the clock of ash is 1h ahead/)
    await close()
  })

  it('tries a link once for all who ask at the same time (S14)', async () => {
    let examined = 0
    const begun = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<MachineFacts>()
    const { get, close } = await world({
      examine: () => {
        examined += 1
        begun.resolve()
        return gate.promise
      },
    })
    const both = Promise.all([get('/v1/doctor'), get('/v1/doctor')])
    await begun.promise
    gate.resolve(facts)
    await both
    assert.equal(examined, 1)
    await close()
  })
})

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A question without input.
}

describe('a peer that is asked', () => {
  it('answers with its clock, and with itself, in the form that others check', async () => {
    const { agent, close } = await world()
    const answer = agent.answers.get('doctor')
    assert.ok(answer !== undefined)
    const ask = async (question: object): Promise<unknown> => {
      let text = ''
      for await (const part of answer(
        agent.id(1),
        utf8(JSON.stringify(question)),
        new AbortController().signal,
        nothing(),
      ))
        text += textOf(part)
      return JSON.parse(text)
    }
    assert.equal(typeof ((await ask({ kind: 'clock' })) as { readonly wall: number }).wall, 'number')
    fits(MemberAnswerShape, await ask({ kind: 'examine', machine: true }))
    await assert.rejects(async () => await ask({ kind: 'else' }), /unknown form/)
    await close()
  })
})

describe('reaching others', () => {
  it('does not take its own listener for another machine', async () => {
    const agent = new FakeAgent(NAMES)
    const connected: number[] = []
    const reach = await reachOthers(agent.snapshot(), {
      connect: (_host, port) => {
        connected.push(port)
        return Promise.resolve(port === 9001 ? null : 'ECONNREFUSED')
      },
      greet: () => Promise.reject(new TuttiError('refused', 'too busy')),
      now: () => 0,
    })
    const of = (name: string) => reach.find(({ to }) => to === name)
    assert.deepEqual(of('elm')?.tried, [{ address: '/ip4/127.0.0.1/tcp/9001', failure: '', ms: 0 }])
    assert.equal(of('ash')?.tried[0]?.failure, 'ECONNREFUSED')
    assert.equal(of('elm')?.answered, true)
    assert.deepEqual(
      connected.toSorted((a, b) => a - b),
      [9001, 9002],
    )
  })

  it('stops trying after a while, however many are left', async () => {
    const agent = new FakeAgent(Array.from({ length: 60 }, (_, at) => `m${at}`))
    let now = 0
    const reach = await reachOthers(agent.snapshot(), {
      connect: () => Promise.resolve(null),
      greet: async () => {
        now += 10_000
        await Promise.resolve()
      },
      now: () => now,
    })
    assert.ok(reach.length < 59, `${reach.length} were tried`)
  })
})

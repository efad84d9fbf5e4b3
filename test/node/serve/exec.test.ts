// Exec at the API: which instance is chosen, who may, what is told, and the WebSocket that carries it.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { TuttiError } from '../../../lib/errors.ts'
import { utf8 } from '../../../lib/bytes.ts'
import {
  decodeHeard,
  encodeHeard,
  encodeOpening,
  encodeSaid,
  type Heard,
} from '../../../node/serve/api/exec-wire.ts'
import { messagesOf } from '../../../node/serve/api/web-socket.ts'
import { FakeAgent, FakeExec, service } from './fake-agent.ts'
import { FakeApis } from './fake-api.ts'
import { until } from '../../support/until.ts'

const directory = mkdtempSync(join(tmpdir(), 'tutti-exec-'))
const apis = new FakeApis()
let sockets = 0
after(async () => {
  await apis.close()
  rmSync(directory, { recursive: true })
})

const TOKEN = 'a-token-of-some-length'

const world = async () => {
  const agent = new FakeAgent()
  const runner = new FakeExec()
  const api = await apis.of(agent, { exec: runner, token: TOKEN })
  agent.apply('shop', [service('web', { replicas: 3 })])
  const path = join(directory, `${(sockets += 1)}.sock`)
  await api.listenUnix(path)
  const open = (): WebSocket =>
    new WebSocket('ws://localhost/v1/exec', { createConnection: () => connect(path) })
  const run = async (of: string, command: readonly string[] = ['true']): Promise<readonly Heard[]> => {
    const socket = open()
    const messages = messagesOf(socket)
    socket.once('open', () => socket.send(encodeOpening({ of, command })))
    const heard: Heard[] = []
    for await (const message of messages) heard.push(decodeHeard(message))
    return heard
  }
  return { agent, runner, api, open, run }
}

const lastOf = (heard: readonly Heard[]): Heard | undefined => heard.at(-1)

describe('exec', () => {
  it('asks the peer that has the instance, the first ready one where none is named', async () => {
    const { agent, run } = await world()
    agent.say(1, 'elm', { 'shop/web/1': 'failing', 'shop/web/2': 'ready' })
    agent.onAsk = async function* (_member, _method, body) {
      yield encodeHeard({ kind: 'stdout', bytes: body })
      yield encodeHeard({ kind: 'exit', code: 3, signal: null })
    }
    const [chosen, out, exit] = await run('shop/web')
    assert.deepEqual(chosen, { kind: 'chosen', slot: 'shop/web/2', peer: 'elm', running: 2 })
    assert.ok(out?.kind === 'stdout' && Buffer.from(out.bytes).toString().includes('shop/web/2@'))
    assert.deepEqual(exit, { kind: 'exit', code: 3, signal: null })
    assert.deepEqual(agent.asked, [`exec ${agent.id(1)}`])
  })

  it('says what is not there, does not run, or is out of reach, and asks nobody', async () => {
    const { agent, run } = await world()
    agent.say(1, 'elm', {
      'shop/web/1': { state: 'crashed', pid: null, reason: 'exit status 3' },
      'shop/web/2': 'ready',
    })
    agent.states.set(agent.id(2), 'dead')
    agent.say(2, 'ash', { 'shop/web/0': 'ready' })
    for (const [of, code, words] of [
      ['shop/wep', 'unknown', /did you mean 'shop\/web'/],
      ['shop/web/9', 'unknown', /no slot 'shop\/web\/9'/],
      ['shop/web/1', 'conflict', /does not run, it is crashed: exit status 3/],
      ['shop/web/0', 'unreachable', /on peer 'ash', which is dead/],
      ['shop', 'invalid', /names no service/],
    ] as const) {
      const failed = lastOf(await run(of))
      assert.ok(failed?.kind === 'failed', of)
      assert.equal(failed.code, code)
      assert.match(failed.message, words)
    }
    assert.deepEqual(agent.asked, [])
  })

  it('names the peer that is too old for the question', async () => {
    const { agent, run } = await world()
    agent.say(1, 'elm', { 'shop/web/0': 'ready' })
    agent.onAsk = () => {
      throw new TuttiError('refused', "this peer does not answer 'exec'; upgrade it")
    }
    assert.deepEqual(lastOf(await run('shop/web/0')), {
      kind: 'failed',
      code: 'unsupported',
      message: "peer 'elm' says: this peer does not answer 'exec'; upgrade it",
    })
  })

  it('refuses peers that are no operators, and instances that it does not run', async () => {
    const { agent } = await world()
    const answer = agent.answers.get('exec')
    assert.ok(answer !== undefined)
    const body = encodeOpening({ instance: 'shop/web/0@r', opening: { of: 'shop/web/0', command: ['true'] } })
    const ask = async (from: string): Promise<Heard | undefined> => {
      const heard: Heard[] = []
      const input = (async function* () {
        yield* [] as Uint8Array[]
      })()
      for await (const part of answer(from as never, body, new AbortController().signal, input))
        heard.push(decodeHeard(part))
      return heard.at(-1)
    }
    const stranger = await ask('nobody')
    assert.ok(stranger?.kind === 'failed' && stranger.code === 'forbidden')
    const member = await ask(agent.id(1))
    assert.ok(member?.kind === 'failed' && member.code === 'conflict', JSON.stringify(member))
  })

  it('refuses an opening that is none, and a plain request', async () => {
    const { api, open } = await world()
    for (const opening of [
      utf8('{'),
      encodeOpening({ of: 'shop/web' }),
      encodeOpening({ of: 'shop/web', command: [], x: 1 }),
    ]) {
      const socket = open()
      const messages = messagesOf(socket)
      socket.once('open', () => socket.send(opening))
      const { value } = await messages.next()
      assert.ok(value instanceof Uint8Array)
      const heard = decodeHeard(value)
      assert.ok(heard.kind === 'failed' && heard.code === 'invalid', JSON.stringify(heard))
    }
    const reply = await api.app.inject({ method: 'GET', url: '/v1/exec' })
    assert.equal(reply.statusCode, 400)
    assert.match(reply.body, /is a WebSocket/)
  })

  it('takes nobody without the token over TCP', async () => {
    const { api } = await world()
    const address = (await api.listenTcp({ host: '127.0.0.1', port: 0 })).replace('http', 'ws')
    const status = await new Promise((resolve) => {
      const socket = new WebSocket(`${address}/v1/exec`)
      socket.once('unexpected-response', (_request, response) => {
        resolve(response.statusCode)
        response.destroy()
      })
      socket.once('error', () => undefined)
    })
    assert.equal(status, 401)
    const admitted = new WebSocket(`${address}/v1/exec`, { headers: { authorization: `Bearer ${TOKEN}` } })
    await new Promise((resolve) => admitted.once('open', resolve))
    admitted.close()
  })

  it('tells the other peer when the caller leaves', async () => {
    const { agent, open } = await world()
    agent.say(1, 'elm', { 'shop/web/0': 'ready' })
    const heard: string[] = []
    agent.onAsk = async function* (_member, _method, _body, signal, input) {
      signal.addEventListener('abort', () => heard.push('left'), { once: true })
      for await (const part of input ?? []) heard.push(String(part[0]))
      yield* [] as Uint8Array[]
    }
    const socket = open()
    await new Promise((resolve) => socket.once('open', resolve))
    socket.send(encodeOpening({ of: 'shop/web', command: ['cat'] }))
    socket.send(encodeSaid({ kind: 'end' }))
    await until(() => heard.includes('1'))
    socket.terminate()
    await until(() => heard.includes('left'))
  })
})

// The API over real sockets: the Unix socket, TCP with a token, and streams that end when either side wants.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request, type IncomingMessage, type RequestOptions } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { FakeAgent, FakeOutput, logLine, noInput, service } from '../fake-agent.ts'
import { FakeApis } from '../fake-api.ts'
import { until } from '../../../support/until.ts'

const directory = mkdtempSync(join(tmpdir(), 'tutti-api-'))
const apis = new FakeApis()
after(async () => {
  await apis.close()
  rmSync(directory, { recursive: true })
})

const TOKEN = 'a-token-of-some-length'
let sockets = 0

const world = async (token: string | null = TOKEN) => {
  const agent = new FakeAgent()
  const output = new FakeOutput()
  const api = await apis.of(agent, { output, token })
  agent.apply('shop', [service('web', { replicas: 1 })])
  const path = join(directory, `${(sockets += 1)}.sock`)
  return { agent, output, api, path }
}

const open = (options: RequestOptions): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const sent = request({ agent: false, ...options }, resolve)
    sent.on('error', reject)
    sent.end()
  })

const bodyOf = async (reply: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of reply) text += String(chunk)
  return text
}

/** A stream's text as it comes, and a way to wait for some of it. */
const following = (reply: IncomingMessage) => {
  const heard = { text: '', ended: false }
  reply.setEncoding('utf8')
  reply.on('data', (chunk: string) => (heard.text += chunk))
  reply.on('close', () => (heard.ended = true))
  reply.on('error', () => undefined)
  return {
    heard,
    has: (text: string) => until(() => heard.text.includes(text)),
    ended: () => until(() => heard.ended),
  }
}

describe('unix socket', () => {
  it('serves its owner only, without a token, and goes when the server closes', async () => {
    const { api, path } = await world()
    await api.listenUnix(path)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(existsSync(`${path}.new`), false)
    const reply = await open({ socketPath: path, path: '/v1/peers' })
    assert.equal(JSON.parse(await bodyOf(reply)).peers.length, 3)
    await api.close()
    assert.equal(existsSync(path), false)
  })

  it('replaces a socket that a crashed peer left', async () => {
    const { api, path } = await world()
    const crashed = createServer().listen(path)
    await once(crashed, 'listening')
    // Renamed while closing, the socket stays behind as a crash leaves it.
    const { renameSync } = await import('node:fs')
    renameSync(path, `${path}.old`)
    crashed.close()
    await once(crashed, 'close')
    renameSync(`${path}.old`, path)
    await api.listenUnix(path)
    assert.equal((await open({ socketPath: path, path: '/healthz' })).statusCode, 200)
  })

  it("takes neither a living peer's socket nor a file that is none", async () => {
    const [first, second] = [await world(), await world()]
    await first.api.listenUnix(first.path)
    await assert.rejects(second.api.listenUnix(first.path), {
      code: 'busy',
      message: /another peer already serves/,
    })
    assert.equal((await open({ socketPath: first.path, path: '/healthz' })).statusCode, 200)
    writeFileSync(second.path, 'precious')
    await assert.rejects(second.api.listenUnix(second.path), { code: 'conflict' })
    assert.equal(existsSync(second.path), true)
    await assert.rejects(second.api.listenUnix(`/tmp/${'x'.repeat(110)}`), { code: 'invalid' })
  })
})

describe('tcp', () => {
  const at = (url: string): RequestOptions => ({ host: new URL(url).hostname, port: new URL(url).port })

  it('answers 401 with a sentence to everyone without the token', async () => {
    const { api } = await world()
    const address = at(await api.listenTcp({ host: '127.0.0.1', port: 0 }))
    for (const authorization of [undefined, 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, TOKEN]) {
      for (const path of ['/v1/peers', '/v1/nowhere', '/metrics', '/v1/watch']) {
        const reply = await open({
          ...address,
          path,
          headers: authorization === undefined ? {} : { authorization },
        })
        assert.equal(reply.statusCode, 401)
        assert.match(JSON.parse(await bodyOf(reply)).error.message, /the token is missing or wrong/)
        assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer/)
      }
    }
    assert.equal((await open({ ...address, path: '/healthz' })).statusCode, 200)
  })

  it('answers who sends the token', async () => {
    const { api } = await world()
    const address = at(await api.listenTcp({ host: '127.0.0.1', port: 0 }))
    const headers = { authorization: `Bearer ${TOKEN}` }
    const reply = await open({ ...address, path: '/v1/peers', headers })
    assert.equal(JSON.parse(await bodyOf(reply)).peers.length, 3)
    const document = JSON.parse(await bodyOf(await open({ ...address, path: '/v1/openapi.json', headers })))
    assert.deepEqual(document.security, [{ token: [] }])
    assert.deepEqual(document.paths['/healthz'].get.security, [])
  })

  it('does not serve without a token, with a short one, or on an address that is taken', async () => {
    await assert.rejects((await world(null)).api.listenTcp({ host: '127.0.0.1', port: 0 }), {
      code: 'invalid',
    })
    await assert.rejects((await world('short')).api.listenTcp({ host: '127.0.0.1', port: 0 }), {
      code: 'invalid',
    })
    const { api } = await world()
    const taken = at(await api.listenTcp({ host: '127.0.0.1', port: 0 }))
    await assert.rejects(api.listenTcp({ host: '127.0.0.1', port: Number(taken.port) }), { code: 'busy' })
  })

  it('answers bytes that are not HTTP in its own form', async () => {
    const { api } = await world()
    const { port } = at(await api.listenTcp({ host: '127.0.0.1', port: 0 }))
    const socket = connect({ port: Number(port), host: '127.0.0.1' })
    socket.end('HELLO\r\n\r\n')
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.equal(JSON.parse(text.slice(text.indexOf('{'))).error.code, 'invalid')
  })
})

describe('GET /v1/watch', () => {
  const events = (text: string) =>
    text
      .split('\n\n')
      .filter((block) => block.startsWith('data: '))
      .map((block) => JSON.parse(block.slice('data: '.length)))

  it('tells the present at once, then each change, and lets go when the client leaves', async () => {
    const { agent, api, path } = await world()
    await api.listenUnix(path)
    const reply = await open({ socketPath: path, path: '/v1/watch' })
    assert.equal(reply.headers['content-type'], 'text/event-stream')
    const stream = following(reply)
    await until(() => events(stream.heard.text).length === 1)
    assert.equal(events(stream.heard.text)[0].digest, agent.view.digest)
    agent.apply('shop', [service('web', { replicas: 2 })])
    await until(() => events(stream.heard.text).at(-1).digest === agent.view.digest)
    assert.equal(events(stream.heard.text).at(-1).slots.length, 2)
    assert.equal(agent.listening, 1)
    reply.destroy()
    await until(() => agent.listening === 0)
  })

  it('stays silent while the digest is the one that the caller knows', async () => {
    const { agent, api, path } = await world()
    await api.listenUnix(path)
    const known = agent.view.digest
    const stream = following(await open({ socketPath: path, path: `/v1/watch?digest=${known}` }))
    await until(() => agent.listening === 1)
    agent.say(1, 'elm', { 'shop/web/0': 'starting' })
    agent.apply('shop', [service('web', { replicas: 2 })])
    await until(() => events(stream.heard.text).length > 0)
    assert.ok(events(stream.heard.text).every(({ digest }) => digest !== known))
  })

  it('ends when the server closes', async () => {
    const { agent, api, path } = await world()
    await api.listenUnix(path)
    const stream = following(await open({ socketPath: path, path: '/v1/watch' }))
    await until(() => events(stream.heard.text).length === 1)
    await api.close()
    await stream.ended()
    assert.equal(agent.listening, 0)
  })
})

describe('GET /v1/logs, followed', () => {
  const lines = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line).text)

  it('tells what all peers have by time, then what comes, and lets go when the client leaves', async () => {
    const { agent, output, api, path } = await world()
    const remote = new FakeOutput()
    output.lines = [logLine(10, 'oak', 'a'), logLine(30, 'oak', 'c')]
    remote.lines = [logLine(20, 'elm', 'b')]
    const far = new FakeAgent(['elm'])
    await apis.of(far, { output: remote })
    const answer = far.answers.get('logs')
    assert.ok(answer !== undefined)
    agent.states.set(agent.id(2), 'left')
    agent.onAsk = (_member, _method, body, signal) => answer(agent.id(0), body, signal, noInput())
    await api.listenUnix(path)
    const reply = await open({ socketPath: path, path: '/v1/logs?of=shop/web&follow=true&tail=2' })
    assert.equal(reply.headers['content-type'], 'application/x-ndjson')
    const stream = following(reply)
    await stream.has('"c"')
    assert.deepEqual(lines(stream.heard.text), ['b', 'c'])
    remote.push(logLine(40, 'elm', 'd'))
    await stream.has('"d"')
    output.push(logLine(50, 'oak', 'e'))
    await stream.has('"e"')
    assert.deepEqual(lines(stream.heard.text), ['b', 'c', 'd', 'e'])
    reply.destroy()
    await until(() => output.open === 0 && remote.open === 0)
  })

  it('goes on when a peer is lost midway, and says so', async () => {
    const { agent, output, api, path } = await world()
    agent.states.set(agent.id(2), 'left')
    let cut: (error: Error) => void = () => undefined
    agent.onAsk = async function* () {
      yield Buffer.from(`${JSON.stringify(logLine(1, 'elm', 'b'))}\n{"live":true}\n`)
      await new Promise((_, reject) => (cut = reject))
    }
    await api.listenUnix(path)
    const stream = following(await open({ socketPath: path, path: '/v1/logs?of=shop/web&follow=true' }))
    await stream.has('"b"')
    cut(new Error('connection lost'))
    await stream.has('its output is missing or incomplete: connection lost')
    output.push(logLine(2, 'oak', 'still here'))
    await stream.has('still here')
  })

  it('holds the source back when the reader does not read', async () => {
    const { agent, api, path, output } = await world()
    agent.states.set(agent.id(1), 'left')
    agent.states.set(agent.id(2), 'left')
    let told = 0
    const text = 'x'.repeat(16_000)
    output.read = async function* (_query, signal) {
      yield { live: true }
      while (!signal.aborted && told < 20_000) {
        told += 1
        yield logLine(told, 'oak', text)
        if (told % 64 === 0) await new Promise((next) => setImmediate(next))
      }
    }
    await api.listenUnix(path)
    const reply = await open({ socketPath: path, path: '/v1/logs?of=shop/web&follow=true' })
    reply.pause()
    let before = -1
    // It has come to a halt when a hundred turns of the event loop brought nothing more.
    for (let still = 0; still < 100; still = told === before && told > 0 ? still + 1 : 0) {
      before = told
      await new Promise((next) => setImmediate(next))
    }
    assert.ok(told < 5000, `${told} lines of 16 kB were taken from the source`)
    reply.destroy()
  })
})

describe('GET /v1/events, followed', () => {
  const event = (seq: number, message: string) =>
    ({ seq, at: seq, peer: 'oak', kind: 'instance', subject: 'shop/web/0@r', message }) as const

  for (const [accept, prefix] of [
    ['application/x-ndjson', '{'],
    ['text/event-stream', 'data: {'],
  ] as const) {
    it(`tells the kept events, then each new one, as ${accept}`, async () => {
      const { agent, api, path } = await world()
      agent.onAsk = async function* () {}
      agent.kept = [event(1, 'starting')]
      await api.listenUnix(path)
      const reply = await open({ socketPath: path, path: '/v1/events?follow=1', headers: { accept } })
      assert.equal(reply.headers['content-type'], accept)
      const stream = following(reply)
      await stream.has('"starting"')
      agent.emit(event(2, 'ready'))
      await stream.has('"ready"')
      assert.ok(stream.heard.text.split('\n').some((line) => line.startsWith(prefix)))
      reply.destroy()
      await until(() => agent.listening === 0)
    })
  }
})

// Service links over real loopback sockets: echo servers stand for instances.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import type { ServiceId } from '../../../lib/ids.ts'
import { silentLog } from '../../../lib/log.ts'
import { endpointsOf } from '../../../node/plan/endpoints.ts'
import { linkRoutes, ServiceLinks, type SmallStore } from '../../../node/serve/links.ts'
import { FakeAgent, service } from './fake-agent.ts'
import { FailedEndpoints, inTurn, type LinkEndpoint } from '../../../node/serve/links-proxy.ts'
import { until } from '../../support/until.ts'

const API = 'shop/api' as ServiceId
const LEDGER = 'billing/ledger' as ServiceId

const closers: (() => Promise<unknown> | void)[] = []
after(async () => {
  for (const close of closers) await close()
})

const memoryStore = (): SmallStore & { readonly texts: Map<string, string> } => {
  const texts = new Map<string, string>()
  return {
    texts,
    readSmall: (name) => {
      const text = texts.get(name)
      return Promise.resolve(text === undefined ? null : Buffer.from(text))
    },
    writeSmall: (name, bytes) => {
      texts.set(name, Buffer.from(bytes).toString())
      return Promise.resolve()
    },
  }
}

interface Instance {
  readonly endpoint: LinkEndpoint
  readonly sockets: Set<Socket>
  kill(): Promise<void>
}

const listening = async (onConnection: (socket: Socket) => void): Promise<Instance> => {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const kill = async (): Promise<void> => {
    for (const socket of sockets) socket.resetAndDestroy()
    if (server.listening) await new Promise((done) => server.close(done))
  }
  closers.push(kill)
  return { endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, sockets, kill }
}

const echo = () => listening((socket) => socket.pipe(socket))
const saying = (word: string) => listening((socket) => socket.end(word))

/** A port on which nobody listens. */
const nobody = async (): Promise<LinkEndpoint> => {
  const instance = await echo()
  await instance.kill()
  return instance.endpoint
}

const linksWith = async (
  endpoints: readonly LinkEndpoint[],
  options: { readonly connectionsMax?: number; readonly store?: SmallStore } = {},
): Promise<{ readonly links: ServiceLinks; readonly port: number }> => {
  const links = new ServiceLinks({ store: memoryStore(), log: silentLog, ...options })
  closers.push(() => links.close())
  await links.start()
  const environment = await links.environmentFor([API])
  links.setRoutes(new Map([[API, endpoints]]))
  return { links, port: Number(environment['TUTTI_USES_API']?.split(':')[1]) }
}

/** Everything the other side sends until it ends, having sent `text` and ended first. */
const ask = (port: number, text = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let heard = ''
    socket.on('data', (chunk) => (heard += chunk.toString()))
    socket.on('end', () => resolve(heard))
    socket.on('error', reject)
    socket.end(text)
  })

describe('service links', () => {
  it('gives each used service one address, by its own name and by its full one', async () => {
    const links = new ServiceLinks({ store: memoryStore(), log: silentLog })
    closers.push(() => links.close())
    await links.start()
    const environment = await links.environmentFor([API, LEDGER, 'other/api' as ServiceId])
    assert.deepEqual(Object.keys(environment).sort(), [
      'TUTTI_USES_API',
      'TUTTI_USES_BILLING_LEDGER',
      'TUTTI_USES_LEDGER',
      'TUTTI_USES_OTHER_API',
      'TUTTI_USES_SHOP_API',
    ])
    assert.equal(
      environment['TUTTI_USES_API'],
      environment['TUTTI_USES_SHOP_API'],
      'the first has the short name',
    )
    assert.equal(new Set(Object.values(environment)).size, 3)
    assert.deepEqual(await links.environmentFor([API, LEDGER, 'other/api' as ServiceId]), environment)
  })

  it('opens one port for a service that two instances ask for at once', async () => {
    const links = new ServiceLinks({ store: memoryStore(), log: silentLog })
    closers.push(() => links.close())
    await links.start()
    const [first, second] = await Promise.all([links.environmentFor([API]), links.environmentFor([API])])
    assert.deepEqual(first, second)
  })

  it('listens on the same port after a restart, without being asked', async () => {
    const store = memoryStore()
    const instance = await saying('hello')
    const before = await linksWith([instance.endpoint], { store })
    await before.links.close()
    const links = new ServiceLinks({ store, log: silentLog })
    closers.push(() => links.close())
    await links.start()
    links.setRoutes(new Map([[API, [instance.endpoint]]]))
    assert.equal(await ask(before.port), 'hello')
  })

  it('takes another port when its own is in other hands, and remembers that one', async () => {
    const store = memoryStore()
    const squatter = await echo()
    store.texts.set('links', JSON.stringify({ [API]: squatter.endpoint.port, nonsense: 'x' }))
    const { port } = await linksWith([(await saying('hello')).endpoint], { store })
    assert.notEqual(port, squatter.endpoint.port)
    assert.equal(await ask(port), 'hello')
    assert.deepEqual(JSON.parse(store.texts.get('links') ?? ''), { [API]: port })
  })

  it('starts afresh when what it remembered is unreadable', async () => {
    const store = memoryStore()
    store.texts.set('links', '{"shop/api": 21')
    const { port } = await linksWith([(await saying('hello')).endpoint], { store })
    assert.equal(await ask(port), 'hello')
  })

  it('writes a port again when the disk refused it before', async () => {
    const store = memoryStore()
    let refusals = 1
    const links = new ServiceLinks({
      log: silentLog,
      store: {
        readSmall: (name) => store.readSmall(name),
        writeSmall: (name, text) =>
          refusals-- > 0 ? Promise.reject(new Error('disk full')) : store.writeSmall(name, text),
      },
    })
    closers.push(() => links.close())
    await links.start()
    await assert.rejects(links.environmentFor([API]), /disk full/)
    const environment = await links.environmentFor([API])
    assert.equal(
      `127.0.0.1:${JSON.parse(store.texts.get('links') ?? '{}')[API]}`,
      environment['TUTTI_USES_API'],
    )
  })

  it('forgets the ports of services nobody uses any more', async () => {
    const store = memoryStore()
    const { links, port } = await linksWith([(await saying('hello')).endpoint], { store })
    await links.retain(new Set([LEDGER]))
    assert.equal(store.texts.get('links'), '{}')
    await assert.rejects(ask(port), /ECONNREFUSED/)
  })

  it('takes ready instances in turn', async () => {
    const instances = await Promise.all(['a', 'b', 'c'].map(saying))
    const { port } = await linksWith(instances.map(({ endpoint }) => endpoint))
    const words: string[] = []
    for (let round = 0; round < 6; round += 1) words.push(await ask(port))
    assert.deepEqual(words, ['a', 'b', 'c', 'a', 'b', 'c'])
  })

  it('fails no connection while one instance is healthy (L8)', async () => {
    const [doomed, healthy] = await Promise.all([echo(), echo()])
    const { links, port } = await linksWith([doomed.endpoint, healthy.endpoint])
    for (let round = 0; round < 10; round += 1) assert.equal(await ask(port, 'before'), 'before')
    await doomed.kill()
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(port, 'after')))
    assert.deepEqual(new Set(answers), new Set(['after']))
    for (let round = 0; round < 10; round += 1) assert.equal(await ask(port, 'later'), 'later')
    assert.ok(links.counters().retries >= 1)
    assert.equal(links.counters().unreachable, 0)
  })

  it('resets at once, and counts it, where nothing is ready', async () => {
    const { links, port } = await linksWith([])
    await assert.rejects(ask(port, 'x'), /ECONNRESET|EPIPE/)
    assert.equal(links.counters().withoutEndpoint, 1)
  })

  it('resets when every instance refuses', async () => {
    const { links, port } = await linksWith([await nobody(), await nobody()])
    await assert.rejects(ask(port), /ECONNRESET/)
    const { retries, unreachable, open } = links.counters()
    assert.deepEqual({ retries, unreachable, open }, { retries: 2, unreachable: 1, open: 0 })
  })

  it('keeps half-close: the answer comes after the question has ended', async () => {
    const instance = await listening((socket) => {
      let question = ''
      socket.on('data', (chunk) => (question += chunk.toString()))
      socket.on('end', () => socket.end(`you said ${question}`))
    })
    const { links, port } = await linksWith([instance.endpoint])
    assert.equal(await ask(port, 'hi'), 'you said hi')
    await closed(links)
  })

  it('carries 10 MB both ways at once, unharmed', async () => {
    const { links, port } = await linksWith([(await echo()).endpoint])
    const sent = randomBytes(10 * 1024 * 1024)
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const hash = createHash('sha256')
    let length = 0
    socket.on('data', (chunk) => {
      hash.update(chunk)
      length += chunk.length
    })
    socket.end(sent)
    await once(socket, 'end')
    assert.equal(length, sent.length)
    assert.equal(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'))
    await closed(links)
  })

  it('holds a sender back when the receiver does not read', async () => {
    const instance = await listening((socket) => socket.pause())
    const { port } = await linksWith([instance.endpoint])
    const socket = connect({ port, host: '127.0.0.1' })
    closers.push(() => void socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    // Far more than both kernels' buffers and the proxy's together: a proxy without backpressure would take it all.
    socket.write(Buffer.alloc(64 * 1024 * 1024))
    let drained = false
    socket.on('drain', () => (drained = true))
    for (let turn = 0; turn < 200; turn += 1) await new Promise((next) => setImmediate(next))
    assert.equal(drained, false)
  })

  it('passes a cut on as a cut, never as a clean end', async () => {
    const instance = await listening((socket) => {
      socket.write('half an ans')
      socket.once('data', () => socket.resetAndDestroy())
    })
    const { links, port } = await linksWith([instance.endpoint])
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const ends: string[] = []
    socket.on('end', () => ends.push('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => ends.push(error.code ?? ''))
    await once(socket, 'data')
    socket.write('go on')
    await new Promise((done) => socket.once('close', done))
    assert.deepEqual(ends, ['ECONNRESET'])
    await closed(links)
  })

  it('ends the instance side when the client is cut', async () => {
    const instance = await echo()
    const { port, links } = await linksWith([instance.endpoint])
    const socket = connect({ port, host: '127.0.0.1' })
    socket.write('x')
    await once(socket, 'data')
    const [served] = [...instance.sockets]
    assert.ok(served !== undefined)
    const gone = new Promise((done) => served.once('close', done))
    socket.resetAndDestroy()
    await gone
    await closed(links)
  })

  it('leaves open connections to a draining instance alone and sends new ones elsewhere', async () => {
    const [old, fresh] = await Promise.all([echo(), saying('fresh')])
    const { links, port } = await linksWith([old.endpoint])
    const socket = connect({ port, host: '127.0.0.1' })
    closers.push(() => void socket.destroy())
    socket.write('one')
    assert.equal(String((await once(socket, 'data'))[0]), 'one')
    links.setRoutes(new Map([[API, [fresh.endpoint]]]))
    assert.equal(await ask(port), 'fresh')
    socket.write('two')
    assert.equal(String((await once(socket, 'data'))[0]), 'two')
    socket.end()
  })

  it('bounds its connections', async () => {
    const { links, port } = await linksWith([(await echo()).endpoint], { connectionsMax: 1 })
    const first = connect({ port, host: '127.0.0.1' })
    first.write('x')
    await once(first, 'data')
    await assert.rejects(ask(port), /ECONNRESET/)
    assert.equal(links.counters().overLimit, 1)
    first.destroy()
    await closed(links)
    assert.equal(await ask(port, 'again'), 'again')
  })
})

/** Resolves when no connection is open any more. */
const closed = (links: ServiceLinks): Promise<void> => until(() => links.counters().open === 0)

describe('linkRoutes', () => {
  it('takes the first port of each ready endpoint and leaves out those without one', () => {
    const agent = new FakeAgent()
    agent.apply('shop', [service('api', { ports: { http: 0 } })])
    agent.say(1, 'elm', { 'shop/api/0': { state: 'ready', ports: { http: 8123 } } })
    agent.say(2, 'ash', { 'shop/api/0': { state: 'ready', ports: {} } })
    assert.deepEqual(
      [...linkRoutes(endpointsOf(agent.snapshot()))],
      [[API, [{ host: 'elm.local', port: 8123 }]]],
    )
  })
})

describe('round robin', () => {
  const [a, b, c] = [1, 2, 3].map((port) => ({ host: 'h', port })) as [
    LinkEndpoint,
    LinkEndpoint,
    LinkEndpoint,
  ]

  it('puts endpoints that failed of late last, for a second and longer each time', () => {
    let nowMs = 0
    const failed = new FailedEndpoints(() => nowMs)
    failed.failed(a)
    assert.deepEqual(inTurn([a, b, c], 0, failed), [b, c, a])
    assert.deepEqual(inTurn([a, b, c], 1, failed), [c, b, a])
    nowMs = 1000
    assert.deepEqual(inTurn([a, b, c], 0, failed), [a, b, c])
    failed.failed(a)
    nowMs = 2999
    assert.equal(failed.isOut(a), true)
    nowMs = 3000
    assert.equal(failed.isOut(a), false)
    failed.connected(a)
    failed.failed(a)
    nowMs = 4000
    assert.equal(failed.isOut(a), false)
  })

  it('forgets endpoints that are no longer named', () => {
    const failed = new FailedEndpoints(() => 0)
    failed.failed(a)
    failed.failed(b)
    failed.retain([b])
    assert.equal(failed.isOut(a), false)
    assert.equal(failed.isOut(b), true)
  })

  it('tries all when all have failed', () => {
    const failed = new FailedEndpoints(() => 0)
    failed.failed(a)
    failed.failed(b)
    assert.deepEqual(inTurn([a, b], 1, failed), [b, a])
    assert.deepEqual(inTurn([], 3, failed), [])
  })
})

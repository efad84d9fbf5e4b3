// The client against a peer on a Unix socket and on TCP.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Client, parseTarget } from '../../cli/client.ts'
import { fail, fakePeer, type FakePeer } from './fake.ts'

describe('parseTarget', () => {
  it('reads sockets, URLs and addresses', () => {
    assert.deepEqual(parseTarget('run/t.sock', '/d'), { kind: 'socket', path: '/d/run/t.sock' })
    assert.deepEqual(parseTarget('unix:///x.sock', '/d'), { kind: 'socket', path: '/x.sock' })
    assert.deepEqual(parseTarget('http://h:1/p', '/d'), { kind: 'url', url: new URL('http://h:1/p') })
    assert.deepEqual(parseTarget('h:7700', '/d'), { kind: 'url', url: new URL('http://h:7700') })
    assert.deepEqual(parseTarget('[::1]:7700', '/d'), { kind: 'url', url: new URL('http://[::1]:7700') })
  })

  it('takes a data directory for the socket in it', () => {
    assert.deepEqual(parseTarget(tmpdir(), '/'), { kind: 'socket', path: join(tmpdir(), 'tutti.sock') })
  })
})

describe('Client', () => {
  let peer: FakePeer
  let client: Client
  before(async () => {
    peer = await fakePeer({
      'GET /v1/peers': () => ({ peers: [] }),
      'GET /v1/status': (_asked, response) => fail(response, 409, 'conflict', 'try again after a look'),
      'GET /v1/services': (_asked, response) => void response.end('<html>'),
      'GET /v1/instances': () => undefined,
      'GET /v1/conflicts': (_asked, response) => void response.writeHead(502).end('bad gateway'),
      'GET /v1/logs': (_asked, response) => void response.write('{"n":1}\n{"n":2}\n'),
      'GET /v1/watch': (_asked, response) => {
        response.write('data: {"n":1}\n\n')
        response.write('data: {"n":2}\n\n', () => response.destroy())
      },
      'POST /v1/changes': ({ body }) => body,
    })
    client = new Client({ kind: 'socket', path: peer.socket }, 'secret')
  })
  after(() => peer.close())

  it('asks with its token and reads JSON', async () => {
    assert.deepEqual(await client.get('/v1/peers', { a: 1, b: undefined }), { peers: [] })
    const last = peer.asked.at(-1)
    assert.equal(last?.url.search, '?a=1')
    assert.equal(last?.token, 'Bearer secret')
  })

  it('posts JSON', async () => {
    assert.deepEqual(await client.post('/v1/changes', { x: 'ä' }), { x: 'ä' })
  })

  it("throws the peer's own error", async () => {
    await assert.rejects(client.get('/v1/status'), { code: 'conflict', message: 'try again after a look' })
  })

  it('says that it is no peer when the answer is not of the API', async () => {
    await assert.rejects(client.get('/v1/services'), {
      code: 'internal',
      message: /does not speak tutti's API/,
    })
    await assert.rejects(client.get('/v1/conflicts'), {
      code: 'internal',
      message: /answered with status 502/,
    })
  })

  it('gives up on a peer that does not answer', async () => {
    await assert.rejects(client.get('/v1/instances', {}, 50), {
      code: 'timeout',
      message: /did not answer in time/,
    })
  })

  it('ends a stream silently when it is told to stop', async () => {
    const stop = new AbortController()
    const seen: unknown[] = []
    for await (const value of client.lines('/v1/logs', {}, stop.signal)) {
      seen.push(value)
      if (seen.length === 2) stop.abort()
    }
    assert.deepEqual(seen, [{ n: 1 }, { n: 2 }])
  })

  it('closes the connection when its reader leaves', async () => {
    for await (const value of client.lines('/v1/logs', {})) {
      assert.deepEqual(value, { n: 1 })
      break
    }
  })

  it('throws when a stream breaks off', async () => {
    const readAll = async (): Promise<void> => {
      for await (const value of client.events('/v1/watch', {})) assert.ok(value)
    }
    await assert.rejects(readAll(), { code: 'unreachable' })
  })

  it('says how to start a peer where none answers', async () => {
    const none = new Client({ kind: 'socket', path: '/nonexistent/tutti.sock' }, null)
    await assert.rejects(none.get('/v1/peers'), {
      code: 'unreachable',
      message: 'no peer answers on /nonexistent/tutti.sock; start one with tutti up',
    })
  })

  it('says so where a port is closed', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise((resolve) => server.close(resolve))
    const none = new Client({ kind: 'url', url: new URL(`http://127.0.0.1:${port}`) }, null)
    await assert.rejects(none.get('/v1/peers'), { code: 'unreachable', message: /no peer answers on http:/ })
  })
})

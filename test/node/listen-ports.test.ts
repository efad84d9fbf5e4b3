// The ports of a peer that listens on any: which ones it asks for again.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { rememberPorts, withFormerPorts } from '../../node/listen-ports.ts'

/** Small values in memory. */
const smallValues = () => {
  const values = new Map<string, Uint8Array>()
  return {
    values,
    readSmall: async (name: string): Promise<Uint8Array | null> => values.get(name) ?? null,
    writeSmall: async (name: string, bytes: Uint8Array): Promise<void> => void values.set(name, bytes),
  }
}

/** A port that was free a moment ago, and what holds it until it is let go. */
const held = async (): Promise<{ readonly port: number; readonly letGo: () => Promise<void> }> => {
  const server = createServer()
  await new Promise<void>((done) => server.listen({ host: '127.0.0.1', port: 0 }, done))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    port: address.port,
    letGo: () => new Promise((done) => server.close(() => done())),
  }
}

describe('the ports of a peer that listens on any', () => {
  it('are those of last time where they are free, and any where they are not', async () => {
    const data = smallValues()
    const { port, letGo } = await held()
    const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/7701']
    assert.deepEqual(await withFormerPorts(listen, data), listen)
    await rememberPorts(listen, [`/ip4/127.0.0.1/tcp/${port}/p2p/12D3`], data)
    assert.deepEqual(await withFormerPorts(listen, data), listen)
    await letGo()
    assert.deepEqual(await withFormerPorts(listen, data), [
      `/ip4/127.0.0.1/tcp/${port}`,
      '/ip4/127.0.0.1/tcp/7701',
    ])
  })

  it('belong to what was asked for: one family of addresses, or one of them', async () => {
    const data = smallValues()
    const listen = ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0', '/ip4/10.0.0.9/tcp/0']
    const bound = ['/ip4/10.0.0.1/tcp/41001', '/ip6/fd00::1/tcp/41002']
    await rememberPorts(listen, bound, data)
    const text = Buffer.from(data.values.get('listen-ports') ?? []).toString()
    assert.deepEqual(JSON.parse(text), { '/ip4/0.0.0.0/tcp/0': 41001, '/ip6/::/tcp/0': 41002 })
  })

  it('are nobody’s business where all ports are given, and not believed where they are damaged', async () => {
    const data = smallValues()
    await rememberPorts(['/ip4/0.0.0.0/tcp/7701'], ['/ip4/10.0.0.1/tcp/7701'], data)
    assert.equal(data.values.size, 0)
    const listen = ['/ip4/127.0.0.1/tcp/0']
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"/ip4/127.0.0.1/tcp/0": 70000}',
      '{"/ip4/127.0.0.1/tcp/0": "x"}',
    ]) {
      data.values.set('listen-ports', new Uint8Array(Buffer.from(text)))
      assert.deepEqual(await withFormerPorts(listen, data), listen)
    }
  })
})

// A transport that cannot listen: what its operator reads.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { silentLog } from '../../../lib/log.ts'
import { createLibp2pTransport } from '../../../net/libp2p/transport.ts'
import { CLUSTER, seedOf } from './fleet.ts'
import { systemClock } from '../../../node/clock.ts'

describe('a transport whose address is taken', () => {
  it('says so in one sentence, with the address and the way out', async () => {
    const taken = createServer()
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening))
    const bound = taken.address()
    assert.ok(bound !== null && typeof bound === 'object')
    const address = `/ip4/127.0.0.1/tcp/${bound.port}`
    const transport = await createLibp2pTransport({
      seed: seedOf(0),
      cluster: CLUSTER,
      listen: [address],
      log: silentLog,
      clock: systemClock,
    })
    const start = transport.start({
      connected: () => undefined,
      disconnected: () => undefined,
      message: () => undefined,
      gossip: () => 'accept',
      request: async function* (_from, _method, body) {
        yield body
      },
      join: async () => new Uint8Array(),
    })
    await assert.rejects(start, {
      code: 'conflict',
      message: `cannot listen on ${address}: listen EADDRINUSE: address already in use 127.0.0.1:${bound.port}; choose another --listen`,
    })
    taken.close()
  })
})

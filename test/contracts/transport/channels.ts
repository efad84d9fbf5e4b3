// Claims of the transport contract about messages: order, size, and a queue with an end (S14).

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { utf8 } from '../../../lib/bytes.ts'
import { LIMITS } from '../../../lib/limits.ts'
import { connectPeers, type OpenTwo } from './fleet.ts'

export const channelClaims = (openTwo: OpenTwo, connectedTwo: OpenTwo): void => {
  it('delivers messages in order on each channel, both ways', async () => {
    const [fleet, a, b] = await connectedTwo()
    const texts = Array.from({ length: 50 }, (_, at) => `m${at}`)
    for (const text of texts) {
      for (const channel of ['beat', 'sync'] as const) {
        assert.equal(a.transport.send(b.id, channel, utf8(text)), true)
        assert.equal(b.transport.send(a.id, channel, utf8(text)), true)
      }
    }
    await fleet.until(() => a.messages.length === 100 && b.messages.length === 100, 'all messages arrive')
    for (const peer of [a, b]) {
      assert.deepEqual(peer.texts('beat'), texts)
      assert.deepEqual(peer.texts('sync'), texts)
    }
  })

  it('carries an empty message and the largest one', async () => {
    const [fleet, a, b] = await connectedTwo()
    const large = Uint8Array.from({ length: LIMITS.messageBytesMax }, (_, at) => at % 251)
    assert.equal(a.transport.send(b.id, 'sync', new Uint8Array()), true)
    assert.equal(a.transport.send(b.id, 'sync', large), true)
    await fleet.until(() => b.messages.length === 2, 'both messages arrive')
    assert.equal(b.messages[0]?.bytes.length, 0)
    assert.ok(Buffer.from(large).equals(b.messages[1]?.bytes ?? new Uint8Array()))
    assert.equal(a.transport.send(b.id, 'sync', new Uint8Array(LIMITS.messageBytesMax + 1)), false)
  })

  it('answers false without a connection and when the queue is full (S14)', async () => {
    const [fleet, a, b] = await openTwo()
    assert.equal(a.transport.send(b.id, 'beat', utf8('x')), false)
    await connectPeers(fleet, a, b)
    let taken = 0
    while (taken < 100 && a.transport.send(b.id, 'sync', new Uint8Array(1024 * 1024).fill(taken))) taken += 1
    assert.ok(taken >= 2 && taken < 100, `${taken} messages were taken`)
    await fleet.until(() => b.messages.length === taken, 'all taken messages arrive')
    assert.deepEqual(
      b.messages.map(({ bytes }) => bytes[0]),
      Array.from({ length: taken }, (_, at) => at),
    )
    assert.equal(a.transport.send(b.id, 'sync', utf8('again')), true)
  })
}

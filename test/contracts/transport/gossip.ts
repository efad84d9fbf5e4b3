// Claims of the transport contract about gossip: it reaches everyone, and only what a verdict accepts goes on (S4).

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { utf8 } from '../../../lib/bytes.ts'
import { LIMITS } from '../../../lib/limits.ts'
import { connectPeers, heard, publishUntil, type OpenSome } from './fleet.ts'

export const gossipClaims = (open: OpenSome): void => {
  it('brings gossip to everyone, over members in between, once', async () => {
    const [fleet, peers] = await open(4)
    const [first, second] = peers
    assert.ok(first !== undefined && second !== undefined)
    for (const [at, peer] of peers.slice(1).entries()) await connectPeers(fleet, peers[at] ?? first, peer)
    const others = peers.slice(1)
    await publishUntil(fleet, first, 'news', () => others.every((peer) => heard(peer, 'news')))
    await publishUntil(fleet, second, 'reply', () => heard(first, 'reply'))
    for (const peer of peers) assert.equal(new Set(peer.gossiped).size, peer.gossiped.length)
    assert.ok(!heard(first, 'news'), 'nobody hears itself')
  })

  it('forwards what is accepted, and neither what is ignored nor what is rejected (S4)', async () => {
    const [fleet, [a, b, c]] = await open(3)
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    await connectPeers(fleet, a, b)
    await connectPeers(fleet, b, c)
    b.verdict = (text) => (text.startsWith('bad') ? 'reject' : text.startsWith('odd') ? 'ignore' : 'accept')
    await publishUntil(fleet, a, 'warm', () => heard(c, 'warm'))
    a.transport.publish(utf8('bad-once'))
    await publishUntil(fleet, a, 'odd', () => heard(b, 'odd') && b.gossiped.includes('bad-once'))
    await publishUntil(fleet, a, 'good', () => heard(c, 'good'))
    assert.deepEqual(
      c.gossiped.filter((text) => /^(bad|odd)/.test(text)),
      [],
    )
  })

  it('never throws on publishing: not alone, not twice, not too much', async () => {
    const [, [a]] = await open(1)
    assert.ok(a !== undefined)
    a.transport.publish(utf8('alone'))
    a.transport.publish(utf8('alone'))
    a.transport.publish(new Uint8Array(LIMITS.gossipBytesMax + 1))
  })
}

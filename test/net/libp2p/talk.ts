// Two peers that talk: what the tests of connections check after each trouble.

import assert from 'node:assert/strict'
import { utf8 } from '../../../lib/bytes.ts'
import { type Fleet, type Peer, publishUntil } from '../../contracts/transport.ts'
import { until } from './fleet.ts'

/** Whether a peer heard gossip that `publishUntil` published under a prefix. */
export const gossips = (peer: Peer, prefix: string): boolean =>
  peer.gossiped.some((text) => text.startsWith(`${prefix}-`))

/** Gossip and messages reach the other side, both ways. */
export const talkBothWays = async (fleet: Fleet, a: Peer, b: Peer, label: string): Promise<void> => {
  await publishUntil(fleet, a, `${label}-ab`, () => gossips(b, `${label}-ab`))
  await publishUntil(fleet, b, `${label}-ba`, () => gossips(a, `${label}-ba`))
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    assert.ok(from.transport.send(to.id, 'sync', utf8(label)))
    await until(() => to.texts('sync').includes(label), 'the message arrives')
  }
}

// Two peers that talk: what the tests of connections check after each trouble.

import assert from 'node:assert/strict'
import { utf8 } from '../../../lib/bytes.ts'
import { heard, publishUntil, type Fleet, type Peer } from '../../contracts/transport/fleet.ts'
import { until } from '../../support/until.ts'

/** Gossip and messages reach the other side, both ways. */
export const talkBothWays = async (fleet: Fleet, a: Peer, b: Peer, label: string): Promise<void> => {
  await publishUntil(fleet, a, `${label}-ab`, () => heard(b, `${label}-ab`))
  await publishUntil(fleet, b, `${label}-ba`, () => heard(a, `${label}-ba`))
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    assert.ok(from.transport.send(to.id, 'sync', utf8(label)))
    await until(() => to.texts('sync').includes(label), 'the message arrives')
  }
}

// Words for what placements are compared by: who holds how many slots, what moved between two, and whether a spread is
// even. It places nothing.

import assert from 'node:assert/strict'
import { type MemberId, type SlotId } from '../../../lib/ids.ts'
import { memberShareOf } from '../../../node/plan/race.ts'
import type { SlotPlacement } from '../../../node/plan/plan.ts'
import { idOf, service } from './fleet.ts'

export type Placements = ReadonlyMap<SlotId, SlotPlacement>

/** How many slots each member holds; under null those that nobody can hold. */
export const countsOf = (placements: Placements): Map<MemberId | null, number> => {
  const counts = new Map<MemberId | null, number>()
  for (const { member } of placements.values()) counts.set(member, (counts.get(member) ?? 0) + 1)
  return counts
}

/** Slots that are placed in both and on different members. */
export const movedBetween = (before: Placements, after: Placements): number =>
  [...before.values()].filter(({ slot, member }) => after.has(slot) && after.get(slot)?.member !== member)
    .length

/** How many slots the member of this name holds. */
export const heldBy = (placements: Placements, name: string): number =>
  countsOf(placements).get(idOf(name)) ?? 0

/** So many services over three cells, all with the same number of replicas. */
export const someServices = (count: number, replicas: number) =>
  Array.from({ length: count }, (_, at) => service(`c${at % 3}/s${at}`, { replicas }))

/** Who holds the slot; undefined where it is not placed at all. */
export const memberOf = (placements: Placements, slot: string): MemberId | null | undefined =>
  placements.get(slot as SlotId)?.member

/** No member holds more of a service than an even share, give or take the slack of large services. */
export const assertEven = (placements: Placements, candidates: number, replicas: number): void => {
  const counts = new Map<string, number>()
  for (const { service: id, member } of placements.values())
    counts.set(`${id} ${member}`, (counts.get(`${id} ${member}`) ?? 0) + 1)
  const most = Math.max(...counts.values())
  assert.ok(most <= memberShareOf(replicas - 1, candidates), `one member holds ${most} of ${replicas}`)
}

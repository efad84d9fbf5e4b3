// Placement: which member each slot belongs to, as a pure function of services, members and what dead or cordoned ones
// hold; no history and no chance (S5). Time enters only as whether a dead member's reschedule delay has passed. Any two
// peers with the same inputs agree, so nobody needs to be asked. The memo only saves work, whatever it has seen.

import { unreachable } from '../../lib/assert.ts'
import type { MemberId, SlotId } from '../../lib/ids.ts'
import type { Election } from './election.ts'
import { Electorate } from './electorate.ts'
import { absenceOf } from './eligibility.ts'
import { hindranceOf } from './hindrance.ts'
import { electAll } from './homes.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'
import { Preferences } from './preferences.ts'
import type { Outcome, Race } from './race.ts'

/** What one election leaves for the next. Belongs to one caller; never shared between clusters. */
export class PlacementMemo {
  readonly preferences = new Preferences()
}

/** Every wanted slot with its member, in canonical order. */
export const place = (
  input: PlanInput,
  memo: PlacementMemo = new PlacementMemo(),
): ReadonlyMap<SlotId, SlotPlacement> => {
  const electorate = new Electorate(input)
  const placements = new Map<SlotId, SlotPlacement>()
  // One reason per service and kind of outcome: thousands of slots share a few sentences.
  const reasons = new Map<string, string>()
  const reasonOf = (race: Race, outcome: Outcome, election: Election): string => {
    const { member, home, leniency } = outcome
    const key = `${race.service.id} ${member < 0 ? -1 : leniency} ${home === member ? -1 : home}`
    const known = reasons.get(key)
    if (known !== undefined && race.service.mode === 'replicated') return known
    const reason = member < 0 ? hindranceOf(election, race) : choiceReason(electorate, race, outcome)
    reasons.set(key, reason)
    return reason
  }
  electAll(electorate, memo.preferences, {
    elected: (race, outcome, election) => {
      placements.set(race.slot, {
        slot: race.slot,
        service: race.service.id,
        member: memberAt(electorate, outcome.member),
        reason: reasonOf(race, outcome, election),
      })
    },
  })
  return placements
}

const memberAt = (electorate: Electorate, at: number): MemberId | null => electorate.members[at]?.id ?? null

/** Why a slot is where it is, for one that has a member. */
export const choiceReason = (electorate: Electorate, race: Race, outcome: Outcome): string => {
  if (race.service.mode === 'global') return 'a global service runs on every eligible member'
  const { candidates, leniency } = outcome
  const home = outcome.home === outcome.member ? undefined : electorate.members[outcome.home]
  const away = home === undefined ? '' : `its home ${home.name} ${absenceOf(home)}; `
  const among = `${away}the best of ${candidates} candidate${candidates === 1 ? '' : 's'} by spread and hash`
  switch (leniency) {
    case 0:
      return among
    case 1:
      return `${among}, beyond its share of the load since nobody else can take it`
    case 2:
      return `${among}, beside others of its service since no other member can take it`
    case 3:
      return `${among}, beyond an even spread over ${race.service.spread ?? 'the label'} since no other value can take it`
    default:
      return unreachable(leniency)
  }
}

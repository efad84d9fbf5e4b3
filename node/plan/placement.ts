// Placement: which member each slot belongs to, as a pure function of services, members and what dead or cordoned ones
// hold; no history and no chance (S5). Time enters only as whether a dead member's reschedule delay has passed. Any two
// peers with the same inputs agree, so nobody needs to be asked. The memo only saves work, whatever it has seen.

import { unreachable } from '../../lib/assert.ts'
import type { MemberId, SlotId } from '../../lib/ids.ts'
import { canonicalJson } from '../../lib/order.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { Election } from './election.ts'
import { Electorate } from './electorate.ts'
import { absenceOf, isPresent, keepsUntilMs, type KeepPolicy, type RosterMember } from './eligibility.ts'
import { hindranceOf } from './hindrance.ts'
import { electAll } from './homes.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'
import { Preferences } from './preferences.ts'
import { RosterMemo } from './roster-memo.ts'
import type { Outcome, Race } from './race.ts'

/** What one election leaves for the next. Belongs to one caller; never shared between clusters. */
export class PlacementMemo {
  readonly preferences = new Preferences()
  readonly roster = new RosterMemo()
  #latest: Placed | null = null

  /**
   * The last answer, where it was about the same services and members, which hold the same and may keep the same. Most
   * passes are about instances, and all of those find it, also while somebody is away.
   */
  recall(input: PlanInput, members: readonly RosterMember[]): ReadonlyMap<SlotId, SlotPlacement> | null {
    const latest = this.#latest
    if (latest === null || latest.services !== input.view.services) return null
    const isAlike =
      latest.members === members ||
      (latest.members.length === members.length &&
        members.every((member, at) => placesAlike(member, latest.members[at])))
    return isAlike && latest.keeping === keepingOf(input, members) ? latest.placements : null
  }

  keep(electorate: Electorate, placements: ReadonlyMap<SlotId, SlotPlacement>): void {
    const { input, members } = electorate
    // Why nobody can hold a slot says for how long a member has been dead, which is another sentence a second later.
    const dated =
      members.some(({ state }) => state === 'dead') &&
      [...placements.values()].some(({ member }) => member === null)
    const { services } = input.view
    this.#latest = dated ? null : { services, members, keeping: keepingOf(input, members), placements }
  }
}

interface Placed {
  readonly services: readonly ServiceView[]
  readonly members: readonly RosterMember[]
  readonly keeping: string
  readonly placements: ReadonlyMap<SlotId, SlotPlacement>
}

/** Which dead members may still keep slots, by policy: all that time changes. */
const keepingOf = (input: PlanInput, members: readonly RosterMember[]): string => {
  const dead = members.filter(({ state }) => state === 'dead')
  if (dead.length === 0) return ''
  const { nowMs, view, membership } = input
  const policies = new Map<string, KeepPolicy>()
  for (const service of view.services)
    policies.set(`${service.onPartition} ${service.rescheduleAfterMs}`, service)
  return [...policies.values()]
    .map((policy) =>
      dead
        .map((member) => (keepsUntilMs(member, policy, membership.brakedUntilMs) > nowMs ? 'k' : '-'))
        .join(''),
    )
    .join(' ')
}

const placesAlike = (now: RosterMember, before: RosterMember | undefined): boolean =>
  before !== undefined &&
  now.id === before.id &&
  now.name === before.name &&
  now.known === before.known &&
  now.cordoned === before.cordoned &&
  now.outReason === before.outReason &&
  (now.state === before.state || (isPresent(now.state) && isPresent(before.state))) &&
  now.cpusMilli === before.cpusMilli &&
  now.memoryBytes === before.memoryBytes &&
  (now.labels === before.labels || canonicalJson(now.labels) === canonicalJson(before.labels)) &&
  (now.confinement === before.confinement ||
    canonicalJson(now.confinement) === canonicalJson(before.confinement)) &&
  (now.held === before.held || sameSlots(now.held, before.held))

const sameSlots = (one: ReadonlySet<SlotId>, other: ReadonlySet<SlotId>): boolean =>
  one.size === other.size && [...one].every((slot) => other.has(slot))

/** Every wanted slot with its member, in canonical order. */
export const place = (
  input: PlanInput,
  memo: PlacementMemo = new PlacementMemo(),
): ReadonlyMap<SlotId, SlotPlacement> => {
  const members = memo.roster.of(input)
  const recalled = memo.recall(input, members)
  if (recalled !== null) return recalled
  const electorate = new Electorate(input, members)
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
  memo.keep(electorate, placements)
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

// Explanations: why a slot is where it is, why not elsewhere, and what would change that. It re-runs the election and looks
// at every member as the election did when it decided, so an explanation never disagrees with the placement.

import { unreachable } from '../../lib/assert.ts'
import { serviceOfSlot, type MemberId, type SlotId } from '../../lib/ids.ts'
import { formatSize } from '../../lib/time.ts'
import type { Election } from './election.ts'
import { Electorate } from './electorate.ts'
import { absenceOf } from './eligibility.ts'
import { withoutMembers } from './what-if.ts'
import { cpusText, hindranceOf, hindrancesOf, reservationsOf, type Hindrance } from './hindrance.ts'
import { electAll } from './homes.ts'
import { choiceReason, place, PlacementMemo } from './placement.ts'
import { placementVersionOf } from './placement-version.ts'
import type { PlanInput } from './plan.ts'
import type { Outcome, Race } from './race.ts'

export interface ExplainedCandidate {
  readonly member: MemberId
  readonly name: string
  readonly eligible: boolean
  /** Why not; for an eligible one what speaks against it, or that nothing does. Words that follow the name. */
  readonly reasons: readonly string[]
  /** Place in the hash's order over all members: 1 is its first choice. */
  readonly rank: number
}

export interface Explanation {
  readonly slot: SlotId
  /** Null: placed nowhere. */
  readonly member: MemberId | null
  readonly reason: string
  readonly version: number
  /** By rank. */
  readonly candidates: readonly ExplainedCandidate[]
  /** What would change the answer, one sentence each. */
  readonly changes: readonly string[]
}

/** Explains one slot; null when the view wants no such slot (removed, stopped, scaled down, not eligible). */
export const explainSlot = (
  input: PlanInput,
  slot: SlotId,
  memo: PlacementMemo = new PlacementMemo(),
): Explanation | null => explainService(input, [slot], memo)[0] ?? null

/** Explains slots, usually every one of a service, in their order. Those that the view does not want are left out. */
export const explainService = (
  input: PlanInput,
  slots: readonly SlotId[],
  memo: PlacementMemo = new PlacementMemo(),
): readonly Explanation[] => {
  const wanted = new Set(slots)
  const electorate = new Electorate(input)
  const version = placementVersionOf(input)
  const outlook = new Outlook(input, memo)
  const looks = new Map<SlotId, Look>()
  const answers = new Map<SlotId, Explanation>()
  electAll(electorate, memo.preferences, {
    // A slot that is seated at home was decided in the first stage, any other in the second, which comes later.
    look: (election, race) => {
      if (wanted.has(race.slot)) looks.set(race.slot, lookAt(electorate, election, race))
    },
    elected: (race, outcome) => {
      const look = looks.get(race.slot)
      if (look === undefined) return
      const { slot } = race
      const member = electorate.members[outcome.member]?.id ?? null
      const reason = member === null ? look.hindrance : choiceReason(electorate, race, outcome)
      // Who would be next is another election, with the same memo: not in the midst of this one.
      const changes = member === null ? look.changes : []
      answers.set(slot, { slot, member, reason, version, candidates: look.candidates, changes })
      if (member !== null) outlook.note(race, outcome)
    },
  })
  return slots.flatMap((slot) => {
    const answer = answers.get(slot)
    if (answer === undefined) return []
    return [answer.member === null ? answer : { ...answer, changes: outlook.changesOf(electorate, slot) }]
  })
}

/** What is seen of a slot just before it is elected. */
interface Look {
  readonly candidates: readonly ExplainedCandidate[]
  readonly hindrance: string
  readonly changes: readonly string[]
}

const lookAt = (electorate: Electorate, election: Election, race: Race): Look => ({
  candidates: candidatesOf(electorate, election, race),
  hindrance: hindranceOf(election, race),
  changes: changesOfLost(election, race),
})

/** What would move a placed slot: the placement without its member, computed once for each member. */
class Outlook {
  readonly #input: PlanInput
  readonly #memo: PlacementMemo
  readonly #placed = new Map<SlotId, { readonly race: Race; readonly outcome: Outcome }>()
  readonly #without = new Map<MemberId, ReturnType<typeof place>>()

  constructor(input: PlanInput, memo: PlacementMemo) {
    this.#input = input
    this.#memo = memo
  }

  note(race: Race, outcome: Outcome): void {
    this.#placed.set(race.slot, { race, outcome })
  }

  changesOf({ members }: Electorate, slot: SlotId): readonly string[] {
    const placed = this.#placed.get(slot)
    const holder = members[placed?.outcome.member ?? -1]
    if (placed === undefined || holder === undefined) return []
    if (placed.race.service.mode === 'global') return [`it ends when ${holder.name} is drained or leaves`]
    const next = this.#withoutMember(holder.id).get(slot)?.member ?? null
    const nextName = members.find(({ id }) => id === next)?.name
    const home = members[placed.outcome.home]
    return [
      nextName === undefined
        ? `if ${holder.name} goes, nobody can hold it`
        : `if ${holder.name} goes, it moves to ${nextName}`,
      ...(home === undefined || home === holder
        ? []
        : [`it returns to ${home.name}, which ${absenceOf(home)}, when that takes slots again`]),
    ]
  }

  #withoutMember(member: MemberId): ReturnType<typeof place> {
    const known =
      this.#without.get(member) ?? place(withoutMembers(this.#input, new Set([member])), this.#memo)
    this.#without.set(member, known)
    return known
  }
}

/** Members in the hash's order for a slot. */
const candidatesOf = (
  electorate: Electorate,
  election: Election,
  race: Race,
): readonly ExplainedCandidate[] => {
  const { members } = electorate
  const ranked = members
    .map((member, at) => ({ member, at, cost: election.preferences.cost(race.hash, at) }))
    .sort((a, b) => a.cost * b.member.weight - b.cost * a.member.weight || a.at - b.at)
  return ranked.map(({ member, at }, rank) => {
    const own = race.service.mode !== 'global' || race.slot === `${race.service.id}/${member.name}`
    const hindrances = hindrancesOf(election, race, at, electorate).map(({ reason }) => reason)
    const reasons = own ? hindrances : ['has a slot of its own in this global service']
    const eligible = reasons.length === 0
    const soft = eligible ? reservationsOf(election, race, at) : []
    const positive = eligible && soft.length === 0 ? ['can take it'] : []
    return {
      member: member.id,
      name: member.name,
      eligible,
      reasons: [...reasons, ...soft, ...positive],
      rank: rank + 1,
    }
  })
}

/** Suggestions named at once. More would be a list to search, not advice. */
const CHANGES_MAX = 5

/** For a slot that nobody can hold: what would let a member hold it, for members that one step would help. */
const changesOfLost = (election: Election, race: Race): readonly string[] => {
  const { members } = election.electorate
  const changes: string[] = []
  members.forEach((member, at) => {
    const [first, second] = hindrancesOf(election, race, at)
    if (first !== undefined && second === undefined)
      changes.push(changeFor(election, race, at, member.name, first))
  })
  const { reservedCpusMilli: cpus, reservedMemoryBytes: memory } = race.service
  const needs = [
    ...(cpus > 0 ? [`${cpusText(cpus)} free`] : []),
    ...(memory > 0 ? [`${formatSize(memory)} free`] : []),
    ...(race.service.isolation === 'sandbox' ? ['bubblewrap'] : []),
    ...(race.service.user === null ? [] : ['a peer that runs as root']),
    ...race.service.constraints,
  ]
  changes.push(needs.length === 0 ? 'add a member' : `add a member with ${needs.join(', ')}`)
  return [...new Set(changes)].slice(-CHANGES_MAX)
}

const changeFor = (
  election: Election,
  race: Race,
  at: number,
  name: string,
  { kind, reason }: Hindrance,
): string => {
  switch (kind) {
    case 'out':
    case 'keeps':
      return election.electorate.members[at]?.cordoned === true
        ? `uncordon ${name}`
        : `bring ${name} back: it ${reason}`
    case 'constraint':
      return `give ${name} other labels, or change the constraint: ${reason}`
    case 'confinement':
      return `let ${name} confine it, or ask for less: it ${reason}`
    case 'room':
      return `free room on ${name}, or reserve less: it ${reason}`
    case 'per-node':
      return `raise max_replicas_per_node of ${serviceOfSlot(race.slot)}, now ${race.service.replicasPerNodeMax ?? 0}`
    default:
      return unreachable(kind)
  }
}

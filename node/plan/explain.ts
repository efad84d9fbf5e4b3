// Explanations: why a slot is where it is, why not elsewhere, and what would change that. It re-runs the election up to the
// slot and looks at every member as the election did, so an explanation never disagrees with the placement.

import { unreachable } from '../../lib/assert.ts'
import { serviceOfSlot, type MemberId, type SlotId } from '../../lib/ids.ts'
import { formatSize } from '../../lib/time.ts'
import { Election, type Outcome, type Race } from './election.ts'
import { Electorate } from './electorate.ts'
import { cpusText, hindranceOf, hindrancesOf, reservationsOf, type Hindrance } from './hindrance.ts'
import { choiceReason, placementVersionOf, PlacementMemo } from './placement.ts'
import type { PlanInput } from './plan.ts'

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
): Explanation | null => {
  const electorate = new Electorate(input)
  const election = new Election(electorate, memo.preferences)
  let answer: Explanation | null = null
  let candidates: readonly ExplainedCandidate[] = []
  let hindrance = ''
  let changes: readonly string[] = []
  let looked = false
  election.run(
    (race, outcome) => {
      if (race.slot !== slot) return
      const member = electorate.members[outcome.member]?.id ?? null
      answer = {
        slot,
        member,
        reason: outcome.member < 0 ? hindrance : choiceReason(race, outcome.leniency),
        version: placementVersionOf(input),
        candidates,
        changes: member === null ? changes : changesOfPlaced(electorate, candidates, outcome, race),
      }
    },
    (race) => {
      if (looked) return false
      if (race.slot === slot) {
        looked = true
        candidates = candidatesOf(election, race)
        hindrance = hindranceOf(election, race)
        changes = changesOfLost(election, race)
      }
      return true
    },
  )
  return answer
}

/** Explains every slot of a service, in order. */
export const explainService = (
  input: PlanInput,
  slots: readonly SlotId[],
  memo: PlacementMemo = new PlacementMemo(),
): readonly Explanation[] =>
  slots.flatMap((slot) => {
    const explanation = explainSlot(input, slot, memo)
    return explanation === null ? [] : [explanation]
  })

/** Members in the hash's order for a slot. */
const candidatesOf = (election: Election, race: Race): readonly ExplainedCandidate[] => {
  const { members } = election.electorate
  const ranked = members
    .map((member, at) => ({ member, at, cost: election.preferences.cost(race.hash, at) }))
    .sort((a, b) => a.cost * b.member.weight - b.cost * a.member.weight || a.at - b.at)
  return ranked.map(({ member, at }, rank) => {
    const own = race.service.mode !== 'global' || race.slot === `${race.service.id}/${member.name}`
    const hindrances = hindrancesOf(election, race, at).map(({ reason }) => reason)
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

/** For a placed slot: who would be next. */
const changesOfPlaced = (
  electorate: Electorate,
  candidates: readonly ExplainedCandidate[],
  outcome: Outcome,
  race: Race,
): readonly string[] => {
  const holder = electorate.members[outcome.member]
  if (holder === undefined) return []
  if (race.service.mode === 'global') return [`it ends when ${holder.name} is drained or leaves`]
  const next =
    candidates.find(({ member, reasons }) => member !== holder.id && reasons[0] === 'can take it') ??
    candidates.find(({ member, eligible }) => member !== holder.id && eligible)
  return next === undefined
    ? [`if ${holder.name} goes, nobody can hold it`]
    : [`if ${holder.name} goes, it moves to ${next.name}`]
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
    case 'room':
      return `free room on ${name}, or reserve less: it ${reason}`
    case 'per-node':
      return `raise max_replicas_per_node of ${serviceOfSlot(race.slot)}, now ${race.service.replicasPerNodeMax ?? 0}`
    default:
      return unreachable(kind)
  }
}

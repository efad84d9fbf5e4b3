// Eligibility: which members may hold slots at all. A member is open (may take any slot), keeps (only what its status
// shows that it holds: it is cordoned, or dead for less than the reschedule delay) or is out. Constraints and room are
// the election's business; this file knows neither services' reservations nor hashes.

import { sortedBy } from '../../lib/order.ts'
import { formatDuration } from '../../lib/time.ts'
import type { MemberId, SlotId } from '../../lib/ids.ts'
import type { ConfinementFacts, InstanceStatus } from '../../crdt/schema/status.ts'
import type { MemberView, ServiceView } from '../../crdt/schema/view.ts'
import type { MemberState } from '../../net/membership.ts'
import { CONFINEMENT_SINCE_VERSION, placementVersionOf } from './placement-version.ts'
import type { PlanInput } from './plan.ts'

/** One member as the election sees it. */
export interface RosterMember {
  readonly id: MemberId
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly cpusMilli: number
  readonly memoryBytes: number
  /** What it says that it can confine instances by; null: not said, or not to be looked at by the version in force. */
  readonly confinement: ConfinementFacts | null
  /** Share of the load it is given, relative to the others: its whole CPUs, 1 to 64. */
  readonly weight: number
  /** It has said its labels and capacity: without them nothing can have its home there. */
  readonly known: boolean
  readonly cordoned: boolean
  readonly state: MemberState
  /** Monotonic milliseconds since when it is in that state. */
  readonly sinceMs: number
  /** Why it may hold nothing, whatever the service; null: it may. */
  readonly outReason: string | null
  /** Slots that its status shows as held; filled only for members that are cordoned or dead. */
  readonly held: ReadonlySet<SlotId>
}

export type StandingKind = 'open' | 'keeps' | 'out'

export interface Standing {
  readonly kind: StandingKind
  /** Why not open, in words that follow the member's name; empty when open. */
  readonly reason: string
}

/** More CPUs count as this many: one huge machine must not become the whole fleet. */
export const WEIGHT_MAX = 64

const NOTHING: ReadonlySet<SlotId> = new Set()
const OPEN: Standing = { kind: 'open', reason: '' }

/** Alive as far as placement and routing go: a suspicion alone moves nothing. */
export const isPresent = (state: MemberState | undefined): boolean => state === 'alive' || state === 'suspect'

/**
 * True for an entry that only says that the slot is wanted there: nothing runs and nothing ran. Waiting slots report
 * themselves so that people see them; they are no reason to keep a slot on a cordoned member.
 */
export const isMerelyWanted = (status: InstanceStatus): boolean =>
  status.state === 'pending' ||
  status.state === 'fetching' ||
  (status.state === 'unfulfilled' && status.restarts === 0 && status.pid === null)

/** Every member of the view with what is known of it, sorted by id. */
export const rosterOf = (input: PlanInput): readonly RosterMember[] => {
  const liveness = new Map(input.membership.members.map((member) => [member.id, member]))
  const confines = placementVersionOf(input) >= CONFINEMENT_SINCE_VERSION
  return sortedBy(input.view.members, (member) => member.id).map((member) => {
    const status = input.statuses.get(member.id)
    const facts = status?.facts ?? null
    const { state = 'dead', sinceMs = 0 } = liveness.get(member.id) ?? {}
    const keepsOnly = member.cordoned || state === 'dead'
    return {
      id: member.id,
      name: member.name,
      labels: facts?.labels ?? {},
      cpusMilli: facts?.cpusMilli ?? 0,
      memoryBytes: facts?.memoryBytes ?? 0,
      confinement: confines ? (status?.confinement ?? null) : null,
      weight: Math.min(Math.max(Math.floor((facts?.cpusMilli ?? 0) / 1000), 1), WEIGHT_MAX),
      known: facts !== null,
      cordoned: member.cordoned,
      state,
      sinceMs,
      outReason: outReasonOf(member, state, facts),
      held: keepsOnly ? heldBy(input, member) : NOTHING,
    }
  })
}

/** A member as it is when it is back and takes slots; the very same when nothing is in the way now. */
export const asIfThere = (member: RosterMember): RosterMember =>
  !member.known || (member.outReason === null && !member.cordoned && isPresent(member.state))
    ? member
    : { ...member, state: 'alive', cordoned: false, outReason: null, held: NOTHING }

/** Why a member cannot hold its own slots, in words that follow its name and stay the same while it lasts. */
export const absenceOf = (member: RosterMember): string => {
  if (member.outReason !== null) return member.outReason
  return member.state === 'dead' ? 'is dead' : 'is cordoned'
}

const outReasonOf = (
  member: MemberView,
  state: MemberState,
  facts: { readonly running: boolean } | null,
): string | null => {
  if (facts === null) return 'has not said its labels and capacity yet'
  if (member.draining) return 'is draining'
  if (state === 'left' || !facts.running) return 'has left'
  return null
}

/** What a peer holds itself it knows better than its own last status, which is a pass old, or void after a restart. */
const heldBy = (input: PlanInput, member: MemberView): ReadonlySet<SlotId> => {
  if (member.id === input.self) return new Set(input.local.map((instance) => instance.slot))
  const held = new Set<SlotId>()
  for (const [id, status] of input.statuses.get(member.id)?.instances ?? []) {
    if (!member.cordoned || !isMerelyWanted(status)) held.add(slotOfInstance(id))
  }
  return held
}

/** The branded slot within an instance id, which is a status's key. */
const slotOfInstance = (id: string): SlotId => id.slice(0, id.lastIndexOf('@')) as SlotId

/** What of a service decides how long a dead member keeps its slots. */
export type KeepPolicy = Pick<ServiceView, 'onPartition' | 'rescheduleAfterMs'>

/** Until when a dead member keeps its slots, on this peer's clock; Infinity for `stay`. The brake prolongs it (S16). */
export const keepsUntilMs = (
  member: Pick<RosterMember, 'sinceMs'>,
  policy: KeepPolicy,
  brakedUntilMs: number | null,
): number =>
  policy.onPartition === 'stay'
    ? Infinity
    : Math.max(member.sinceMs + policy.rescheduleAfterMs, brakedUntilMs ?? -Infinity)

/** How a member stands towards a service. Pure in the clock it is given. */
export const standingOf = (
  member: RosterMember,
  policy: KeepPolicy,
  nowMs: number,
  brakedUntilMs: number | null,
): Standing => {
  if (member.outReason !== null) return { kind: 'out', reason: member.outReason }
  if (member.state === 'dead') return standingOfDead(member, policy, nowMs, brakedUntilMs)
  if (member.cordoned) return { kind: 'keeps', reason: 'is cordoned and accepts no new slot' }
  return OPEN
}

const standingOfDead = (
  member: RosterMember,
  policy: KeepPolicy,
  nowMs: number,
  brakedUntilMs: number | null,
): Standing => {
  const dead = `is dead for ${formatDuration(Math.max(nowMs - member.sinceMs, 0))}`
  if (policy.onPartition === 'stay') return { kind: 'keeps', reason: `${dead}, and on_partition is stay` }
  const after = formatDuration(policy.rescheduleAfterMs)
  if (nowMs < member.sinceMs + policy.rescheduleAfterMs)
    return { kind: 'keeps', reason: `${dead}, reschedule_after is ${after}` }
  if (brakedUntilMs !== null && nowMs < brakedUntilMs) {
    const hold = formatDuration(brakedUntilMs - nowMs)
    return { kind: 'keeps', reason: `${dead}, and the brake holds for another ${hold}` }
  }
  return { kind: 'out', reason: `${dead}, longer than the reschedule_after of ${after}` }
}

/**
 * When the standing of a dead member next changes by time alone; null: never. The election's averages count members
 * that keep, so this holds for every service, not only for those whose slots the member holds.
 */
export const nextStandingChangeMs = (input: PlanInput): number | null => {
  const { brakedUntilMs, members } = input.membership
  const policies = new Map<number, KeepPolicy>()
  for (const service of input.view.services) {
    if (service.onPartition !== 'stay') policies.set(service.rescheduleAfterMs, service)
  }
  if (!members.some(({ state }) => state === 'dead')) return null
  const admitted = new Set(input.view.members.map((member) => member.id))
  let next = Infinity
  for (const member of members) {
    if (member.state !== 'dead' || !admitted.has(member.id)) continue
    for (const policy of policies.values()) {
      const untilMs = keepsUntilMs(member, policy, brakedUntilMs)
      if (untilMs > input.nowMs && untilMs < next) next = untilMs
    }
  }
  return next === Infinity ? null : next
}

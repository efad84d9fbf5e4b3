// The plan: one pass's output as a plain value. It is logged, shown by `tutti plan`, compared in transcripts, replayed in
// simulations. Types, and the words of one; make-plan.ts computes it.

import type { InstanceId, MemberId, PackageDigest, ServiceId, SlotId } from '../../lib/ids.ts'
import type { HookStatus, MemberStatus, InstanceState } from '../../crdt/schema/status.ts'
import type { View } from '../../crdt/schema/view.ts'
import type { Membership } from '../../net/membership.ts'
import type { PackageState } from '../package/store.ts'
import type { Action } from './action.ts'
import type { LeaseStanding, LeaseWish } from './lease/terms.ts'
import type { LocalInstance, ProcessExit } from './local.ts'
import type { RolloutMemory } from './rollout/judge.ts'
import type { Stewardship } from './rollout/stewardship.ts'

/** Everything a plan depends on; same inputs, same plan. */
export interface PlanInput {
  readonly self: MemberId
  readonly view: View
  readonly statuses: ReadonlyMap<MemberId, MemberStatus>
  readonly membership: Membership
  readonly local: readonly LocalInstance[]
  /** Monotonic milliseconds of this peer. */
  readonly nowMs: number
  /**
   * The last plan's `unreadySinceMs`, handed back, so that a pass can tell how long a slot has not been as desired.
   * What is not in it counts from this pass on.
   */
  readonly unreadySinceMs?: ReadonlyMap<InstanceId, number>
  /** Leases of quorum slots, by slot. @default none */
  readonly leases?: ReadonlyMap<string, LeaseStanding>
  /** How the packages that the last plan named stand here; what is not in it is yet to be fetched. Left out: all are here. */
  readonly packages?: ReadonlyMap<PackageDigest, PackageState>
  /** The last plan's `rollouts`, handed back likewise. */
  readonly rollouts?: ReadonlyMap<ServiceId, RolloutMemory>
  /** What came of duties so far, by their keys. @default nothing */
  readonly outcomes?: ReadonlyMap<string, HookStatus>
}

/** Where one slot is placed, and why not elsewhere. */
export interface SlotPlacement {
  readonly slot: SlotId
  readonly service: ServiceId
  /** Null: nobody can hold it; `reason` says why. */
  readonly member: MemberId | null
  readonly reason: string
}

/** What this peer will say of one of its instances. `since` (wall time) is added by the agent when the state changes. */
export interface InstanceReport {
  readonly instance: InstanceId
  readonly slot: SlotId
  readonly state: InstanceState
  readonly restarts: number
  readonly reason: string
  /** This peer's claim to the slot; left out: 0. To be said as it is: the next plan finds it in the own status. */
  readonly claim?: number
  /** Desired differs from actual beyond the deadline, since then: monotonic milliseconds. Left out: it does not. */
  readonly unfulfilledSinceMs?: number
  /** It is ready and is being judged, and its checks have begun to fail so often. Left out: never. */
  readonly lapses?: number
  /** The last check failed. Left out: it did not. */
  readonly lapsed?: true
  /** How its last run ended that is over. Left out: none is, or nobody knows of it. */
  readonly exit?: ProcessExit
  /** What that wrote last, where it explains the state. */
  readonly output?: readonly string[]
}

/**
 * Why a slot is not as desired, in one word for metrics and alerts; the reason says it in full. no-member: nobody can hold
 * it. member-away: who holds it is not here. blocked: its start waits (room, a dependency, its turn). not-ready: it runs and
 * has not become ready. failing: it runs and its checks fail. crashed: it ended and starts again. crash-loop: again and
 * again. refused: it cannot be started here. given-up: it ended, and nobody starts it again.
 */
export const UNFULFILLED_CAUSES = [
  'no-member',
  'member-away',
  'blocked',
  'not-ready',
  'failing',
  'crashed',
  'crash-loop',
  'refused',
  'given-up',
] as const
export type UnfulfilledCause = (typeof UNFULFILLED_CAUSES)[number]

/** Desired differs from actual beyond the deadline. */
export interface Unfulfilled {
  readonly slot: SlotId
  readonly cause: UnfulfilledCause
  readonly reason: string
  /** Since when the slot is not as desired; monotonic milliseconds. */
  readonly sinceMs: number
}

export interface Plan {
  readonly actions: readonly Action[]
  readonly reports: readonly InstanceReport[]
  /** Slots this peer answers for that are not as desired: own slots, and unplaceable ones of services it is steward of. */
  readonly unfulfilled: readonly Unfulfilled[]
  /** Overdue slots that nobody holds and another peer answers for, as this one sees them. Left out: none. */
  readonly witnessed?: readonly Unfulfilled[]
  /** Why this peer is not settled; empty: nothing left to do here for this view. */
  readonly waiting: readonly string[]
  /** Whether how far other members have reported to be matters to what this peer does next. */
  readonly awaitsReports: boolean
  /** The leases that this peer is to seek or keep. Left out: none. */
  readonly leases?: readonly LeaseWish[]
  /** When a pass is due although nothing happens (a backoff ends, a hold ends). Monotonic milliseconds; null: never. */
  readonly wakeAtMs: number | null
  /**
   * Slots that are not as desired (own ones, and all that nobody holds), at the release that is wanted, and since when:
   * pass it to the next plan. A new release is given time anew.
   */
  readonly unreadySinceMs?: ReadonlyMap<InstanceId, number>
  /** What runs here or is about to comes from these: to be fetched at once, long before its turn. Left out: none. */
  readonly packages?: readonly PackageDigest[]
  /** What this peer says of rollouts as steward, and has to do for them. Left out: nothing. */
  readonly stewardship?: Pick<Stewardship, 'words' | 'hooks' | 'duties'>
  /** What a steward remembers of rollouts: pass it to the next plan. */
  readonly rollouts?: ReadonlyMap<ServiceId, RolloutMemory>
}

// Quorum services in the plan: their slots run one at a time, under a lease (S9). What the leases are is lease/; here is
// what a pass makes of them: who may start, who must stop, which leases this peer is to seek.

import type { ServiceView } from '../../crdt/schema/view.ts'
import type { ServiceId, SlotId } from '../../lib/ids.ts'
import { sortedBy } from '../../lib/order.ts'
import { STOP_AHEAD_MS, type HeldLease, type LeaseWish } from './lease/terms.ts'
import type { LocalInstance } from './local.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'

export const isExclusive = (service: Pick<ServiceView, 'onPartition'> | undefined): boolean =>
  service?.onPartition === 'quorum'

/** A service as the plan sees it: two runs of a quorum slot never overlap, whatever its update order says. */
export const asPlanned = (service: ServiceView): ServiceView =>
  isExclusive(service) && service.update.order !== 'stop-first'
    ? { ...service, update: { ...service.update, order: 'stop-first' } }
    : service

/** The lease of a slot; null: none that counts now. */
export const leaseOf = ({ leases, nowMs }: PlanInput, slot: SlotId): HeldLease | null => {
  const standing = leases?.get(slot)
  return standing?.kind === 'held' && standing.untilMs > nowMs ? standing : null
}

/** Why a slot may not run here, for want of a lease; null: it may, or needs none. */
export const leaseGate = (input: PlanInput, service: ServiceView, slot: SlotId): string | null => {
  if (!isExclusive(service) || leaseOf(input, slot) !== null) return null
  const standing = input.leases?.get(slot)
  return standing?.kind === 'none' ? standing.reason : 'waits for the lease of its slot'
}

/** The same for a run that is to begin: it needs a token that no run before it had. */
export const beginGate = (input: PlanInput, service: ServiceView, slot: SlotId): string | null => {
  const gate = leaseGate(input, service, slot)
  if (gate !== null || !isExclusive(service)) return gate
  const standing = input.leases?.get(slot)
  return standing?.kind === 'held' && standing.fresh ? null : 'waits for a new token of its lease'
}

/** How long before its lease's end a run is to be stopped, if it was not renewed: so that it ends as its operator wishes. */
const stopAheadMs = ({ definition }: Pick<LocalInstance, 'definition'>): number =>
  Math.min(STOP_AHEAD_MS, definition.stopGraceMs)

/** How long a run that is stopped may take: no longer than its lease. */
export const graceMs = (input: PlanInput, instance: LocalInstance): number => {
  const { stopGraceMs } = instance.definition
  const lease = leaseOf(input, instance.slot)
  if (instance.fence === undefined) return stopGraceMs
  return Math.floor(Math.min(stopGraceMs, Math.max(0, (lease?.untilMs ?? 0) - input.nowMs)))
}

/** Whether a run has lost its lease, or is about to: then there is no time to let traffic run out. */
export const isEndangered = (input: PlanInput, instance: LocalInstance): boolean => {
  if (instance.fence === undefined) return false
  const lease = leaseOf(input, instance.slot)
  return lease === null || input.nowMs >= lease.untilMs - stopAheadMs(instance)
}

/**
 * Why a local instance of a quorum slot must go, whatever else is wanted; null: it need not. One that lives without a lease
 * that this peer knows of was adopted a moment ago, and the lease may be had again in time; if not, its watchdog ends it.
 */
export const unleasedReason = (
  input: PlanInput,
  service: ServiceView,
  instance: LocalInstance,
): string | null => {
  if (!isLive(instance)) return leaseGate(input, service, instance.slot)
  if (instance.fence === undefined) return 'it runs without a lease, which its service now needs'
  return leaseOf(input, instance.slot) !== null && isEndangered(input, instance)
    ? 'the lease of its slot could not be renewed'
    : null
}

const isLive = ({ phase }: LocalInstance): boolean => phase !== 'exited' && phase !== 'broken'

/** What still runs under leases of an earlier start: they are renewed before anything else is known. */
export const adoptedWishes = (local: readonly LocalInstance[]): readonly LeaseWish[] =>
  local.flatMap((instance) =>
    instance.fence !== undefined && isLive(instance)
      ? [{ slot: instance.slot, above: instance.fence, running: true, stopAheadMs: stopAheadMs(instance) }]
      : [],
  )

/** The leases that this peer is to seek or keep: of slots that are placed here, and of whatever still runs. */
export const wishesOf = (
  input: PlanInput,
  placements: ReadonlyMap<SlotId, SlotPlacement>,
  services: ReadonlyMap<ServiceId, ServiceView>,
  starting: ReadonlySet<SlotId>,
): readonly LeaseWish[] => {
  const wishes = new Map<SlotId, LeaseWish>()
  for (const { slot, service, member } of placements.values())
    if (member === input.self && isExclusive(services.get(service)))
      wishes.set(slot, { slot, above: 0, running: starting.has(slot), stopAheadMs: 0 })
  for (const instance of input.local) {
    const { slot, fence = 0 } = instance
    const known = wishes.get(slot)
    if (known === undefined && (instance.fence === undefined || !isLive(instance))) continue
    const above = Math.max(known?.above ?? 0, fence)
    const running = isLive(instance)
    wishes.set(slot, {
      slot,
      above,
      running: (known?.running ?? false) || running,
      stopAheadMs: Math.max(known?.stopAheadMs ?? 0, running ? stopAheadMs(instance) : 0),
    })
  }
  return sortedBy(wishes.values(), ({ slot }) => slot)
}

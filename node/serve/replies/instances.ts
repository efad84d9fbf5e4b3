// The reply of `GET /v1/instances`: every instance that some member reports, and every wanted slot that has none yet. Pure.

import { partsOfService, seatOfSlot, serviceOfSlot, type ServiceId, type SlotId } from '../../../lib/ids.ts'
import { formatDuration } from '../../../lib/time.ts'
import type { InstanceStatus } from '../../../crdt/schema/status.ts'
import type { SlotPlacement } from '../../plan/plan.ts'
import type { InstancesReply } from '../api/contract.ts'
import { leaseReply } from './leases.ts'
import {
  asOf,
  compareSlots,
  nameOf,
  overdueOf,
  slotsByService,
  unreadySinceOf,
  type Reading,
  type Sighting,
} from './reading.ts'

export type InstanceRow = InstancesReply['instances'][number]

/** @param service only of that one. */
export const instancesReply = (reading: Reading, service?: ServiceId): InstancesReply => ({
  asOf: asOf(reading),
  instances: instanceRows(reading).filter(
    (row) => service === undefined || serviceOfSlot(row.slot as SlotId) === service,
  ),
})

/** Sorted by slot. */
export const instanceRows = (reading: Reading): readonly InstanceRow[] => {
  const indexOf = indexes(reading)
  const overdue = overdueOf(reading)
  const reported = reading.sightings.map((sighting) => rowOf(reading, sighting, indexOf))
  const missing = [...reading.placements.values()]
    .filter(({ slot }) => !reading.bySlot.has(slot))
    .map((placement) => missingRow(reading, placement, indexOf, overdue))
  return [...reported, ...missing].sort((a, b) => compareSlots(a.slot, b.slot))
}

type IndexOf = (slot: string) => number

/** A seat's number; of a global service, whose seats are members, the place in the order of names. */
const indexes = (reading: Reading): IndexOf => {
  const places = new Map<string, number>()
  for (const placements of slotsByService(reading).values()) {
    placements.forEach(({ slot }, place) => places.set(slot, place))
  }
  return (slot) => {
    const seat = seatOfSlot(slot as SlotId)
    return /^\d{1,9}$/.test(seat) ? Number(seat) : (places.get(slot) ?? 0)
  }
}

/** A peer of an earlier version says it by the state alone. */
const sinceOf = ({ state, since, unfulfilledSince }: InstanceStatus): number | null =>
  unfulfilledSince ?? (state === 'unfulfilled' ? since : null)

const exitOf = ({ exit }: InstanceStatus): InstanceRow['exit'] =>
  exit === undefined ? null : { ...exit, at: exit.at ?? null }

/** One sighting in full. */
export const rowOf = (reading: Reading, { member, id, status }: Sighting, indexOf: IndexOf): InstanceRow => {
  const { cell, name } = partsOfService(serviceOfSlot(status.slot as SlotId))
  const age = formatDuration(Math.max(0, reading.snapshot.nowMs - member.sinceMs))
  return {
    slot: status.slot,
    cell,
    service: name,
    index: indexOf(status.slot),
    peer: member.view.name,
    release: status.release,
    // A dead member's word no longer holds: what it had may run on, but nobody can tell, so nobody may rely on it.
    state: member.present ? status.state : 'failing',
    pid: status.pid,
    ports: status.ports,
    host: member.status?.facts?.host ?? '',
    since: status.since,
    restarts: status.restarts,
    reason: member.present
      ? status.reason
      : `${member.view.name} is ${member.state} for ${age}; it was ${status.state} when last heard of`,
    unfulfilledSince: member.present ? sinceOf(status) : null,
    exit: exitOf(status),
    output: status.output ?? [],
    ...leasedRow(reading, member, id, status.slot),
  }
}

/** Of an instance that runs under a lease: its token, and what is left of the lease where its peer holds it. */
const leasedRow = (
  reading: Reading,
  { view, status }: Sighting['member'],
  instance: string,
  slot: string,
): Pick<InstanceRow, 'fence' | 'lease'> => {
  const fence = status?.fences?.get(instance)
  if (fence === undefined) return {}
  const lease = leaseReply(reading, slot)
  return lease?.holder === view.name ? { fence, lease } : { fence }
}

const missingRow = (
  reading: Reading,
  placement: SlotPlacement,
  indexOf: IndexOf,
  overdue: ReturnType<typeof overdueOf>,
): InstanceRow => {
  const { slot, service, member, reason } = placement
  const { cell, name } = partsOfService(service)
  const peer = member === null ? '' : nameOf(reading, member)
  return {
    slot,
    cell,
    service: name,
    index: indexOf(slot),
    peer,
    release: reading.snapshot.view.services.find(({ id }) => id === service)?.release ?? '',
    state: member === null ? 'unfulfilled' : 'pending',
    pid: null,
    ports: {},
    host: '',
    since: unreadySinceOf(reading, placement),
    restarts: 0,
    unfulfilledSince: overdue.get(slot)?.since ?? null,
    exit: null,
    output: [],
    reason: member === null ? reason : `placed on ${peer}, which has not reported it yet`,
  }
}

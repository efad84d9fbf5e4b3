// One reading of the cluster: a snapshot with what every reply needs of it, worked out once. Pure. Deliberately absent:
// how a snapshot comes about, and any reply.

import { instanceIdOf, type MemberId, type ServiceId, type SlotId } from '../../../lib/ids.ts'
import { sortedBy, sortedEntries } from '../../../lib/order.ts'
import type { InstanceStatus, MemberStatus } from '../../../crdt/schema/status.ts'
import type { MemberView } from '../../../crdt/schema/view.ts'
import type { MemberLiveness, MemberState } from '../../../net/membership.ts'
import { isMerelyWanted, isPresent } from '../../plan/eligibility.ts'
import type { SlotPlacement } from '../../plan/plan.ts'
import type { AgentSnapshot } from '../../ports.ts'
import type { AsOf } from '../api/contract.ts'

/** One entry of some member's status, with who says it. */
export interface Sighting {
  readonly member: ReadMember
  readonly id: string
  readonly status: InstanceStatus
}

/** A member with everything known of it. */
export interface ReadMember {
  readonly view: MemberView
  readonly state: MemberState
  /** Monotonic milliseconds, as AgentSnapshot.nowMs. */
  readonly sinceMs: number
  readonly present: boolean
  readonly status: MemberStatus | null
}

export interface Reading {
  readonly snapshot: AgentSnapshot
  /** Where every wanted slot belongs. */
  readonly placements: ReadonlyMap<SlotId, SlotPlacement>
  /** Sorted by name. */
  readonly members: readonly ReadMember[]
  /** Instances that living members report, and those of dead ones that nobody has taken over yet; sorted by slot. */
  readonly sightings: readonly Sighting[]
  readonly bySlot: ReadonlyMap<string, readonly Sighting[]>
}

/** A member this peer has never heard a word of: it counts as dead since ever until the detector says otherwise. */
const UNHEARD: Omit<MemberLiveness, 'id'> = { state: 'dead', sinceMs: 0, silent: true }

export const readingOf = (
  snapshot: AgentSnapshot,
  placements: ReadonlyMap<SlotId, SlotPlacement>,
): Reading => {
  const liveness = new Map(snapshot.membership.members.map((member) => [member.id, member]))
  const members = sortedBy(snapshot.view.members, ({ name }) => name).map((view): ReadMember => {
    const { state, sinceMs } = liveness.get(view.id) ?? UNHEARD
    return { view, state, sinceMs, present: isPresent(state), status: snapshot.statuses.get(view.id) ?? null }
  })
  const sightings = sightingsOf(members)
  return { snapshot, placements, members, sightings, bySlot: grouped(sightings) }
}

const sightingsOf = (members: readonly ReadMember[]): readonly Sighting[] => {
  const of = (member: ReadMember): Sighting[] =>
    sortedEntries(member.status?.instances ?? new Map<string, InstanceStatus>()).map(([id, status]) => ({
      member,
      id,
      status,
    }))
  const living = members.filter(({ present }) => present).flatMap(of)
  const taken = new Set(
    living.filter(({ status }) => !isMerelyWanted(status)).map(({ status }) => status.slot),
  )
  const lost = members
    .filter(({ state }) => state === 'dead')
    .flatMap(of)
    .filter(({ status }) => !isMerelyWanted(status) && !taken.has(status.slot))
  return [...living, ...lost].sort((a, b) => compareSlots(a.status.slot, b.status.slot))
}

const grouped = (sightings: readonly Sighting[]): ReadonlyMap<string, readonly Sighting[]> => {
  const groups = new Map<string, Sighting[]>()
  for (const sighting of sightings) {
    const group = groups.get(sighting.status.slot)
    if (group === undefined) groups.set(sighting.status.slot, [sighting])
    else group.push(sighting)
  }
  return groups
}

/** Orders slots as people count: by service, then seats by number (2 before 10), names after numbers. */
export const compareSlots = (a: string, b: string): number => {
  const [aCut, bCut] = [a.lastIndexOf('/'), b.lastIndexOf('/')]
  const [aService, bService] = [a.slice(0, aCut), b.slice(0, bCut)]
  if (aService !== bService) return aService < bService ? -1 : 1
  const [aSeat, bSeat] = [a.slice(aCut + 1), b.slice(bCut + 1)]
  const [aNumber, bNumber] = [numberOf(aSeat), numberOf(bSeat)]
  if (aNumber !== bNumber) return aNumber - bNumber
  return aSeat < bSeat ? -1 : aSeat > bSeat ? 1 : 0
}

const numberOf = (seat: string): number => (/^\d{1,9}$/.test(seat) ? Number(seat) : 1e9)

/** A member's name; of one that is removed or unknown the end of its id, which is the part that differs. */
export const nameOf = (reading: Pick<Reading, 'snapshot'>, id: MemberId): string =>
  reading.snapshot.view.members.find((member) => member.id === id)?.name ?? `…${id.slice(-8)}`

export const asOf = (reading: Reading): AsOf => ({
  peer: nameOf(reading, reading.snapshot.self),
  digest: reading.snapshot.view.digest,
  at: Math.max(0, Math.round(reading.snapshot.wall)),
  alive: reading.members.filter(({ present }) => present).length,
  members: reading.members.length,
})

/** The wanted slots of each service. */
export const slotsByService = (reading: Reading): ReadonlyMap<ServiceId, readonly SlotPlacement[]> => {
  const services = new Map<ServiceId, SlotPlacement[]>()
  for (const placement of reading.placements.values()) {
    const known = services.get(placement.service)
    if (known === undefined) services.set(placement.service, [placement])
    else known.push(placement)
  }
  return services
}

/** Wall time, as this peer's clock has it, of a moment of its monotonic clock. */
const wallOf = ({ snapshot }: Pick<Reading, 'snapshot'>, atMs: number): number =>
  Math.max(0, Math.round(snapshot.wall - (snapshot.nowMs - atMs)))

/** Slots that nobody holds and that are overdue, as this peer's last pass has it, whoever answers for them. */
export const overdueOf = (
  reading: Pick<Reading, 'snapshot'>,
): ReadonlyMap<SlotId, { readonly reason: string; readonly since: number }> => {
  const { plan } = reading.snapshot
  return new Map(
    [...(plan?.witnessed ?? []), ...(plan?.unfulfilled ?? [])].map(({ slot, reason, sinceMs }) => [
      slot,
      { reason, since: wallOf(reading, sinceMs) },
    ]),
  )
}

/** Since when a slot that has no instance is not as desired, as far as this peer knows: wall time. */
export const unreadySinceOf = (reading: Reading, { slot, service }: SlotPlacement): number => {
  const { plan, view, nowMs } = reading.snapshot
  const release = view.services.find(({ id }) => id === service)?.release
  const sinceMs = release === undefined ? undefined : plan?.unreadySinceMs?.get(instanceIdOf(slot, release))
  return wallOf(reading, sinceMs ?? nowMs)
}

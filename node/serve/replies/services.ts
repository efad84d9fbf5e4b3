// Replies about services and cells: what is wanted, what is ready, what is in the way, and what was written at the same
// time. Pure. A slot counts as ready when some living member reports a ready instance of it, of whatever release:
// start-first keeps that number up through a deploy (S8), and that is what a reader wants to see.

import type { ServiceId } from '../../../lib/ids.ts'
import type { ConflictView, ServiceView } from '../../../crdt/schema/view.ts'
import { isMerelyWanted } from '../../plan/eligibility.ts'
import type { SlotPlacement } from '../../plan/plan.ts'
import type { CellsReply, ServicesReply, StatusReply } from '../api/contract.ts'
import { rowOf } from './instances.ts'
import { leasesOf, votersReply } from './leases.ts'
import { asOf, nameOf, overdueOf, slotsByService, unreadySinceOf, type Reading } from './reading.ts'
import { waitingOf } from './settled.ts'

type ServiceRow = StatusReply['cells'][number]['services'][number]

/** Narrows a reply: to one cell, or to one service. */
export interface Selection {
  readonly cell?: string | undefined
  readonly service?: ServiceId | undefined
}

const selects = (selection: Selection, service: ServiceView): boolean =>
  (selection.cell === undefined || service.cell === selection.cell) &&
  (selection.service === undefined || service.id === selection.service)

const conflictOf = (reading: Reading, conflict: ConflictView): ServiceRow['conflicts'][number] => ({
  ...conflict,
  author: nameOf(reading, conflict.author),
})

/** A slot that has run to its good end at the wanted release is as desired. */
const isReady = (reading: Reading, { release }: ServiceView, { slot }: SlotPlacement): boolean =>
  (reading.bySlot.get(slot) ?? []).some(
    ({ member, status }) =>
      member.present &&
      (status.state === 'ready' || (status.state === 'stopped' && status.release === release)),
  )

/** Some slot still runs another release, or none yet. */
const isReleasing = (reading: Reading, service: ServiceView, slots: readonly SlotPlacement[]): boolean =>
  slots.some(({ slot }) => {
    const running = (reading.bySlot.get(slot) ?? []).filter(({ status }) => !isMerelyWanted(status))
    return running.length === 0 || running.some(({ status }) => status.release !== service.release)
  })

/** Those of the slots that are overdue, with what their peers say: of `release`, which is wanted, before all others. */
export const unfulfilledOf = (
  reading: Reading,
  slots: readonly SlotPlacement[],
  release: string | undefined,
): ServiceRow['unfulfilled'] => {
  const overdue = overdueOf(reading)
  return slots.flatMap((placement): ServiceRow['unfulfilled'] => {
    const { slot, member, reason } = placement
    const rows = (reading.bySlot.get(slot) ?? [])
      .filter((sighting) => sighting.member.present)
      .map((sighting) => rowOf(reading, sighting, () => 0))
    const overdueRows = rows.filter(({ unfulfilledSince }) => unfulfilledSince !== null)
    const said = overdueRows.find((row) => row.release === release) ?? overdueRows[0]
    if (said !== undefined) {
      const { peer, state, exit, output } = said
      return [{ slot, peer, state, reason: said.reason, since: said.unfulfilledSince ?? 0, exit, output }]
    }
    const nobody = { slot, peer: null, state: 'unfulfilled' as const, exit: null, output: [] }
    const seen = overdue.get(slot)
    if (seen !== undefined) {
      // A plan is made a moment before its peer says so of the instance.
      const late = rows.find((row) => row.release === release && row.state !== 'ready')
      if (late === undefined) return [{ ...nobody, ...seen }]
      const { peer, state, exit, output } = late
      return [{ slot, peer, state, ...seen, exit, output }]
    }
    // Nobody answers for it yet: this peer's own placement says so just as well.
    return member === null ? [{ ...nobody, reason, since: unreadySinceOf(reading, placement) }] : []
  })
}

const serviceRow = (reading: Reading, service: ServiceView, slots: readonly SlotPlacement[]): ServiceRow => ({
  name: service.name,
  mode: service.mode,
  desired: slots.length,
  ready: slots.filter((slot) => isReady(reading, service, slot)).length,
  release: service.release,
  releasing: isReleasing(reading, service, slots),
  stopped: service.stopped,
  unfulfilled: unfulfilledOf(reading, slots, service.release),
  conflicts: service.conflicts.map((conflict) => conflictOf(reading, conflict)),
  ...leasesOf(reading, service, slots),
})

export const statusReply = (reading: Reading, selection: Selection = {}): StatusReply => {
  const slots = slotsByService(reading)
  const cells = new Map<string, ServiceRow[]>()
  for (const service of reading.snapshot.view.services) {
    if (!selects(selection, service)) continue
    const row = serviceRow(reading, service, slots.get(service.id) ?? [])
    const rows = cells.get(service.cell)
    if (rows === undefined) cells.set(service.cell, [row])
    else rows.push(row)
  }
  const waiting = waitingOf(reading)
  return {
    asOf: asOf(reading),
    digest: reading.snapshot.view.digest,
    settled: waiting.length === 0,
    waiting: [...waiting],
    voters: votersReply(reading),
    packages: [...(reading.snapshot.shortages ?? [])],
    cells: [...cells].map(([name, services]) => ({ name, services })),
  }
}

export const servicesReply = (reading: Reading, selection: Selection = {}): ServicesReply => {
  const slots = slotsByService(reading)
  return {
    asOf: asOf(reading),
    services: reading.snapshot.view.services
      .filter((service) => selects(selection, service))
      .map((service) => {
        const own = slots.get(service.id) ?? []
        return {
          cell: service.cell,
          name: service.name,
          mode: service.mode,
          desired: own.length,
          ready: own.filter((slot) => isReady(reading, service, slot)).length,
          release: service.release,
          stopped: service.stopped,
          command: [...service.command],
          ports: Object.keys(service.ports).sort(),
        }
      }),
  }
}

export const cellsReply = (reading: Reading): CellsReply => ({
  asOf: asOf(reading),
  cells: statusReply(reading).cells.map(({ name, services }) => ({
    name,
    services: services.length,
    desired: services.reduce((total, { desired }) => total + desired, 0),
    ready: services.reduce((total, { ready }) => total + ready, 0),
    unfulfilled: services.reduce((total, { unfulfilled }) => total + unfulfilled.length, 0),
  })),
})

// Forecasts: what an edit, a lost member or a new one would change, slot by slot, before it happens. Two placements
// compared, nothing else: no edit, no action, no time.

import { compareStrings } from '../../lib/order.ts'
import type { MemberId, SlotId } from '../../lib/ids.ts'
import type { ServiceView, View } from '../../crdt/schema/view.ts'
import { refusalBy } from './constraints.ts'
import { rosterOf } from './eligibility.ts'
import { place, PlacementMemo } from './placement.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'

export interface SlotChange {
  readonly slot: SlotId
  /** replace: same member, other release. unplaceable: wanted, but nobody can hold it. */
  readonly kind: 'start' | 'stop' | 'move' | 'replace' | 'unplaceable'
  readonly from: MemberId | null
  readonly to: MemberId | null
  readonly reason: string
}

export interface Forecast {
  /** In canonical order, slots that go last. */
  readonly slots: readonly SlotChange[]
  /** What is allowed but probably not meant. */
  readonly warnings: readonly string[]
  /** Where every wanted slot is placed afterwards. */
  readonly placements: ReadonlyMap<SlotId, SlotPlacement>
}

/** What a caller has worked out before; only saves work. */
export interface Known {
  readonly memo?: PlacementMemo | undefined
  /** Where slots are placed before. */
  readonly before?: ReadonlyMap<SlotId, SlotPlacement> | undefined
}

/** What another view would change for the same members. */
export const forecastView = (input: PlanInput, view: View, known?: Known): Forecast =>
  forecast(input, { ...input, view }, known)

/** What changes between two situations. */
export const forecast = (before: PlanInput, after: PlanInput, known: Known = {}): Forecast => {
  const memo = known.memo ?? new PlacementMemo()
  const from = known.before ?? place(before, memo)
  const to = place(after, memo)
  const servicesBefore = byId(before.view.services)
  const servicesAfter = byId(after.view.services)
  const changes: SlotChange[] = []
  for (const placement of to.values()) {
    const change = changeOf(from.get(placement.slot), placement, servicesBefore, servicesAfter)
    if (change !== null) changes.push(change)
  }
  for (const { slot, service, member } of from.values()) {
    if (to.has(slot) || member === null) continue
    changes.push({
      slot,
      kind: 'stop',
      from: member,
      to: null,
      reason: stopReason(servicesAfter.get(service)),
    })
  }
  return { slots: changes, warnings: warningsOf(after, to), placements: to }
}

const byId = (services: readonly ServiceView[]): ReadonlyMap<string, ServiceView> =>
  new Map(services.map((service) => [service.id, service]))

const changeOf = (
  from: SlotPlacement | undefined,
  to: SlotPlacement,
  servicesBefore: ReadonlyMap<string, ServiceView>,
  servicesAfter: ReadonlyMap<string, ServiceView>,
): SlotChange | null => {
  const source = from?.member ?? null
  const { slot, member: target, reason } = to
  if (target === null) return { slot, kind: 'unplaceable', from: source, to: null, reason }
  if (source === null) return { slot, kind: 'start', from: null, to: target, reason }
  if (source !== target) return { slot, kind: 'move', from: source, to: target, reason }
  const changed = servicesBefore.get(to.service)?.release !== servicesAfter.get(to.service)?.release
  return changed
    ? { slot, kind: 'replace', from: source, to: target, reason: 'the release has changed' }
    : null
}

const stopReason = (service: ServiceView | undefined): string => {
  if (service === undefined) return 'its service is removed'
  if (service.stopped) return 'its service is stopped'
  return service.mode === 'global'
    ? 'its member is not eligible'
    : `its service is scaled to ${service.replicas}`
}

const warningsOf = (input: PlanInput, placements: ReadonlyMap<SlotId, SlotPlacement>): readonly string[] => {
  const roster = rosterOf(input)
  const lost = new Map<string, SlotPlacement[]>()
  for (const placement of placements.values()) {
    if (placement.member !== null) continue
    const known = lost.get(placement.service)
    if (known === undefined) lost.set(placement.service, [placement])
    else known.push(placement)
  }
  const ids = new Set<string>(input.view.services.map((service) => service.id))
  const warnings: string[] = []
  for (const service of input.view.services.toSorted((a, b) => compareStrings(a.id, b.id))) {
    if (service.stopped) warnings.push(`${service.id} is stopped; tutti start ${service.id} runs it again`)
    for (const constraint of service.constraints) {
      const refusal = refusalBy([constraint])
      if (roster.every((member) => refusal(member) !== null))
        warnings.push(`${service.id}: no member meets the constraint ${constraint}`)
    }
    const slots = lost.get(service.id) ?? []
    if (slots.length > 0 && slots[0] !== undefined) {
      const wanted = service.mode === 'global' ? '' : ` of ${service.replicas}`
      warnings.push(`${service.id}: ${slots.length}${wanted} slots have no place: ${slots[0].reason}`)
    }
    for (const name of Object.keys(service.dependsOn).sort(compareStrings)) {
      if (!ids.has(`${service.cell}/${name}`))
        warnings.push(
          `${service.id} depends on ${service.cell}/${name}, which does not exist; it will not start`,
        )
    }
  }
  return warnings
}

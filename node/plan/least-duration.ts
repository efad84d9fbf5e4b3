// How long a change takes at least when everything goes well: waves one after the other, the time an unchecked instance has
// to run to prove itself, the time a steward watches, the drain of what made way, and what starts after what it depends on.
// Programs' own time to start is nobody's to know, nor that of hooks: a check passes as soon as it passes. Pure; promises
// nothing, and paces nothing.

import { serviceIdOf, type ServiceId } from '../../lib/ids.ts'
import { compareStrings } from '../../lib/order.ts'
import { formatDuration } from '../../lib/time.ts'
import type { ServiceView, View } from '../../crdt/schema/view.ts'
import type { SlotChange } from './forecast.ts'
import { probeOf, PROOF_MS, PROOF_OF_REPLACEMENT_MS } from './health.ts'
import { readyDeadlineMs } from './make-plan.ts'
import { DRAIN_MS } from './reconcile.ts'
import { isStewarded, policyOf } from './rollout/policy.ts'

/** What one service of a change takes. */
export interface ServiceDuration {
  readonly service: ServiceId
  /** Slots that change one after the other, in so many turns; 1: all at once. */
  readonly waves: number
  /** From the change to the last slot being as wanted, milliseconds. */
  readonly leastMs: number
  /** From then on something is reported as not as desired, milliseconds. */
  readonly overdueMs: number
  /** What it is made of, in words. */
  readonly reason: string
}

export interface LeastDuration {
  /** Of the slowest service, milliseconds. */
  readonly leastMs: number
  /** Slowest first, those that only stop left out. */
  readonly services: readonly ServiceDuration[]
}

/** @param after the view with the change. */
export const leastDuration = (slots: readonly SlotChange[], after: View): LeastDuration => {
  const changed = new Map<ServiceId, SlotChange[]>()
  for (const slot of slots) {
    const id = slot.slot.slice(0, slot.slot.lastIndexOf('/')) as ServiceId
    const known = changed.get(id)
    if (known === undefined) changed.set(id, [slot])
    else known.push(slot)
  }
  const services = new Map(after.services.map((service) => [service.id, service]))
  const own = new Map<ServiceId, ServiceDuration>()
  for (const [id, slots] of changed) {
    const service = services.get(id)
    const duration = service === undefined ? null : durationOf(service, slots)
    if (duration !== null) own.set(id, duration)
  }
  const waits = new Waits(services, changed, own)
  const all = [...own.values()]
    .map((duration) => waits.added(duration))
    .toSorted((a, b) => b.leastMs - a.leastMs || compareStrings(a.service, b.service))
  return { leastMs: all[0]?.leastMs ?? 0, services: all }
}

const durationOf = (service: ServiceView, slots: readonly SlotChange[]): ServiceDuration | null => {
  const begun = slots.filter(({ kind }) => kind === 'start' || kind === 'move' || kind === 'replace')
  if (begun.length === 0) return null
  const replaced = slots.filter(({ kind }) => kind === 'replace').length
  const { order } = service.update
  const { waves, watchedMs, words } = turnsOf(service, replaced)
  const makesWay = begun.some(({ kind }) => kind !== 'start')
  const drainMs = makesWay && Object.keys(service.ports).length > 0 ? DRAIN_MS : 0
  const proofMs = proofOf(service, replaced > 0 && order === 'start-first')
  // What makes way first drains in each turn; what makes way afterwards drains while the next turn goes on.
  const changeMs = order === 'stop-first' ? waves * (drainMs + proofMs) : waves * proofMs + drainMs
  return {
    service: service.id,
    waves,
    leastMs: changeMs + watchedMs,
    overdueMs: waves * (readyDeadlineMs(service) + (order === 'stop-first' ? drainMs : 0)) + watchedMs,
    reason: [...reasonOf(service, waves, proofMs, drainMs), ...words].join(', '),
  }
}

interface Turns {
  readonly waves: number
  /** What a steward waits for after each, together. */
  readonly watchedMs: number
  /** What else is waited for. */
  readonly words: readonly string[]
}

/** Slots that only start or move do so at once; those of a new release take turns. */
const turnsOf = (service: ServiceView, replaced: number): Turns => {
  const { preDeploy, verify } = service
  const hooks = [
    ...((preDeploy ?? null) === null ? [] : ['pre_deploy']),
    ...(replaced === 0 || (verify ?? null) === null ? [] : ['verify']),
  ]
  const hooked =
    hooks.length === 0 ? [] : [`as long as ${hooks.join(' and ')} take${hooks.length === 1 ? 's' : ''}`]
  if (replaced === 0) return { waves: 1, watchedMs: 0, words: hooked }
  const { first, step, monitorMs, delayMs, manual } = policyOf(service, replaced)
  const waves = 1 + Math.ceil(Math.max(0, replaced - first) / step)
  if (!isStewarded(service)) return { waves, watchedMs: 0, words: [] }
  const watchedMs = waves * monitorMs + (waves - 1) * delayMs
  return {
    waves,
    watchedMs,
    words: [
      ...(watchedMs === 0 ? [] : [`${formatDuration(watchedMs)} to be watched`]),
      ...hooked,
      ...(manual ? ['until it is promoted'] : []),
    ],
  }
}

/** How long a new instance runs at least before it counts as ready. */
const proofOf = ({ definition }: ServiceView, replaces: boolean): number =>
  probeOf(definition) === null ? (replaces ? PROOF_OF_REPLACEMENT_MS : PROOF_MS) : 0

const reasonOf = (
  { update }: ServiceView,
  waves: number,
  proofMs: number,
  drainMs: number,
): readonly string[] => {
  const { canary = 0, parallelism } = update
  const size = parallelism === 0 ? '' : ` of ${parallelism}`
  const turns = waves === 1 ? [] : [`${waves} turns${size}${canary === 0 ? '' : `, the first of ${canary}`}`]
  const each = waves === 1 ? '' : 'each '
  const proof =
    proofMs === 0 ? `${each}as long as its check takes` : `${each}${formatDuration(proofMs)} to prove itself`
  const drain = drainMs === 0 ? [] : [`${formatDuration(drainMs)} to drain`]
  return [...turns, proof, ...drain]
}

/** What a service that starts waits for: the services it depends on, where they start in the same change. */
class Waits {
  readonly #services: ReadonlyMap<ServiceId, ServiceView>
  readonly #changed: ReadonlyMap<ServiceId, readonly SlotChange[]>
  readonly #own: ReadonlyMap<ServiceId, ServiceDuration>
  readonly #before = new Map<ServiceId, number>()

  constructor(
    services: ReadonlyMap<ServiceId, ServiceView>,
    changed: ReadonlyMap<ServiceId, readonly SlotChange[]>,
    own: ReadonlyMap<ServiceId, ServiceDuration>,
  ) {
    this.#services = services
    this.#changed = changed
    this.#own = own
  }

  added(duration: ServiceDuration): ServiceDuration {
    const waitMs = this.#beforeOf(duration.service)
    if (waitMs === 0) return duration
    return {
      ...duration,
      leastMs: duration.leastMs + waitMs,
      overdueMs: duration.overdueMs + waitMs,
      reason: `${duration.reason}, after what it depends on`,
    }
  }

  #beforeOf(id: ServiceId): number {
    const known = this.#before.get(id)
    if (known !== undefined) return known
    // A circle waits for ever, which is not this file's to say.
    this.#before.set(id, 0)
    const service = this.#services.get(id)
    const names = service === undefined ? [] : Object.keys(service.dependsOn)
    const waitMs = Math.max(
      0,
      ...names.map((name) => {
        const other = serviceIdOf(service?.cell ?? '', name)
        // One that ran before is there already.
        const isNew = (this.#changed.get(other) ?? []).every(({ kind }) => kind === 'start')
        const own = this.#own.get(other)
        return isNew && own !== undefined ? own.leastMs + this.#beforeOf(other) : 0
      }),
    )
    this.#before.set(id, waitMs)
    return waitMs
  }
}

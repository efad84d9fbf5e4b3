// Gates: what a slot waits for before its instance starts here. Each gate answers with the sentence to show while it is
// closed, or null. They read statuses alone, so every peer opens its own gates without asking anybody.

import { defined } from '../../lib/assert.ts'
import { compareStrings } from '../../lib/order.ts'
import { formatSize } from '../../lib/time.ts'
import { serviceIdOf, type MemberId, type ServiceId, type SlotId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import { cpusText } from './hindrance.ts'
import type { LocalInstance } from './local.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'
import type { Sightings } from './sightings.ts'

/** Reservations this peer has promised: live, ending and restarting instances, and starts of this pass (S7). */
export interface Room {
  cpusMilli: number
  memoryBytes: number
}

/** The sum of what local instances reserve; those in `gone` are forgotten in this pass and count no more. */
export const roomTaken = (local: readonly LocalInstance[], gone: ReadonlySet<string>): Room => {
  const taken = { cpusMilli: 0, memoryBytes: 0 }
  for (const instance of local) {
    if (gone.has(instance.id)) continue
    taken.cpusMilli += instance.cpusMilli
    taken.memoryBytes += instance.memoryBytes
  }
  return taken
}

/** Closed while the reservation does not fit beside everything that still runs here. */
export const roomGate = (
  service: ServiceView,
  taken: Room,
  capacity: Room,
  replaces: boolean,
): string | null => {
  const cpusFree = Math.max(capacity.cpusMilli - taken.cpusMilli, 0)
  const memoryFree = Math.max(capacity.memoryBytes - taken.memoryBytes, 0)
  const { reservedCpusMilli: cpus, reservedMemoryBytes: memory } = service
  const hint = replaces ? '; free some or set update_config order to stop-first' : ''
  if (memory > memoryFree)
    return `waits for room: needs ${formatSize(memory)}, ${formatSize(memoryFree)} is free while others still run${hint}`
  if (cpus > 0 && cpus > cpusFree)
    return `waits for room: needs ${cpusText(cpus)}, ${cpusText(cpusFree)} free while others still run${hint}`
  return null
}

/**
 * Closed until every service it depends on has an instance, ready or at least started, anywhere; or has run to its end in
 * every slot, at the release that is wanted now.
 */
export const dependencyGate = (
  service: ServiceView,
  services: ReadonlyMap<ServiceId, ServiceView>,
  sightings: Sightings,
): string | null => {
  for (const name of Object.keys(service.dependsOn).sort(compareStrings)) {
    const id = serviceIdOf(service.cell, name)
    const condition = service.dependsOn[name]
    const dependency = services.get(id)
    if (dependency === undefined) return `waits for ${id}, which does not exist`
    if (condition === 'completed') {
      const missing = sightings.incomplete(dependency)
      if (missing === null) continue
      return `waits for ${missing} to be completed${dependency.stopped ? ', which is stopped' : ''}`
    }
    const states = sightings.statesOf(id)
    if (condition === 'healthy' && !states.includes('ready'))
      return `waits for ${id} to be healthy${dependency.stopped ? ', which is stopped' : ''}`
    if (!states.some((state) => state === 'ready' || state === 'starting' || state === 'failing'))
      return `waits for ${id} to be started${dependency.stopped ? ', which is stopped' : ''}`
  }
  return null
}

/**
 * Closed while the brake holds and a dead member last said that it serves the slot (S16). Placement leaves such slots
 * where they are, unless an edit or another loss moves them meanwhile; a take-over it would be all the same.
 */
export const brakeGate = (input: PlanInput, holders: readonly MemberId[]): string | null => {
  const { brakedUntilMs, members } = input.membership
  if (brakedUntilMs === null || brakedUntilMs <= input.nowMs) return null
  const vanished = members.find(({ id, state }) => state === 'dead' && holders.includes(id))
  if (vanished === undefined) return null
  const name = input.view.members.find(({ id }) => id === vanished.id)?.name ?? vanished.id
  return `waits for the brake: ${name}, which serves it, is dead, and most members vanished just now`
}

/** Lower slots named in one sentence. */
const NAMED_MAX = 3

/** Slots of a service in order, each with its place: made once per service and pass. */
export class Waves {
  readonly #slots = new Map<ServiceId, SlotPlacement[]>()
  readonly #input: PlanInput
  readonly #sightings: Sightings

  constructor(input: PlanInput, placements: ReadonlyMap<SlotId, SlotPlacement>, sightings: Sightings) {
    this.#input = input
    this.#sightings = sightings
    for (const placement of placements.values()) {
      const known = this.#slots.get(placement.service)
      if (known === undefined) this.#slots.set(placement.service, [placement])
      else known.push(placement)
    }
  }

  /**
   * Closed while `parallelism` slots before this one are not ready at the wanted release: so at most that many change
   * at once, with nobody counting but each peer for itself. Slots that nobody can hold, or whose member is not there,
   * hold nobody up.
   */
  gate(service: ServiceView, slot: SlotId): string | null {
    const { parallelism } = service.update
    if (parallelism === 0) return null
    const unready: SlotId[] = []
    for (const lower of this.#slots.get(service.id) ?? []) {
      if (lower.slot === slot) break
      if (lower.member === null || !this.#isThere(lower.member)) continue
      const state = this.#sightings.stateOf(lower.member, lower.slot, service.release)
      // `stopped` has run to its good end at the wanted release.
      if (state !== 'ready' && state !== 'stopped') unready.push(lower.slot)
      if (unready.length >= Math.max(parallelism, NAMED_MAX)) break
    }
    if (unready.length < parallelism) return null
    return `waits for its turn: ${unready.slice(0, NAMED_MAX).join(', ')} ${unready.length === 1 ? 'is' : 'are'} not ready at the new release yet`
  }

  #isThere(member: MemberId): boolean {
    return member === this.#input.self || this.#sightings.isPresent(member)
  }
}

/** The capacity this peer has declared. */
export const capacityOf = (input: PlanInput): Room => {
  const facts = defined(input.statuses.get(input.self)?.facts, 'own facts')
  return { cpusMilli: facts.cpusMilli, memoryBytes: facts.memoryBytes }
}

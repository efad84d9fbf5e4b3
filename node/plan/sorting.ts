// Sorting: the reconciler's set arithmetic (as Nomad's scheduler/reconciler does it). Every local instance falls into one
// bucket, keep or drop, and every slot placed here may want a start; each with its reason. Nothing here looks at phases
// of a stop, backoffs or room: reconcile.ts turns buckets into actions.

import { compareStrings } from '../../lib/order.ts'
import type { InstanceId, ServiceId, SlotId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { Claims } from './claims.ts'
import { beginGate, isExclusive, unleasedReason } from './exclusive.ts'
import { brakeGate, dependencyGate, type Waves } from './gates.ts'
import { healthOf } from './health.ts'
import type { LocalInstance } from './local.ts'
import { packageGate } from './packages.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'
import type { RolloutWords } from './rollout/words.ts'
import type { Sightings } from './sightings.ts'

/** An instance that stays, restarts included. */
export interface Kept {
  readonly instance: LocalInstance
  readonly service: ServiceView
  /**
   * wanted: the right release in the right place. superseded: an older release that serves until the new one is ready.
   * moving: it serves until the slot is ready on the member it is placed on now.
   */
  readonly as: 'wanted' | 'superseded' | 'moving'
  /** Why it is still here, unless it is wanted. */
  readonly reason: string
}

/** An instance that goes: drain, stop, forget. */
export interface Dropped {
  readonly instance: LocalInstance
  readonly reason: string
}

/** A slot placed here that has no instance of the wanted release. */
export interface Start {
  readonly slot: SlotId
  readonly service: ServiceView
  readonly reason: string
  /** Why not yet; null: at once, if there is room. */
  readonly gate: string | null
  /** The gate is its place in the rollout: nothing is wrong, others go first. */
  readonly queued: boolean
  /** The rollout that it waits for goes on by no means of its own. */
  readonly held: boolean
  /** The gate is its package, which is on its way: the last thing it waits for. */
  readonly fetching: boolean
  /** An older release of it runs here meanwhile. */
  readonly replaces: boolean
  /** Its former run, which drains and is taken back: it needs no room and no dependency. Null: it starts anew. */
  readonly revives: LocalInstance | null
}

export interface Buckets {
  readonly kept: readonly Kept[]
  readonly dropped: readonly Dropped[]
  readonly starts: readonly Start[]
  /** Slots placed here that another member has run to their good end. */
  readonly completed: readonly Pick<Start, 'slot' | 'service' | 'reason'>[]
}

/** What sorting looks at. */
export interface Scene {
  readonly input: PlanInput
  readonly placements: ReadonlyMap<SlotId, SlotPlacement>
  readonly services: ReadonlyMap<ServiceId, ServiceView>
  readonly sightings: Sightings
  readonly claims: Claims
  readonly waves: Waves
  readonly rollouts: RolloutWords
}

/** Sorts every local instance and every slot placed here, slots in canonical order. */
export const sortSlots = (scene: Scene): Buckets => {
  const { input, placements, services } = scene
  const local = new Map<SlotId, LocalInstance[]>()
  for (const instance of input.local.toSorted((a, b) => compareStrings(a.id, b.id))) {
    const known = local.get(instance.slot)
    if (known === undefined) local.set(instance.slot, [instance])
    else known.push(instance)
  }
  const buckets: OpenBuckets = { kept: [], dropped: [], starts: [], completed: [] }
  for (const placement of placements.values()) {
    const service = services.get(placement.service)
    const instances = local.get(placement.slot) ?? []
    if (service === undefined || (placement.member !== input.self && instances.length === 0)) continue
    const kept = isExclusive(service) ? leasedOf(scene, service, placement, instances, buckets) : instances
    if (kept === null) continue
    if (placement.member === input.self) sortOwn(scene, service, placement, kept, buckets)
    else sortMoved(scene, service, placement, kept, buckets)
  }
  for (const [slot, instances] of local) {
    if (placements.has(slot)) continue
    for (const instance of instances)
      buckets.dropped.push({ instance, reason: unwantedReason(input, services.get(instance.service)) })
  }
  return buckets
}

interface OpenBuckets {
  readonly kept: Kept[]
  readonly dropped: Dropped[]
  readonly starts: Start[]
  readonly completed: Pick<Start, 'slot' | 'service' | 'reason'>[]
}

const unwantedReason = (input: PlanInput, service: ServiceView | undefined): string => {
  if (input.view.removed.includes(input.self)) return 'this member is removed'
  if (service === undefined) return 'its service is removed'
  if (service.stopped) return 'its service is stopped'
  return service.mode === 'global'
    ? 'this member is not eligible for its service'
    : `its service is scaled to ${service.replicas}`
}

/** Of a quorum slot, what runs here without a lease goes. Null: the slot is dealt with; else what is left of it. */
const leasedOf = (
  { input }: Scene,
  service: ServiceView,
  placement: SlotPlacement,
  instances: readonly LocalInstance[],
  buckets: OpenBuckets,
): readonly LocalInstance[] | null => {
  const { slot, member } = placement
  const left: LocalInstance[] = []
  let gate: string | null = null
  for (const instance of instances) {
    const reason = unleasedReason(input, service, instance)
    if (reason === null) left.push(instance)
    else buckets.dropped.push({ instance, reason })
    gate ??= reason
  }
  if (left.length > 0) return left
  gate ??= beginGate(input, service, slot)
  if (gate === null) return left
  const start = {
    slot,
    service,
    reason: placement.reason,
    gate,
    queued: false,
    held: false,
    fetching: false,
    replaces: false,
    revives: null,
  }
  if (member === input.self) buckets.starts.push(start)
  return null
}

const sortOwn = (
  scene: Scene,
  service: ServiceView,
  placement: SlotPlacement,
  instances: readonly LocalInstance[],
  buckets: OpenBuckets,
): void => {
  const { nowMs } = scene.input
  const wanted = instances.find(({ release }) => release === service.release)
  const others = instances.filter(({ release }) => release !== service.release)
  if (wanted !== undefined && !wanted.draining) {
    buckets.kept.push({ instance: wanted, service, as: 'wanted', reason: '' })
    const own = scene.sightings.stateOf(scene.input.self, placement.slot, service.release)
    const ready = scene.rollouts.holdsSwitch(service) ? null : own
    if (ready === 'ready' || ready === 'stopped') {
      for (const instance of others) buckets.dropped.push({ instance, reason: 'the new release is ready' })
    } else keepBest(service, others, 'superseded', 'serves until the new release is ready', nowMs, buckets)
    return
  }
  const completed = wanted === undefined ? completedText(scene, service, placement.slot) : null
  if (completed !== null) {
    buckets.completed.push({ slot: placement.slot, service, reason: completed })
    for (const instance of others)
      buckets.dropped.push({ instance, reason: 'the new release has run to its end' })
    return
  }
  const start = startOf(scene, service, placement, wanted, others)
  buckets.starts.push(start)
  // What has ended, or is being stopped, goes first, and the slot starts anew while others serve.
  if (wanted !== undefined && start.revives === null)
    buckets.dropped.push({ instance: wanted, reason: 'it was draining when it was wanted again' })
  if (service.update.order === 'stop-first' && !start.queued && !start.dependent && !start.fetching) {
    for (const instance of others)
      buckets.dropped.push({ instance, reason: 'stop-first: it makes way for the new release' })
    return
  }
  keepBest(
    service,
    others,
    'superseded',
    start.gate ?? 'serves until the new release is ready',
    nowMs,
    buckets,
  )
}

/** Where a slot of a service that ends by itself has run to its good end; null: it has not. */
const completedText = (scene: Scene, service: ServiceView, slot: SlotId): string | null => {
  if (service.restart.condition === 'any') return null
  const by = scene.sightings.completedBy(slot, service.release)
  if (by === null) return null
  return by === scene.input.self ? 'completed' : `completed on ${scene.sightings.nameOf(by)}`
}

const startOf = (
  scene: Scene,
  service: ServiceView,
  placement: SlotPlacement,
  wanted: LocalInstance | undefined,
  others: readonly LocalInstance[],
): Start & { readonly dependent: boolean } => {
  const { slot } = placement
  const holders = scene.sightings.holders(slot, service)
  const changes = others.length > 0 || holders.some(({ status }) => status.release !== service.release)
  // A run at the wanted release that moves here has had its turn.
  const begun = holders.some(
    ({ status }) => status.release === service.release && status.state !== 'draining',
  )
  const word = begun ? null : scene.rollouts.gate(service, slot)
  const wave = word ?? (changes ? scene.waves.gate(service, slot) : null)
  const revives = revivable(service, wanted, wave, others, holders)
  const dependency = revives === null ? dependencyGate(service, scene.services, scene.sightings) : null
  const begins = revives === null && others.length === 0
  const brake = begins
    ? brakeGate(
        scene.input,
        holders.map(({ member }) => member),
      )
    : null
  const packaged = revives === null ? packageGate(scene.input, service) : null
  const gate =
    wave ??
    dependency ??
    brake ??
    packaged ??
    (revives === null ? overlapGate(scene, service, wanted, others, holders) : null) ??
    (revives === null ? beginGate(scene.input, service, slot) : null)
  const from = holders[0]
  const reason =
    revives !== null
      ? 'it is wanted again'
      : others.length > 0
        ? 'the release has changed'
        : from === undefined
          ? `placed here: ${placement.reason}`
          : `moves here from ${scene.sightings.nameOf(from.member)}: ${placement.reason}`
  return {
    slot,
    service,
    reason,
    gate,
    queued: wave !== null,
    held: word !== null && scene.rollouts.isHeld(service),
    dependent: dependency !== null,
    fetching: packaged !== null && gate === packaged,
    replaces: others.length > 0,
    revives,
  }
}

/**
 * The run that drains here and can serve again at once: taking a drain back is cheaper and faster than a start. Not
 * before its turn in a rollout, which would be surge, and for stop-first not beside another run of the slot.
 */
const revivable = (
  service: ServiceView,
  wanted: LocalInstance | undefined,
  wave: string | null,
  others: readonly LocalInstance[],
  holders: readonly unknown[],
): LocalInstance | null => {
  if (wanted === undefined || wanted.phase !== 'running' || wave !== null) return null
  return service.update.order === 'start-first' || others.length + holders.length === 0 ? wanted : null
}

/** What must be gone first: an instance of the same id, and for stop-first every other run of the slot. */
const overlapGate = (
  scene: Scene,
  service: ServiceView,
  wanted: LocalInstance | undefined,
  others: readonly LocalInstance[],
  holders: readonly { readonly member: PlanInput['self'] }[],
): string | null => {
  if (wanted !== undefined) return 'waits until its former run here has ended'
  if (service.update.order !== 'stop-first') return null
  if (others.length > 0) return 'stop-first: waits until the old release has ended'
  const [holder] = holders
  return holder === undefined
    ? null
    : `stop-first: waits until ${scene.sightings.nameOf(holder.member)} has stopped its instance`
}

const sortMoved = (
  scene: Scene,
  service: ServiceView,
  placement: SlotPlacement,
  instances: readonly LocalInstance[],
  buckets: OpenBuckets,
): void => {
  const { input, sightings } = scene
  const owner = placement.member
  if (scene.rollouts.holdsSwitch(service)) {
    const old = instances.filter(({ release }) => release !== service.release)
    keepBest(service, old, 'moving', 'serves until the whole new release may', input.nowMs, buckets)
    instances = instances.filter(({ release }) => release === service.release)
  }
  // Whoever serves it with a higher claim: its owner, or, until that is ready, one of several former owners.
  const superior = scene.claims.superior(placement.slot)
  if (superior !== null) {
    const reason = `${sightings.nameOf(superior)} has it ready`
    for (const instance of instances) buckets.dropped.push({ instance, reason })
    return
  }
  if (owner === null || !sightings.isPresent(owner)) {
    const why = owner === null ? placement.reason : `${sightings.nameOf(owner)}, which owns it, is not there`
    keepBest(service, instances, 'moving', `keeps serving: ${why}`, input.nowMs, buckets)
    return
  }
  const name = sightings.nameOf(owner)
  const state = sightings.stateOf(owner, placement.slot, service.release)
  if (state === 'stopped' && sightings.agrees(owner)) {
    for (const instance of instances)
      buckets.dropped.push({ instance, reason: `${name} has run it to its end` })
    return
  }
  if (service.update.order === 'stop-first') {
    for (const instance of instances)
      buckets.dropped.push({ instance, reason: `stop-first: it makes way for ${name}` })
    return
  }
  // Claims are between those that serve: whoever does not gives way to an owner that is ready, whatever it has claimed.
  const taken = state === 'starting' || state === 'failing' || state === 'crashed' || state === 'ready'
  const serving: LocalInstance[] = []
  for (const instance of instances) {
    if (taken && healthOf(instance, input.nowMs).state !== 'ready')
      buckets.dropped.push({ instance, reason: `it is not ready, and ${name} has begun to run it` })
    else serving.push(instance)
  }
  keepBest(service, serving, 'moving', `serves until ${name} has it ready`, input.nowMs, buckets)
}

/** Keeps the one that serves best and drops the rest: more would be surge beyond what a change allows (S8). */
const keepBest = (
  service: ServiceView,
  instances: readonly LocalInstance[],
  as: 'superseded' | 'moving',
  reason: string,
  nowMs: number,
  buckets: OpenBuckets,
): void => {
  const best = instances
    .filter((instance) => !instance.draining && instance.phase !== 'stopping')
    .toSorted(
      (a, b) =>
        rankOf(a, nowMs) - rankOf(b, nowMs) || b.startedAtMs - a.startedAtMs || compareStrings(a.id, b.id),
    )[0]
  const bestId: InstanceId | undefined = best?.id
  for (const instance of instances) {
    if (instance.id === bestId) buckets.kept.push({ instance, service, as, reason })
    else buckets.dropped.push({ instance, reason: 'another instance of its slot serves' })
  }
}

const RANKS = ['ready', 'failing', 'starting', 'crashed']

const rankOf = (instance: LocalInstance, nowMs: number): number => {
  const rank = RANKS.indexOf(healthOf(instance, nowMs).state)
  return rank < 0 ? RANKS.length : rank
}

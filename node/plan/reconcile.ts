// Reconcile: from buckets to this pass's actions. Make before break: what serves stays until its replacement is ready,
// drains, and only then stops. Every step is idempotent and derived anew in each pass from facts alone, so a lost action
// or a crash in between costs a pass and nothing else. Deliberately absent: who owns what (placement) and execution.

import { instanceIdOf, type InstanceId, type SlotId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { Action, RestartAction, StopAction } from './action.ts'
import { beginGate, graceMs, isEndangered, isExclusive, leaseOf } from './exclusive.ts'
import { capacityOf, roomGate, roomTaken } from './gates.ts'
import { healthOf, livenessFailure, probeOf, PROOF_MS, PROOF_OF_REPLACEMENT_MS } from './health.ts'
import { heirActions } from './heirs.ts'
import type { LocalInstance, ProbeTally } from './local.ts'
import type { InstanceReport, UnfulfilledCause } from './plan.ts'
import {
  crashLoopText,
  grantRestarts,
  isCrashLoop,
  restartOf,
  STABLE_RUN_MS,
  type Restartable,
} from './restart.ts'
import { sortSlots, type Dropped, type Kept, type Scene, type Start } from './sorting.ts'

/**
 * How long an instance with ports runs on after it was taken out of routing: gateways and links of other peers hear of
 * it within L8's second.
 */
export const DRAIN_MS = 1000

/** A slot placed here that is not as desired. */
export interface Unready {
  readonly slot: SlotId
  readonly service: ServiceView
  readonly cause: UnfulfilledCause
  readonly reason: string
  /** It is past waiting for: a crash loop, or a failure that nobody will retry. */
  readonly hopeless: boolean
  /** It waits for its turn in a rollout, and nobody serves it: wrong only where the rollout itself is held up. */
  readonly queued?: boolean
}

export interface Reconciled {
  readonly actions: readonly Action[]
  readonly reports: readonly InstanceReport[]
  readonly unready: readonly Unready[]
  readonly waiting: readonly string[]
  readonly wakes: readonly number[]
}

interface Turn {
  readonly scene: Scene
  readonly nowMs: number
  readonly actions: Action[]
  readonly reports: InstanceReport[]
  readonly unready: Unready[]
  readonly waiting: string[]
  readonly wakes: number[]
  /** Ended instances whose backoff is over, with the service and the reason. */
  readonly restarts: (Restartable & { readonly service: ServiceView; readonly reason: string })[]
}

/** One pass over everything this peer runs or should run. */
export const reconcile = (scene: Scene): Reconciled => {
  const turn: Turn = {
    scene,
    nowMs: scene.input.nowMs,
    actions: [],
    reports: [],
    unready: [],
    waiting: [],
    wakes: [],
    restarts: [],
  }
  const { kept, dropped, starts, completed } = sortSlots(scene)
  const gone = new Set<InstanceId>()
  for (const drop of dropped) if (endInstance(turn, drop)) gone.add(drop.instance.id)
  for (const keep of kept) keepInstance(turn, keep)
  restartInstances(turn)
  startInstances(turn, starts, gone)
  prepareHeirs(turn, kept)
  for (const { slot, service, reason } of completed) {
    const instance = instanceIdOf(slot, service.release)
    turn.reports.push({ instance, slot, state: 'stopped', restarts: 0, reason })
  }
  return turn
}

const report = (
  turn: Turn,
  instance: LocalInstance,
  state: InstanceReport['state'],
  reason: string,
  doubt: Pick<InstanceReport, 'lapses' | 'lapsed'> = {},
): void => {
  const { id, slot, runs } = instance
  const { input, claims, placements } = turn.scene
  const claim = placements.get(slot)?.member === input.self ? claims.owned(slot) : claims.held(slot)
  const restarts = Math.max(runs - 1, 0)
  const evidence = evidenceOf(instance, state)
  turn.reports.push({ instance: id, slot, state, restarts, reason, ...claimed(claim), ...doubt, ...evidence })
}

const doubtOf = ({ lapses = 0, failedInARow }: ProbeTally): Pick<InstanceReport, 'lapses' | 'lapsed'> => ({
  ...(lapses === 0 ? {} : { lapses }),
  ...(failedInARow === 0 ? {} : { lapsed: true }),
})

/** How its last run ended; and what it wrote, while short runs follow each other and after the last one. */
const evidenceOf = (
  instance: LocalInstance,
  state: InstanceReport['state'],
): Pick<InstanceReport, 'exit' | 'output'> => {
  const exit = instance.exit ?? instance.lastExit
  if (exit === undefined) return {}
  const { lastOutput = [], failuresInARow } = instance
  const isOver = state === 'ready' || (failuresInARow === 0 && instance.exit === null)
  return isOver || lastOutput.length === 0 ? { exit } : { exit, output: lastOutput }
}

/** Most slots never have a rival; their entries stay as short as they were. */
const claimed = (claim: number): Pick<InstanceReport, 'claim'> => (claim === 0 ? {} : { claim })

const wait = (turn: Turn, subject: string, reason: string): void => {
  turn.waiting.push(`${subject}: ${reason}`)
}

/** One step towards the end of an instance; true when this pass forgets it. */
const endInstance = (turn: Turn, { instance, reason }: Dropped): boolean => {
  const { id, phase } = instance
  if (phase === 'exited' || phase === 'broken') {
    turn.actions.push({ kind: 'forget', instance: id, reason })
    return true
  }
  const health = healthOf(instance, turn.nowMs)
  wait(turn, id, `ends: ${reason}`)
  if (phase !== 'running') {
    report(turn, instance, health.state, reason)
    return false
  }
  report(turn, instance, 'draining', reason)
  const hurries = isEndangered(turn.scene.input, instance)
  if (!instance.draining && takesTraffic(instance) && !hurries) {
    turn.actions.push({ kind: 'drain', instance: id, reason })
    return false
  }
  const untilMs = instance.draining ? (instance.drainingSinceMs ?? turn.nowMs) + DRAIN_MS : turn.nowMs
  if (takesTraffic(instance) && untilMs > turn.nowMs && !hurries) turn.wakes.push(untilMs)
  else turn.actions.push(stopAction(turn, instance, reason))
  return false
}

/** Only an instance that has ports and once answered, or is never asked, can have traffic to let run out. */
const takesTraffic = ({ definition, probe }: LocalInstance): boolean =>
  Object.keys(definition.ports).length > 0 && (probe.everOk || probeOf(definition) === null)

const stopAction = (turn: Turn, instance: LocalInstance, reason: string): StopAction => ({
  kind: 'stop',
  instance: instance.id,
  signal: instance.definition.stopSignal,
  graceMs: graceMs(turn.scene.input, instance),
  reason,
})

const keepInstance = (turn: Turn, keep: Kept): void => {
  if (keep.as !== 'wanted') wait(turn, keep.instance.id, keep.reason)
  if (keep.instance.phase === 'exited' || keep.instance.phase === 'broken') keepEnded(turn, keep)
  else keepLive(turn, keep)
}

const keepEnded = (turn: Turn, { instance, service, as }: Kept): void => {
  const { id, slot } = instance
  const verdict = restartOf(instance, service.restart, turn.nowMs)
  const loop = isCrashLoop(instance)
  if (verdict.kind === 'done') {
    report(turn, instance, 'stopped', `completed: ${verdict.reason}`)
    return
  }
  const isOver = verdict.kind === 'given-up' || verdict.kind === 'refused'
  const reason = loop && !isOver ? crashLoopText(instance, service.restart) : verdict.reason
  const state = verdict.kind === 'refused' || (loop && !isOver) ? 'unfulfilled' : 'crashed'
  report(turn, instance, state, reason)
  if (as === 'wanted') {
    const cause = isOver ? verdict.kind : loop ? 'crash-loop' : 'crashed'
    turn.unready.push({ slot, service, cause, reason, hopeless: loop || isOver })
  }
  if (isOver) return
  wait(turn, id, reason)
  const gate = beginGate(turn.scene.input, service, slot)
  if (verdict.kind === 'now' && gate !== null) {
    wait(turn, id, gate)
    return
  }
  if (verdict.kind === 'now')
    turn.restarts.push({ instance, service, dueMs: verdict.dueMs, reason: verdict.reason })
  else turn.wakes.push(verdict.atMs)
}

/** As many as a peer may restart in a second (L6); the others wait their turn. */
const restartInstances = (turn: Turn): void => {
  const { granted, againAtMs } = grantRestarts(turn.restarts, turn.scene.input.local, turn.nowMs)
  const now = new Set(granted.map(({ instance }) => instance.id))
  for (const { instance, service, reason } of turn.restarts) {
    if (!now.has(instance.id)) continue
    turn.actions.push({
      kind: 'restart',
      instance: instance.id,
      stableRunMs: service.restart.windowMs,
      ...leased(turn, service, instance.slot),
      reason: `restarts: it ${reason}`,
    })
  }
  if (againAtMs !== null) turn.wakes.push(againAtMs)
}

/** After everything else: what has an action already is not prepared for anything. */
const prepareHeirs = (turn: Turn, kept: readonly Kept[]): void => {
  const acted = new Set(turn.actions.map(({ instance }) => instance))
  const { local } = turn.scene.input
  const busy =
    acted.size > 0 ||
    local.some(({ phase, draining }) => draining || phase === 'preparing' || phase === 'stopping')
  const testators = kept
    .filter(({ instance }) => !acted.has(instance.id))
    .map(({ instance, service, as }) => ({ instance, service, isWanted: as === 'wanted' }))
  turn.actions.push(...heirActions(testators, { nowMs: turn.nowMs, busy }))
}

const keepLive = (turn: Turn, { instance, service, as }: Kept): void => {
  const { id, slot } = instance
  const health = healthOf(instance, turn.nowMs)
  if (health.changesAtMs !== null) turn.wakes.push(health.changesAtMs)
  const ranMs = turn.nowMs - instance.startedAtMs
  const loop = isCrashLoop(instance) && ranMs < (instance.stableRunMs ?? STABLE_RUN_MS)
  const lifeless = livenessFailure(instance, turn.nowMs)
  const reason =
    loop && health.state !== 'ready' && lifeless === null
      ? crashLoopText(instance, service.restart)
      : health.reason
  report(
    turn,
    instance,
    health.state,
    as === 'wanted' ? reason : reason || 'serves until it is replaced',
    health.state === 'ready' && turn.scene.rollouts.isJudged(service) ? doubtOf(instance.probe) : {},
  )
  if (health.state === 'ready') return
  if (as === 'wanted') {
    turn.unready.push({
      slot,
      service,
      cause: loop ? 'crash-loop' : health.state === 'failing' ? 'failing' : 'not-ready',
      reason: reason || health.state,
      hopeless: loop,
    })
    wait(turn, id, `${health.state}${reason === '' ? '' : `: ${reason}`}`)
  }
  // Readiness alone never ends an instance: as with Compose it stays, without traffic.
  if (lifeless !== null && service.restart.condition !== 'none')
    turn.actions.push({ ...stopAction(turn, instance, `restarts: ${lifeless}`), failure: lifeless })
}

/** The lease that a run of the slot begins under. */
const leased = (turn: Turn, service: ServiceView, slot: SlotId): Pick<RestartAction, 'lease'> => {
  const lease = isExclusive(service) ? leaseOf(turn.scene.input, slot) : null
  return lease === null ? {} : { lease: { token: lease.token, untilMs: lease.untilMs } }
}

/** Whether an instance of the slot is ready, here or elsewhere, whatever its release. */
const isServed = ({ scene: { input, sightings }, nowMs }: Turn, slot: SlotId): boolean =>
  input.local.some((instance) => instance.slot === slot && healthOf(instance, nowMs).state === 'ready') ||
  sightings.servers(slot).length > 0

const startInstances = (turn: Turn, starts: readonly Start[], gone: ReadonlySet<InstanceId>): void => {
  if (starts.length === 0) return
  const capacity = capacityOf(turn.scene.input)
  const taken = roomTaken(turn.scene.input.local, gone)
  const known = new Set(turn.scene.input.local.map((instance) => instance.id))
  for (const start of starts) {
    const { slot, service, fetching, replaces, revives } = start
    const instance = instanceIdOf(slot, service.release)
    const gate = start.gate ?? (revives === null ? roomGate(service, taken, capacity, replaces) : null)
    if (gate !== null) {
      wait(turn, slot, gate)
      // Served meanwhile it only waits; where nobody serves it, and nobody goes first, it is as blocked as any other.
      const queued = start.queued && !start.held
      if (!start.queued || !isServed(turn, slot))
        turn.unready.push({ slot, service, cause: 'blocked', reason: gate, hopeless: false, queued })
      // An instance of that id that still ends here is reported by its own facts.
      if (!known.has(instance))
        turn.reports.push({
          instance,
          slot,
          state: fetching ? 'fetching' : 'pending',
          restarts: 0,
          reason: gate,
        })
      continue
    }
    if (revives === null) {
      taken.cpusMilli += service.reservedCpusMilli
      taken.memoryBytes += service.reservedMemoryBytes
    }
    turn.actions.push({
      kind: 'start',
      instance,
      slot,
      service: service.id,
      release: service.release,
      definition: service.definition,
      cpusMilli: service.reservedCpusMilli,
      memoryBytes: service.reservedMemoryBytes,
      proofMs: replaces ? PROOF_OF_REPLACEMENT_MS : PROOF_MS,
      stableRunMs: service.restart.windowMs,
      ...leased(turn, service, slot),
      reason: start.reason,
    })
    wait(turn, slot, `starts: ${start.reason}`)
    turn.unready.push({
      slot,
      service,
      cause: 'not-ready',
      reason: 'is about to start',
      hopeless: false,
    })
    // Until the hands have done it, it is what it was; readiness is never said in advance.
    const state = revives === null ? 'starting' : healthOf(revives, turn.nowMs).state
    const restarts = Math.max((revives?.runs ?? 1) - 1, 0)
    const claim = turn.scene.claims.begun(slot)
    turn.reports.push({ instance, slot, state, restarts, reason: start.reason, ...claimed(claim) })
  }
}

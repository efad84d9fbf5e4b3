// Hooks: commands that a steward runs once for a release, before its first slot (`pre_deploy`) or against its first ready
// instance (`verify`). A hook is an instance like any other to the hands: recorded before its spawn, adopted after a crash
// of the peer (S10), its output kept. To everybody else it is no slot: nothing routes to it, nothing depends on it. Its
// seat begins with a dash, which no member's name and no number does. Here is one run of one; who runs it, and when again,
// is pre-deploy.ts's and verification.ts's business.

import { unreachable } from '../../../lib/assert.ts'
import {
  instanceIdOf,
  seatOfSlot,
  slotIdOf,
  type InstanceId,
  type ReleaseId,
  type SlotId,
} from '../../../lib/ids.ts'
import { formatDuration } from '../../../lib/time.ts'
import type { HookStatus } from '../../../crdt/schema/status.ts'
import type { ReleaseDefinition, ServiceView } from '../../../crdt/schema/view.ts'
import type { Action } from '../action.ts'
import { exitText } from '../health.ts'
import type { LocalInstance } from '../local.ts'

export type HookKind = 'pre-deploy' | 'verify'

/** As a cell file names it. */
export const hookName = (kind: HookKind): string => (kind === 'verify' ? 'verify' : 'pre_deploy')

/** The kind of hook that an instance is a run of; null: it is a slot's. */
export const hookKindOf = (slot: SlotId): HookKind | null => {
  const seat = seatOfSlot(slot)
  return seat === '-pre-deploy' ? 'pre-deploy' : seat === '-verify' ? 'verify' : null
}

/** Whether a slot is that of a hook. */
export const isHookSlot = (slot: SlotId): boolean => seatOfSlot(slot).startsWith('-')

/** Where the run of a hook is recorded. */
export const hookInstanceOf = (service: ServiceView, kind: HookKind): InstanceId =>
  instanceIdOf(slotIdOf(service.id, `-${kind}`), service.release)

/** Key of a hook's outcome in a status: one run for each release. */
export const hookKeyOf = (service: Pick<ServiceView, 'id'>, release: ReleaseId): string =>
  `${service.id}@${release}`

/** Tells a run of a hook which run for its release it is; in its record, so that a peer that adopts it knows too. */
const ATTEMPT_VARIABLE = 'TUTTI_HOOK_ATTEMPT'

/** Which run of a hook an instance is. */
export const attemptOf = ({ definition }: Pick<LocalInstance, 'definition'>): number =>
  Number(definition.environment[ATTEMPT_VARIABLE] ?? 1)

export interface HookSpec {
  readonly kind: HookKind
  readonly command: readonly string[]
  readonly timeoutMs: number
  /** In addition to the service's own environment. */
  readonly environment: Readonly<Record<string, string>>
  /** 1 is the first run for the release. */
  readonly attempt: number
}

/** The service's own surroundings with another command, without ports and without anybody asking how it is. */
const definitionOf = (service: ServiceView, spec: HookSpec): ReleaseDefinition => {
  const { liveness: _liveness, ...definition } = service.definition
  return {
    ...definition,
    command: [...spec.command],
    environment: {
      ...definition.environment,
      ...spec.environment,
      [ATTEMPT_VARIABLE]: String(spec.attempt),
    },
    ports: {},
    healthcheck: null,
  }
}

export interface HookStep {
  readonly outcome: HookStatus
  readonly action: Action | null
  /** When to look again; null: when something happens. */
  readonly wakeAtMs: number | null
}

/** The start of a hook. */
export const beginHook = (service: ServiceView, spec: HookSpec): Action => {
  const slot = slotIdOf(service.id, `-${spec.kind}`)
  return {
    kind: 'start',
    instance: instanceIdOf(slot, service.release),
    slot,
    service: service.id,
    release: service.release,
    definition: definitionOf(service, spec),
    // It is short, and the release's own slots have not begun: it takes no room that anybody counts on.
    cpusMilli: 0,
    memoryBytes: 0,
    proofMs: 0,
    reason: `${hookName(spec.kind)} of release ${service.release}`,
  }
}

/** One step of a hook that this peer runs, from the facts of its instance. */
export const stepHook = (
  spec: Pick<HookSpec, 'kind' | 'timeoutMs'>,
  instance: LocalInstance,
  nowMs: number,
): HookStep => {
  switch (instance.phase) {
    case 'preparing':
    case 'stopping':
      return running(spec.kind, instance)
    case 'running':
      return stepRunning(spec, instance, nowMs)
    case 'exited': {
      // Its last words are read a moment after its end, and belong to the reason.
      const toldAtMs = (instance.exit?.atMs ?? nowMs) + LAST_WORDS_MS
      const isTold = instance.lastOutput !== undefined || instance.exit?.code === 0 || nowMs >= toldAtMs
      return isTold
        ? { outcome: outcomeOf(spec.kind, instance), action: null, wakeAtMs: null }
        : running(spec.kind, instance, toldAtMs)
    }
    case 'broken':
      return { outcome: outcomeOf(spec.kind, instance), action: null, wakeAtMs: null }
    default:
      return unreachable(instance.phase)
  }
}

const running = (kind: HookKind, instance: LocalInstance, wakeAtMs: number | null = null): HookStep => ({
  outcome: { state: 'running', reason: `${hookName(kind)} runs`, attempt: attemptOf(instance) },
  action: null,
  wakeAtMs,
})

const stepRunning = (
  { kind, timeoutMs }: Pick<HookSpec, 'kind' | 'timeoutMs'>,
  instance: LocalInstance,
  nowMs: number,
): HookStep => {
  const dueMs = instance.startedAtMs + timeoutMs
  if (nowMs < dueMs) return running(kind, instance, dueMs)
  const failure = `took longer than ${formatDuration(timeoutMs)}`
  const { id, definition, release } = instance
  return {
    ...running(kind, instance),
    action: {
      kind: 'stop',
      instance: id,
      signal: definition.stopSignal,
      graceMs: definition.stopGraceMs,
      failure,
      reason: `${hookName(kind)} of release ${release} ${failure}`,
    },
  }
}

/** Reading the last lines takes milliseconds; a disk that takes longer holds no rollout up. */
const LAST_WORDS_MS = 500
/** Characters of its last line in a reason; the rest is in the logs. */
const LAST_WORDS_MAX = 160

const outcomeOf = (kind: HookKind, instance: LocalInstance): HookStatus => {
  const { exit, error, phase, lastOutput = [] } = instance
  const attempt = attemptOf(instance)
  if (phase === 'exited' && exit?.code === 0 && exit.failure === undefined)
    return { state: 'done', reason: `${hookName(kind)} exited with 0`, attempt }
  // Its supervisor went down with it, or its end would be on record: the machine did.
  if (phase === 'exited' && exit?.failure === undefined && (exit?.code ?? exit?.signal ?? null) === null)
    return {
      state: 'failed',
      reason: `${hookName(kind)} was cut off, nobody saw how it ended`,
      attempt,
      cutOff: true,
    }
  const end = phase === 'broken' ? `cannot be run: ${error ?? 'unknown reason'}` : exitText(instance)
  const last = phase === 'broken' ? '' : (lastOutput.findLast((line) => line.trim() !== '') ?? '')
  const words = last === '' ? '' : `; it wrote last: ${last.slice(0, LAST_WORDS_MAX)}`
  return { state: 'failed', reason: `${hookName(kind)} ${end}${words}`, attempt }
}

/** What ends a hook's instance that nobody needs any more; null while nothing can be done. */
export const endHook = (instance: LocalInstance, reason: string): Action | null => {
  const { id, phase, definition } = instance
  if (phase === 'exited' || phase === 'broken') return { kind: 'forget', instance: id, reason }
  if (phase !== 'running') return null
  return {
    kind: 'stop',
    instance: id,
    signal: definition.stopSignal,
    graceMs: definition.stopGraceMs,
    reason,
  }
}

// Hooks: commands that a steward runs once for a release, before its first slot (`pre_deploy`) or against its first ready
// instance (`verify`). A hook is an instance like any other to the hands: recorded before its spawn, adopted after a crash
// of the peer (S10), its output kept. To everybody else it is no slot: nothing routes to it, nothing depends on it. Its
// seat begins with a dash, which no member's name and no number does.

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

/** Whether a slot is that of a hook. */
export const isHookSlot = (slot: SlotId): boolean => seatOfSlot(slot).startsWith('-')

/** Where the run of a hook is recorded. */
export const hookInstanceOf = (service: ServiceView, kind: HookKind): InstanceId =>
  instanceIdOf(slotIdOf(service.id, `-${kind}`), service.release)

/** Key of a hook's outcome in a status: one run for each release. */
export const hookKeyOf = (service: Pick<ServiceView, 'id'>, release: ReleaseId): string =>
  `${service.id}@${release}`

export interface HookSpec {
  readonly kind: HookKind
  readonly command: readonly string[]
  readonly timeoutMs: number
  /** In addition to the service's own environment. */
  readonly environment: Readonly<Record<string, string>>
}

/** The service's own surroundings with another command, without ports and without anybody asking how it is. */
const definitionOf = (service: ServiceView, spec: HookSpec): ReleaseDefinition => {
  const { liveness: _liveness, ...definition } = service.definition
  return {
    ...definition,
    command: [...spec.command],
    environment: { ...definition.environment, ...spec.environment },
    ports: {},
    healthcheck: null,
  }
}

export interface HookStep {
  /** Null: it has not begun; the action begins it. */
  readonly outcome: HookStatus | null
  readonly action: Action | null
  /** When to look again; null: when something happens. */
  readonly wakeAtMs: number | null
}

/** One step of a hook that this peer runs, from the facts of its instance. */
export const stepHook = (
  service: ServiceView,
  spec: HookSpec,
  instance: LocalInstance | undefined,
  nowMs: number,
): HookStep => {
  const reason = `${spec.kind} of release ${service.release}`
  if (instance === undefined) {
    const slot = slotIdOf(service.id, `-${spec.kind}`)
    const action: Action = {
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
      reason,
    }
    return { outcome: { state: 'running', reason: `${spec.kind} is about to run` }, action, wakeAtMs: null }
  }
  switch (instance.phase) {
    case 'preparing':
    case 'stopping':
      return running(spec)
    case 'running':
      return stepRunning(spec, instance, nowMs, reason)
    case 'exited':
    case 'broken':
      return { outcome: outcomeOf(spec, instance), action: null, wakeAtMs: null }
    default:
      return unreachable(instance.phase)
  }
}

const running = (spec: HookSpec, wakeAtMs: number | null = null): HookStep => ({
  outcome: { state: 'running', reason: `${spec.kind} runs` },
  action: null,
  wakeAtMs,
})

const stepRunning = (spec: HookSpec, instance: LocalInstance, nowMs: number, reason: string): HookStep => {
  const dueMs = instance.startedAtMs + spec.timeoutMs
  if (nowMs < dueMs) return running(spec, dueMs)
  const failure = `took longer than ${formatDuration(spec.timeoutMs)}`
  const { id, definition } = instance
  return {
    ...running(spec),
    action: {
      kind: 'stop',
      instance: id,
      signal: definition.stopSignal,
      graceMs: definition.stopGraceMs,
      failure,
      reason: `${reason} ${failure}`,
    },
  }
}

/** Characters of its last line in a reason; the rest is in the logs. */
const LAST_WORDS_MAX = 160

const outcomeOf = (spec: HookSpec, instance: LocalInstance): HookStatus => {
  const { exit, error, phase, lastOutput = [] } = instance
  if (phase === 'exited' && exit?.code === 0 && exit.failure === undefined)
    return { state: 'done', reason: `${spec.kind} exited with 0` }
  const end = phase === 'broken' ? `cannot be run: ${error ?? 'unknown reason'}` : exitText(instance)
  const last = phase === 'broken' ? '' : (lastOutput.findLast((line) => line.trim() !== '') ?? '')
  const words = last === '' ? '' : `; it wrote last: ${last.slice(0, LAST_WORDS_MAX)}`
  return { state: 'failed', reason: `${spec.kind} ${end}${words}` }
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

// Health: from the facts of one instance to its state, and which probe the hands are to run for a definition. Without a
// healthcheck an instance is ready once it runs or, with ports, once its first port accepts connections. Deliberately
// absent: any action; reconcile.ts and restart.ts decide what a state leads to.

import { unreachable } from '../../lib/assert.ts'
import { compareStrings } from '../../lib/order.ts'
import { formatDuration } from '../../lib/time.ts'
import { HEALTHCHECK_DEFAULTS } from '../../crdt/schema/service.ts'
import type { InstanceState } from '../../crdt/schema/status.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { LocalInstance } from './local.ts'

/** What the prober is to do for a running instance. */
export interface ProbeSpec {
  readonly kind: 'http' | 'tcp' | 'command'
  /** HTTP and TCP: the port's name. Null for a command. */
  readonly port: string | null
  /** HTTP only. */
  readonly path: string | null
  /** Command only. */
  readonly command: readonly string[] | null
  readonly intervalMs: number
  /** Until the first success: a deploy waits for it, so it is asked more often than a ready instance. */
  readonly firstIntervalMs: number
  readonly timeoutMs: number
}

/** Until the first success no instance is asked less often than this. Ten a second cost nothing and delay a deploy little. */
const FIRST_INTERVAL_MAX_MS = 100

/** The port meant when none is named: the first in code-unit order, which is the view's. Null without ports. */
export const firstPort = (definition: Pick<ReleaseDefinition, 'ports'>): string | null =>
  Object.keys(definition.ports).sort(compareStrings)[0] ?? null

/** The probe of a definition; null: nothing to probe, running is ready. */
export const probeOf = (definition: ReleaseDefinition): ProbeSpec | null => {
  const check = definition.healthcheck
  const first = firstPort(definition)
  if (check === null) {
    if (first === null) return null
    const { intervalMs, timeoutMs } = HEALTHCHECK_DEFAULTS
    const timing = { intervalMs, timeoutMs, firstIntervalMs: FIRST_INTERVAL_MAX_MS }
    return { kind: 'tcp', port: first, path: null, command: null, ...timing }
  }
  const timing = {
    intervalMs: check.intervalMs,
    timeoutMs: check.timeoutMs,
    firstIntervalMs: Math.min(check.intervalMs, FIRST_INTERVAL_MAX_MS),
  }
  const port = check.port ?? first
  switch (check.kind) {
    case 'http':
      return { kind: 'http', port, path: check.path ?? '/', command: null, ...timing }
    case 'tcp':
      return { kind: 'tcp', port, path: null, command: null, ...timing }
    case 'command':
      return { kind: 'command', port: null, path: null, command: check.command ?? [], ...timing }
    default:
      return unreachable(check.kind)
  }
}

/** Most programs that cannot work say so by ending within this time of their start. */
export const PROOF_MS = 250
/**
 * A new release takes the place of one that works, so it shows more: long enough to read its configuration, to connect,
 * and to give up. A service that needs longer has a healthcheck.
 */
export const PROOF_OF_REPLACEMENT_MS = 2000
const PROOF_AFTER_FAILURE_MS = PROOF_OF_REPLACEMENT_MS

/** Failures in a row that make an instance failing, and the time after a start in which none counts. */
export const thresholdsOf = (
  definition: ReleaseDefinition,
): { readonly retries: number; readonly startPeriodMs: number } => ({
  retries: definition.healthcheck?.retries ?? HEALTHCHECK_DEFAULTS.retries,
  startPeriodMs: definition.healthcheck?.startPeriodMs ?? HEALTHCHECK_DEFAULTS.startPeriodMs,
})

export interface Health {
  readonly state: InstanceState
  /** Empty when there is nothing to say. */
  readonly reason: string
  /** When the state changes by time alone. Monotonic milliseconds; null: never. */
  readonly changesAtMs: number | null
}

/** How an instance is. Exits are `crashed` here; restart.ts knows which of them are a good end or a crash loop. */
export const healthOf = (instance: LocalInstance, nowMs: number): Health => {
  switch (instance.phase) {
    case 'preparing':
      return lasting('starting', 'is being spawned')
    case 'running':
      return instance.draining
        ? lasting('draining', 'takes no new traffic')
        : healthOfRunning(instance, nowMs)
    case 'stopping':
      return lasting('draining', 'is being stopped')
    case 'exited':
      return lasting('crashed', exitText(instance))
    case 'broken':
      return lasting('crashed', `cannot be spawned: ${instance.error ?? 'unknown reason'}`)
    default:
      return unreachable(instance.phase)
  }
}

const lasting = (state: InstanceState, reason: string): Health => ({ state, reason, changesAtMs: null })

const healthOfRunning = (instance: LocalInstance, nowMs: number): Health => {
  const { probe, definition } = instance
  if (probeOf(definition) === null) return healthOfUnchecked(instance, nowMs)
  const { retries, startPeriodMs } = thresholdsOf(definition)
  const failing = probe.failedInARow >= retries
  const failure = probe.lastFailure === '' ? 'no answer' : probe.lastFailure
  // Without the running count: a reason that changed with every check would be a new status each time.
  const tally = `${retries} checks in a row failed: ${failure}`
  if (probe.everOk) return failing ? lasting('failing', tally) : lasting('ready', '')
  const graceEndsMs = instance.startedAtMs + startPeriodMs
  if (nowMs < graceEndsMs) {
    const left = formatDuration(graceEndsMs - nowMs)
    const reason =
      probe.failedInARow === 0 ? 'has not been checked yet' : `${failure} (${left} of start_period left)`
    return { state: 'starting', reason, changesAtMs: failing ? graceEndsMs : null }
  }
  if (failing) return lasting('failing', tally)
  return lasting('starting', probe.failedInARow === 0 ? 'has not been checked yet' : failure)
}

/**
 * Nothing asks it, so only its running on speaks for it: for as long as its start demanded, and for longer after a short
 * run, or every crash loop would be ready between two crashes.
 */
const healthOfUnchecked = (instance: LocalInstance, nowMs: number): Health => {
  const proofMs = Math.max(instance.proofMs ?? 0, instance.failuresInARow > 0 ? PROOF_AFTER_FAILURE_MS : 0)
  const provenAtMs = instance.startedAtMs + proofMs
  if (nowMs >= provenAtMs) return lasting('ready', '')
  const reason = `has no check and counts as ready once it has run for ${formatDuration(proofMs)}`
  return { state: 'starting', reason, changesAtMs: provenAtMs }
}

/** How an instance ended, in words that follow its name. */
export const exitText = (instance: Pick<LocalInstance, 'exit'>): string => {
  const { exit } = instance
  if (exit === null) return 'ended, nobody saw how'
  if (exit.signal !== null) return `was ended by ${exit.signal}`
  return exit.code === null ? 'ended, nobody saw how' : `exited with ${exit.code}`
}

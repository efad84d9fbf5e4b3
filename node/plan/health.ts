// Health: from the facts of one instance to its state, and which probes the hands are to run for a definition. Without a
// healthcheck an instance is ready once all its ports accept connections or, without ports, once it has run for a moment.
// Readiness and liveness are apart: the one decides on traffic, the other on a restart. Deliberately absent: any action;
// reconcile.ts and restart.ts decide what a state leads to.

import { unreachable } from '../../lib/assert.ts'
import { compareStrings } from '../../lib/order.ts'
import { formatDuration, formatSize } from '../../lib/time.ts'
import type { Healthcheck } from '../../crdt/schema/service.ts'
import { HEALTHCHECK_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import type { InstanceState } from '../../crdt/schema/status.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { LocalInstance, ProcessExit } from './local.ts'

/** What the prober is to do for a running instance. */
export interface ProbeSpec {
  readonly kind: 'http' | 'tcp' | 'command'
  /** HTTP: the one port's name. TCP: of all ports that must accept. Empty for a command. */
  readonly ports: readonly string[]
  /** HTTP only. */
  readonly path: string | null
  /** Command only. */
  readonly command: readonly string[] | null
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly successes: number
}

/** The port meant when none is named: the first in code-unit order, which is the view's. Null without ports. */
export const firstPort = (definition: Pick<ReleaseDefinition, 'ports'>): string | null =>
  Object.keys(definition.ports).sort(compareStrings)[0] ?? null

/** The readiness probe of a definition; null: nothing to probe, running is ready. */
export const probeOf = (definition: ReleaseDefinition): ProbeSpec | null => {
  if (definition.healthcheck !== null) return probeBy(definition.healthcheck, definition)
  const ports = Object.keys(definition.ports).sort(compareStrings)
  if (ports.length === 0) return null
  const { intervalMs, timeoutMs } = HEALTHCHECK_DEFAULTS
  return { kind: 'tcp', ports, path: null, command: null, intervalMs, timeoutMs, successes: 1 }
}

/** The liveness probe of a definition; null: it has none. */
export const livenessOf = (definition: ReleaseDefinition): ProbeSpec | null =>
  definition.liveness === undefined ? null : probeBy(definition.liveness, definition)

const probeBy = (check: Healthcheck, definition: ReleaseDefinition): ProbeSpec | null => {
  const { intervalMs, timeoutMs, successes = 1 } = check
  const port = check.port ?? firstPort(definition)
  const asked = { ports: port === null ? [] : [port], path: null, command: null }
  const times = { intervalMs, timeoutMs, successes }
  switch (check.kind) {
    case 'http':
      return { kind: 'http', ...asked, path: check.path ?? '/', ...times }
    case 'tcp':
      return { kind: 'tcp', ...asked, ...times }
    case 'command':
      return { kind: 'command', ...asked, ports: [], command: check.command ?? [], ...times }
    case 'none':
      return null
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
  check: Healthcheck | null | undefined,
): { readonly retries: number; readonly startPeriodMs: number } => ({
  retries: check?.retries ?? HEALTHCHECK_DEFAULTS.retries,
  startPeriodMs: check?.startPeriodMs ?? HEALTHCHECK_DEFAULTS.startPeriodMs,
})

/**
 * Why an instance that runs must be restarted: its liveness has failed as often as it may. Null: it need not. In words
 * that do not change while it lasts.
 */
export const livenessFailure = (instance: LocalInstance, nowMs: number): string | null => {
  const { liveness: tally, definition, startedAtMs } = instance
  if (tally === undefined || livenessOf(definition) === null) return null
  const { retries, startPeriodMs } = thresholdsOf(definition.liveness)
  if (tally.failedInARow < retries || (!tally.everOk && nowMs < startedAtMs + startPeriodMs)) return null
  return `liveness failed ${retries} times in a row: ${tally.lastFailure === '' ? 'no answer' : tally.lastFailure}`
}

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
  const lifeless = livenessFailure(instance, nowMs)
  if (lifeless !== null) return lasting('failing', lifeless)
  if (probeOf(definition) === null) return healthOfUnchecked(instance, nowMs)
  const { retries, startPeriodMs } = thresholdsOf(definition.healthcheck)
  const failing = probe.failedInARow >= retries
  const failure = probe.lastFailure === '' ? 'no answer' : probe.lastFailure
  // Without the running count: a reason that changed with every check would be a new status each time.
  const tally = `${retries} checks in a row failed: ${failure}`
  if (probe.everOk) return failing ? lasting('failing', tally) : lasting('ready', instance.shortfall ?? '')
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
  if (nowMs >= provenAtMs) return lasting('ready', instance.shortfall ?? '')
  const reason = `has no check and counts as ready once it has run for ${formatDuration(proofMs)}`
  return { state: 'starting', reason, changesAtMs: provenAtMs }
}

/** How an instance ended, in words that follow its name. */
export const exitText = (instance: Pick<LocalInstance, 'exit' | 'definition'>): string => {
  const { exit, definition } = instance
  if (exit === null) return 'ended, nobody saw how'
  const end = statusText(exit)
  const text = exit.failure === undefined ? end : `${exit.failure} (${end})`
  if (exit.oomKilled !== true) return text
  const limit = formatSize(definition.memoryMaxBytes ?? 0)
  return `out of memory: went over its limit of ${limit} and ${text}`
}

/** A shell says 128 and a signal's number of a program that a signal ended; a program that says so itself quotes it. */
const QUOTED_SIGNALS: Readonly<Record<number, string>> = {
  129: 'SIGHUP',
  130: 'SIGINT',
  131: 'SIGQUIT',
  134: 'SIGABRT',
  137: 'SIGKILL',
  139: 'SIGSEGV',
  141: 'SIGPIPE',
  143: 'SIGTERM',
}

const statusText = ({ code, signal }: ProcessExit): string => {
  if (signal !== null) return `was ended by ${signal}`
  if (code === null) return 'ended, nobody saw how'
  const quoted = QUOTED_SIGNALS[code]
  return `exited with ${code}${quoted === undefined ? '' : ` (as a shell does after ${quoted})`}`
}

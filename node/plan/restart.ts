// Restarts: whether and when an ended instance runs again. Exponential backoff with jitter, doubling from the service's
// delay to its maximum; a run that was stable starts over. A crash loop is reported and goes on at the maximum (L6). Jitter
// comes from a hash of instance and run, so that a plan stays a function of its inputs and instances do not restart in step.

import { hash32 } from '../../lib/hash.ts'
import { formatDuration } from '../../lib/time.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { HEALTHCHECK_DEFAULTS } from '../../crdt/schema/service.ts'
import { exitText, probeOf, thresholdsOf } from './health.ts'
import type { LocalInstance } from './local.ts'

export type RestartPolicy = ServiceSpec['restart']

/** A run at least this long is no failed start, so backoff begins anew: ten seconds, as systemd's start-limit interval. */
export const STABLE_RUN_MS = 10_000

/** Short runs in a row that make a crash loop: five, as systemd's start-limit burst. */
export const CRASH_LOOP_RUNS = 5

/** Doublings beyond this exceed any allowed delay (7 days from 1 ms is 2^30). */
const DOUBLINGS_MAX = 30

/** Jitter takes off up to a quarter of a delay, in steps of 1/1024. Off and not on, so that `max_delay` is kept. */
const JITTER_STEPS = 256
const JITTER_SCALE = 1024

/**
 * The count the hands keep in `failuresInARow` when a run has ended after `ranMs`: every end of a short run counts,
 * also a good one, since a program that returns at once must not spin.
 */
export const failuresAfter = (failuresInARow: number, ranMs: number): number =>
  ranMs >= STABLE_RUN_MS ? 1 : failuresInARow + 1

/** The pause before the next run, after that many short runs in a row. */
export const backoffMs = (
  policy: RestartPolicy,
  instance: Pick<LocalInstance, 'id' | 'runs'>,
  failures: number,
): number => {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX)
  const delayMs = Math.min(policy.delayMs * 2 ** doublings, Math.max(policy.delayMaxMs, policy.delayMs))
  const off = hash32(`${instance.id} run ${instance.runs}`) % JITTER_STEPS
  return delayMs - Math.floor((delayMs * off) / JITTER_SCALE)
}

/** What becomes of an instance that ended or could not be spawned. */
export type RestartVerdict =
  | { readonly kind: 'now'; readonly reason: string }
  | { readonly kind: 'later'; readonly atMs: number; readonly reason: string }
  /** It did what it was for; nothing is wrong. */
  | { readonly kind: 'done'; readonly reason: string }
  /** It failed, and its service does not want it restarted. */
  | { readonly kind: 'given-up'; readonly reason: string }

/** Decides for an instance in phase `exited` or `broken`. */
export const restartOf = (instance: LocalInstance, policy: RestartPolicy, nowMs: number): RestartVerdict => {
  const broken = instance.phase === 'broken'
  const ended = broken ? `cannot be spawned: ${instance.error ?? 'unknown reason'}` : exitText(instance)
  // An instance that we stopped because its checks failed may well end with 0; that is no good end.
  const good = !broken && instance.exit?.code === 0 && !failsForLong(instance, Infinity)
  if (policy.condition === 'none' || (policy.condition === 'on-failure' && good)) {
    const why = `${ended}, and its restart condition is ${policy.condition}`
    return good ? { kind: 'done', reason: why } : { kind: 'given-up', reason: why }
  }
  const atMs =
    (instance.exit?.atMs ?? instance.startedAtMs) + backoffMs(policy, instance, instance.failuresInARow)
  if (atMs <= nowMs) return { kind: 'now', reason: ended }
  const loop = isCrashLoop(instance) ? ` (${instance.failuresInARow} short runs in a row)` : ''
  return {
    kind: 'later',
    atMs,
    reason: `${ended}${loop}, restarts after ${formatDuration(atMs - (instance.exit?.atMs ?? instance.startedAtMs))}`,
  }
}

/** True while short runs follow each other; a run that has become stable ends it. */
export const isCrashLoop = (instance: Pick<LocalInstance, 'failuresInARow'>): boolean =>
  instance.failuresInARow >= CRASH_LOOP_RUNS

/** A failing instance is given this much longer than it took to become failing... */
const FAILING_RETRIES_FACTOR = 3
/** ...and at least this long: a hiccup of a dependency must not restart a whole service. */
const FAILING_MIN_MS = 10_000

/**
 * True for an instance that has failed its checks beyond the bound and is to be restarted: three times its retries, and
 * at least ten seconds of failures. Compose would leave it; a process that hangs for good helps nobody. Failures in the
 * start period do not count.
 */
export const failsForLong = (instance: LocalInstance, nowMs: number): boolean => {
  if (probeOf(instance.definition) === null) return false
  const { retries, startPeriodMs } = thresholdsOf(instance.definition)
  const intervalMs = instance.definition.healthcheck?.intervalMs ?? HEALTHCHECK_DEFAULTS.intervalMs
  const bound = Math.max(FAILING_RETRIES_FACTOR * retries, Math.ceil(FAILING_MIN_MS / intervalMs))
  if (instance.probe.failedInARow < bound) return false
  return instance.probe.everOk || nowMs - instance.startedAtMs >= startPeriodMs + bound * intervalMs
}

// Restarts: whether and when an ended instance runs again, and in which order where many want to. Exponential backoff with
// jitter, doubling from the service's delay to its maximum; a run that was stable starts over. A crash loop is reported and
// goes on at the maximum (L6). Jitter comes from a hash of instance and run, so that a plan stays a function of its inputs
// and instances do not restart in step.

import { hash32 } from '../../lib/hash.ts'
import { compareStrings } from '../../lib/order.ts'
import { formatDuration } from '../../lib/time.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { exitText } from './health.ts'
import type { LocalInstance } from './local.ts'

export type RestartPolicy = ServiceSpec['restart']

/** A run at least this long is no failed start where the service does not say (`restart_policy.window`). */
export const STABLE_RUN_MS = SERVICE_DEFAULTS.restart.windowMs

/**
 * A run at least this long is started again without a pause, if its window is not longer: what worked for so long is worth
 * one try at once, and an instance that ends again and again gets no more than one such try in as many milliseconds.
 */
export const IMMEDIATE_RUN_MS = 10_000

/** Short runs in a row that make a crash loop: five, as systemd's start-limit burst. */
export const CRASH_LOOP_RUNS = 5

/** Doublings beyond this exceed any allowed delay (7 days from 1 ms is 2^30). */
const DOUBLINGS_MAX = 30

/** Jitter takes off up to a quarter of a delay, in steps of 1/1024. Off and not on, so that `max_delay` is kept. */
const JITTER_STEPS = 256
const JITTER_SCALE = 1024

/**
 * Restarts of one peer within a second. A program that starts costs tens of milliseconds of some core, so ten of them
 * leave the machine to those that work, and a hundred crash loops at the default maximum delay still keep their pace.
 */
export const RESTARTS_PER_SECOND_MAX = 10
const SECOND_MS = 1000

/**
 * The count the hands keep in `failuresInARow` when a run has ended after `ranMs`: every end of a short run counts,
 * also a good one, since a program that returns at once must not spin.
 */
export const failuresAfter = (
  failuresInARow: number,
  ranMs: number,
  stableRunMs: number = STABLE_RUN_MS,
): number => (ranMs >= stableRunMs ? 1 : failuresInARow + 1)

/** The pause before the next run, after that many short runs in a row. */
export const backoffMs = (
  policy: Pick<RestartPolicy, 'delayMs' | 'delayMaxMs'>,
  instance: Pick<LocalInstance, 'id' | 'runs'>,
  failures: number,
): number => {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX)
  const delayMs = Math.min(policy.delayMs * 2 ** doublings, Math.max(policy.delayMaxMs, policy.delayMs))
  const off = hash32(`${instance.id} run ${instance.runs}`) % JITTER_STEPS
  return delayMs - Math.floor((delayMs * off) / JITTER_SCALE)
}

/** How long a run must have been on so that its end is followed by the next run without a pause; 0: no run is too short. */
export const immediateAfterMs = ({ delayMs, windowMs }: RestartPolicy): number =>
  delayMs === 0 ? 0 : Math.max(windowMs, IMMEDIATE_RUN_MS)

/** What becomes of an instance that ended or could not be spawned. */
export type RestartVerdict =
  | { readonly kind: 'now'; readonly dueMs: number; readonly reason: string }
  | { readonly kind: 'later'; readonly atMs: number; readonly reason: string }
  /** It did what it was for; nothing is wrong. */
  | { readonly kind: 'done'; readonly reason: string }
  /** It failed, and its service does not want it restarted, or not any more. */
  | { readonly kind: 'given-up'; readonly reason: string }
  /** It cannot be spawned for a reason that trying again does not mend. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Decides for an instance in phase `exited` or `broken`. */
export const restartOf = (instance: LocalInstance, policy: RestartPolicy, nowMs: number): RestartVerdict => {
  const { exit, phase, failuresInARow: failures } = instance
  const broken = phase === 'broken'
  const ended = broken ? `cannot be spawned: ${instance.error ?? 'unknown reason'}` : exitText(instance)
  // An instance that we ended because its liveness failed may well end with 0; that is no good end.
  const good = !broken && exit?.code === 0 && exit.failure === undefined
  if (broken && instance.refused === true) return { kind: 'refused', reason: ended }
  if (policy.condition === 'none' || (policy.condition === 'on-failure' && good)) {
    const why = `${ended}, and its restart condition is ${policy.condition}`
    return good ? { kind: 'done', reason: why } : { kind: 'given-up', reason: `${why}${lastWords(instance)}` }
  }
  if (policy.attemptsMax !== null && failures > policy.attemptsMax) {
    const why = `${ended}, and max_attempts of ${policy.attemptsMax} are used up`
    return { kind: 'given-up', reason: `${why}${lastWords(instance)}` }
  }
  const endedMs = exit?.atMs ?? instance.startedAtMs
  // One such try: `failures` is 1 after a run that was stable, and more while short ones follow each other.
  const isImmediate = !broken && failures <= 1 && endedMs - instance.startedAtMs >= immediateAfterMs(policy)
  const dueMs = endedMs + (isImmediate ? 0 : backoffMs(policy, instance, failures))
  const reason = isCrashLoop(instance)
    ? crashLoopText(instance, policy)
    : `${ended}, restarts after ${formatDuration(dueMs - endedMs)}`
  return dueMs <= nowMs ? { kind: 'now', dueMs, reason: ended } : { kind: 'later', atMs: dueMs, reason }
}

/** True while short runs follow each other; a run that has become stable ends it. */
export const isCrashLoop = (instance: Pick<LocalInstance, 'failuresInARow'>): boolean =>
  instance.failuresInARow >= CRASH_LOOP_RUNS

/** A crash loop in words that stay the same from run to run, so that it is one event and one status. */
export const crashLoopText = (instance: LocalInstance, policy: RestartPolicy): string => {
  const exit = instance.exit ?? instance.lastExit ?? null
  const end =
    instance.error === null
      ? exitText({ exit, definition: instance.definition })
      : `cannot be spawned: ${instance.error}`
  const pause = formatDuration(Math.max(policy.delayMaxMs, policy.delayMs))
  return `crash loop: ${end}, restarts up to ${pause} apart${lastWords(instance)}`
}

/** One line of output shown in a reason; the rest is in the status and the logs. */
const LAST_WORDS_MAX = 160

const lastWords = ({ lastOutput = [], phase }: LocalInstance): string => {
  const last = phase === 'broken' ? '' : (lastOutput.findLast((line) => line.trim() !== '') ?? '')
  if (last === '') return ''
  return `; it wrote last: ${last.length > LAST_WORDS_MAX ? `${last.slice(0, LAST_WORDS_MAX)}…` : last}`
}

/** An instance whose backoff is over. */
export interface Restartable {
  readonly instance: LocalInstance
  readonly dueMs: number
}

/**
 * Which of those that may restart do so now (L6): a bounded number a second, first those that failed least, then those
 * that have waited longest, so that a loop delays neither an instance that crashed once nor another loop for ever.
 * `againAtMs` is when the others are to be looked at; null: there are none.
 */
export const grantRestarts = (
  wanting: readonly Restartable[],
  local: readonly LocalInstance[],
  nowMs: number,
): { readonly granted: readonly Restartable[]; readonly againAtMs: number | null } => {
  const recent = local.filter(
    ({ runs, phase, startedAtMs }) =>
      startedAtMs > nowMs - SECOND_MS && (runs > 1 || (runs === 1 && phase === 'preparing')),
  )
  const room = Math.max(0, RESTARTS_PER_SECOND_MAX - recent.length)
  const granted = wanting
    .toSorted(
      (a, b) =>
        a.instance.failuresInARow - b.instance.failuresInARow ||
        a.dueMs - b.dueMs ||
        compareStrings(a.instance.id, b.instance.id),
    )
    .slice(0, room)
  if (granted.length === wanting.length) return { granted, againAtMs: null }
  const oldestMs = recent.reduce((least, { startedAtMs }) => Math.min(least, startedAtMs), nowMs)
  return { granted, againAtMs: oldestMs + SECOND_MS }
}

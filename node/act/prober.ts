// The prober: probes one instance again and again and keeps the tally. Readiness quickly at first, since somebody waits
// for a program to become ready, and then, as liveness always, once a jittered interval. Probes of one kind of one instance
// never overlap: the next is set only when one has ended. What a tally means (ready, failing) is judged by the plan.

import type { Random } from '../../lib/random.ts'
import type { Clock } from '../../lib/time.ts'
import { TALLY_EMPTY, withFailure } from '../plan/facts.ts'
import type { ProbeTally } from '../plan/local.ts'
import { Cut } from './cut.ts'
import type { Probe, ProbePlace } from './probes.ts'
import type { ProbeSpec } from './probe-spec.ts'

/** What to probe. */
export interface ProbeTarget {
  readonly spec: ProbeSpec
  readonly place: ProbePlace
  /** How long the process has been running already; an adopted one has. */
  readonly ageMs: number
}

/** A probing under way. */
export interface Probing {
  /** Resolves after the first probe, or when it was stopped. */
  readonly first: Promise<void>
  stop(): void
}

/** Probes targets; the simulator brings its own. */
export interface Prober {
  /** `report` gets the new tally after each probe, and whether anything about it matters to a reader. */
  watch(target: ProbeTarget, report: (tally: ProbeTally, changed: boolean) => void): Probing
}

// Until the first success a probe follows the last one after a tenth of the time waited so far: readiness is seen at
// most 10 % late, and a start of a minute costs some sixty probes.
const EAGERNESS = 0.1
// A connection to loopback costs some 50 µs, so 50 a second in the first fifth of a second are no load.
const DELAY_MIN_MS = 20
// A process costs a millisecond and more, and blocks the loop of a large peer for longer.
const COMMAND_DELAY_MIN_MS = 100
// Keeps apart the probes of instances that started together. Of the interval, to either side.
const JITTER = 0.1
// Probes that are not in a hurry begin together at such moments: what a probe costs is mostly the event loop waking up for
// it four times, and with ten of a thousand at a time that halves (bench/probes.ts). A twentieth of the interval at most.
const BEAT_MS = 50
const BEATS_MIN = 20
// Successes after which one more says nothing new.
const OK_TELLS = 3

/**
 * The tally after one more outcome; a failure that does not count is told all the same. Failures are forgotten, and a
 * first success is one, only after `successes` in a row.
 */
export const tallied = (
  tally: ProbeTally,
  failure: string | null,
  counts: boolean,
  successes = 1,
): ProbeTally => {
  if (failure === null) {
    const okInARow = tally.okInARow + 1
    return okInARow < successes
      ? { ...tally, okInARow }
      : { ...tally, okInARow, failedInARow: 0, everOk: true, lastFailure: '' }
  }
  return withFailure(tally, counts, failure)
}

const matters = (before: ProbeTally, after: ProbeTally, successes: number): boolean =>
  after.okInARow > 0
    ? after.okInARow < successes + OK_TELLS
    : after.failedInARow !== before.failedInARow || after.lastFailure !== before.lastFailure

/** A delay, lengthened so that it ends on a beat. */
const onTheBeat = ({ intervalMs }: ProbeSpec, nowMs: number, delayMs: number): number =>
  intervalMs < BEATS_MIN * BEAT_MS ? delayMs : Math.ceil((nowMs + delayMs) / BEAT_MS) * BEAT_MS - nowMs

/** Probes in real time with the given probe. */
export const createProber = (options: {
  readonly clock: Clock
  readonly random: Random
  readonly probe: Probe
}): Prober => {
  const { clock, random, probe } = options
  const delayAfter = (spec: ProbeSpec, before: ProbeTally, tally: ProbeTally, waitedMs: number): number => {
    // Instances that became ready, or were adopted, at one moment are spread over the whole interval from then on.
    if (spec.eager && tally.everOk && !before.everOk) return phaseOf(spec)
    if (tally.everOk || !spec.eager) return spec.intervalMs * (1 + JITTER * (2 * random.next() - 1))
    const least = spec.kind === 'command' ? COMMAND_DELAY_MIN_MS : DELAY_MIN_MS
    return Math.min(spec.intervalMs, Math.max(least, waitedMs * EAGERNESS))
  }
  const phaseOf = (spec: ProbeSpec): number => Math.max(DELAY_MIN_MS, spec.intervalMs * random.next())
  return {
    watch: ({ spec, place, ageMs }, report) => {
      const stopped = new Cut()
      const first = Promise.withResolvers<void>()
      const beganMs = clock.now()
      let tally = TALLY_EMPTY
      let countedMs = beganMs
      let cancel: () => void = () => undefined
      const turn = async (): Promise<void> => {
        const failure = await probe(spec, place, stopped)
        if (stopped.isMade) return
        const nowMs = clock.now()
        const waitedMs = nowMs - beganMs
        const before = tally
        // Until the first success: nothing in the start period counts (as with Docker), and after it one failure an
        // interval, as many as there would be if probes were not in a hurry.
        const counts =
          tally.everOk || (waitedMs + ageMs >= spec.startPeriodMs && nowMs - countedMs >= spec.countEveryMs)
        if (counts) countedMs = nowMs
        tally = tallied(tally, failure, counts, spec.successes)
        report(tally, matters(before, tally, spec.successes))
        first.resolve()
        if (spec.once && tally.everOk) return
        const delayMs = delayAfter(spec, before, tally, waitedMs)
        cancel = clock.after(tally.everOk || !spec.eager ? onTheBeat(spec, nowMs, delayMs) : delayMs, begin)
      }
      const begin = (): void => {
        void turn()
      }
      // An adopted instance is asked at once; a fresh one has not opened anything yet.
      cancel = clock.after(!spec.eager ? phaseOf(spec) : ageMs > 0 ? 0 : DELAY_MIN_MS, begin)
      return {
        first: first.promise,
        stop: () => {
          stopped.now()
          cancel()
          first.resolve()
        },
      }
    },
  }
}

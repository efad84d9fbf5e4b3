// When a pass runs: soon after something changed, when the last plan asked to be woken, and never twice at once.
// A hundred events in one breath cost one pass, and passes that take long come less often, so that starting a thousand
// instances leaves most of the peer's time to starting them. A pass may come in several steps, between which everything else
// has its turn. What it does is the caller's.

import type { Clock } from '../../lib/time.ts'

/**
 * Events within this time share a pass. Long enough for the records of one gossip burst to arrive together, short
 * against the milliseconds that starting a process takes.
 */
const COALESCE_MS = 3
/** A pass rests this many times as long as it took: passes take a tenth of the peer's time, however much there is to see. */
const REST_FACTOR = 9
/**
 * And at least this long for each member, since a pass looks at all of them: while a thousand arrive, five passes a second
 * see as much as three hundred would. The first one after a quiet time waits for nobody.
 */
const REST_PER_MEMBER_MS = 0.2
/** It never rests longer: a long pass is one that was held up, and readiness waits for the next. */
const REST_MAX_MS = 250

/** One pass: gives way at each `yield`, and returns when it wants to run again although nothing happens. */
export type Pass = Iterator<void, number | null>

export class PassLoop {
  readonly #clock: Clock
  readonly #pass: () => Pass
  readonly #members: () => number
  readonly #took: (durationMs: number) => void
  #cancelStep: (() => void) | null = null
  /** What changed since the pass under way began. */
  #missed: 'nothing' | 'something' | 'urgent' = 'nothing'
  #cancelSoon: (() => void) | null = null
  #cancelWake: (() => void) | null = null
  #restUntilMs = -Infinity
  #stopped = false

  /**
   * `pass` begins one; what it returns at its end is monotonic milliseconds, or null. `members`: how many it looks at.
   * @default none. `took`: told how long each was at work.
   */
  constructor(
    clock: Clock,
    pass: () => Pass,
    members: () => number = () => 0,
    took: (durationMs: number) => void = () => undefined,
  ) {
    this.#clock = clock
    this.#pass = pass
    this.#members = members
    this.#took = took
  }

  /** Something changed: run a pass soon. `urgent`: now, as far as the last one leaves time for it. */
  dirty(urgent = false): void {
    if (this.#stopped) return
    if (this.#cancelStep !== null) {
      if (urgent || this.#missed === 'nothing') this.#missed = urgent ? 'urgent' : 'something'
      return
    }
    const restMs = this.#restUntilMs - this.#clock.now()
    this.#cancelSoon ??= this.#clock.after(Math.max(urgent ? 0 : COALESCE_MS, restMs), () => this.#run())
  }

  stop(): void {
    this.#stopped = true
    this.#cancelStep?.()
    this.#cancelSoon?.()
    this.#cancelWake?.()
  }

  #run(): void {
    this.#cancelSoon?.()
    this.#cancelSoon = null
    this.#cancelWake?.()
    this.#cancelWake = null
    if (this.#stopped) return
    this.#goOn(this.#pass(), 0)
  }

  /** The next step of a pass that has taken that long so far. */
  #goOn(pass: Pass, beforeMs: number): void {
    const began = this.#clock.now()
    const step = pass.next()
    const ended = this.#clock.now()
    const tookMs = beforeMs + ended - began
    if (step.done !== true) {
      this.#cancelStep = this.#clock.after(0, () => this.#goOn(pass, tookMs))
      return
    }
    this.#cancelStep = null
    this.#took(tookMs)
    const restMs = Math.max(tookMs * REST_FACTOR, this.#members() * REST_PER_MEMBER_MS)
    this.#restUntilMs = ended + Math.min(REST_MAX_MS, restMs)
    const missed = this.#missed
    this.#missed = 'nothing'
    if (missed !== 'nothing') this.dirty(missed === 'urgent')
    const wakeAtMs = step.value
    if (wakeAtMs === null || this.#cancelSoon !== null) return
    this.#cancelWake = this.#clock.after(Math.max(COALESCE_MS, wakeAtMs - ended), () => this.#run())
  }
}

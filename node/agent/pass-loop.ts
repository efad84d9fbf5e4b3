// When a pass runs: soon after something changed, when the last plan asked to be woken, and never twice at once.
// A hundred events in one breath cost one pass, and passes that take long come less often, so that starting a thousand
// instances leaves most of the peer's time to starting them. What a pass does is the caller's.

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

export class PassLoop {
  readonly #clock: Clock
  readonly #pass: () => number | null
  readonly #members: () => number
  #cancelSoon: (() => void) | null = null
  #cancelWake: (() => void) | null = null
  #restUntilMs = -Infinity
  #stopped = false

  /**
   * `pass` returns when it wants to run again although nothing happens: monotonic milliseconds, or null. `members`: how
   * many it looks at. @default none
   */
  constructor(clock: Clock, pass: () => number | null, members: () => number = () => 0) {
    this.#clock = clock
    this.#pass = pass
    this.#members = members
  }

  /** Something changed: run a pass soon. `urgent`: now, as far as the last one leaves time for it. */
  dirty(urgent = false): void {
    if (this.#stopped) return
    const restMs = this.#restUntilMs - this.#clock.now()
    this.#cancelSoon ??= this.#clock.after(Math.max(urgent ? 0 : COALESCE_MS, restMs), () => this.#run())
  }

  stop(): void {
    this.#stopped = true
    this.#cancelSoon?.()
    this.#cancelWake?.()
  }

  #run(): void {
    this.#cancelSoon?.()
    this.#cancelSoon = null
    this.#cancelWake?.()
    this.#cancelWake = null
    if (this.#stopped) return
    const began = this.#clock.now()
    const wakeAtMs = this.#pass()
    const ended = this.#clock.now()
    const restMs = Math.max((ended - began) * REST_FACTOR, this.#members() * REST_PER_MEMBER_MS)
    this.#restUntilMs = ended + Math.min(REST_MAX_MS, restMs)
    if (wakeAtMs === null || this.#cancelSoon !== null) return
    this.#cancelWake = this.#clock.after(Math.max(COALESCE_MS, wakeAtMs - ended), () => this.#run())
  }
}

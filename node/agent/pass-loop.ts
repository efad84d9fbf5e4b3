// When a pass runs: soon after something changed, when the last plan asked to be woken, and never twice at once.
// A hundred events in one breath cost one pass, and passes that take long come less often, so that starting a thousand
// instances leaves most of the peer's time to starting them. A pass may come in several steps, between which everything else
// has its turn. What it does is the caller's.

import type { Clock } from '../../lib/time.ts'

/**
 * Everything else has its turn between what made a pass due and the pass, and between its steps. A shorter time would leave the
 * timers out: what an event loop does at once comes before them, and three pieces of work of seven milliseconds were one of twenty.
 */
const TURN_MS = 1
/**
 * Events within this time share a pass. Long enough for the records of one gossip burst to arrive together, short
 * against the milliseconds that starting a process takes.
 */
const COALESCE_MS = 3
/**
 * The same for what others say of themselves: after an edit each of them does, one after the other, and little of it changes
 * what this peer is to do. With three milliseconds a quarter more passes are made at ten peers, and as much is said of them.
 */
const HEARD_MS = 10
/** A pass rests this many times as long as it took: passes take a tenth of the peer's time, however much there is to see. */
const REST_FACTOR = 9
/**
 * And at least this long for each member, since a pass looks at all of them: while a thousand arrive, five passes a second
 * see as much as three hundred would. The first one after a quiet time waits for nobody.
 */
const REST_PER_MEMBER_MS = 0.2
/** It never rests longer: a long pass is one that was held up, and readiness waits for the next. */
const REST_MAX_MS = 250

/** How soon: as far as the last pass leaves time for it; with what else comes in one burst; with what others are saying. */
export type Haste = 'now' | 'soon' | 'heard'

const WAIT_MS: Readonly<Record<Haste, number>> = { now: TURN_MS, soon: COALESCE_MS, heard: HEARD_MS }

/** One pass: gives way at each `yield`, and returns when it wants to run again although nothing happens. */
export type Pass = Iterator<void, number | null>

export class PassLoop {
  readonly #clock: Clock
  readonly #pass: () => Pass
  readonly #members: () => number
  readonly #took: (durationMs: number) => void
  #cancelStep: (() => void) | null = null
  /** How soon the next is due for what changed since the pass under way began; null: nothing did. */
  #missed: Haste | null = null
  #cancelSoon: (() => void) | null = null
  /** When the pass that is due soon begins. */
  #soonAtMs = Infinity
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

  /** Something changed: run a pass. */
  dirty(haste: Haste = 'soon'): void {
    if (this.#stopped) return
    if (this.#cancelStep !== null) {
      if (this.#missed === null || WAIT_MS[haste] < WAIT_MS[this.#missed]) this.#missed = haste
      return
    }
    const nowMs = this.#clock.now()
    const atMs = Math.max(nowMs + WAIT_MS[haste], this.#restUntilMs)
    if (this.#cancelSoon !== null && this.#soonAtMs <= atMs) return
    this.#cancelSoon?.()
    this.#soonAtMs = atMs
    this.#cancelSoon = this.#clock.after(atMs - nowMs, () => this.#run())
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
      this.#cancelStep = this.#clock.after(TURN_MS, () => this.#goOn(pass, tookMs))
      return
    }
    this.#cancelStep = null
    this.#took(tookMs)
    const restMs = Math.max(tookMs * REST_FACTOR, this.#members() * REST_PER_MEMBER_MS)
    this.#restUntilMs = ended + Math.min(REST_MAX_MS, restMs)
    const missed = this.#missed
    this.#missed = null
    if (missed !== null) this.dirty(missed)
    const wakeAtMs = step.value
    if (wakeAtMs === null || this.#cancelSoon !== null) return
    this.#cancelWake = this.#clock.after(Math.max(COALESCE_MS, wakeAtMs - ended), () => this.#run())
  }
}

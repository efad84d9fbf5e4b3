// When a pass runs: soon after something changed, when the last plan asked to be woken, and never twice at once.
// A hundred events in one breath cost one pass. What a pass does is the caller's.

import type { Clock } from '../../lib/time.ts'

/**
 * Events within this time share a pass. Long enough for the records of one gossip burst to arrive together, short
 * against the milliseconds that starting a process takes.
 */
const COALESCE_MS = 3

export class PassLoop {
  readonly #clock: Clock
  readonly #pass: () => number | null
  #cancelSoon: (() => void) | null = null
  #cancelWake: (() => void) | null = null
  #stopped = false

  /** `pass` returns when it wants to run again although nothing happens: monotonic milliseconds, or null. */
  constructor(clock: Clock, pass: () => number | null) {
    this.#clock = clock
    this.#pass = pass
  }

  /** Something changed: run a pass soon. */
  dirty(): void {
    if (this.#stopped) return
    this.#cancelSoon ??= this.#clock.after(COALESCE_MS, () => this.#run())
  }

  stop(): void {
    this.#stopped = true
    this.#cancelSoon?.()
    this.#cancelWake?.()
  }

  #run(): void {
    this.#cancelSoon = null
    this.#cancelWake?.()
    this.#cancelWake = null
    if (this.#stopped) return
    const wakeAtMs = this.#pass()
    if (wakeAtMs === null || this.#cancelSoon !== null) return
    this.#cancelWake = this.#clock.after(Math.max(COALESCE_MS, wakeAtMs - this.#clock.now()), () =>
      this.#run(),
    )
  }
}

// Self-doubt: an observer whose own event loop was late has no right to call others silent. After a late tick it
// accuses nobody for a whole silence window, and while late ticks recur it waits longer: Lifeguard's local health
// multiplier (Dadgar et al., 2017, §IV.A), fed by the only signal that needs no network, our own lateness.

import type { DetectorOptions } from './detector-options.ts'

/** Fivefold patience at most: beyond it a strained peer would detect nothing at all. */
const STRAIN_MAX = 4
/** Calm that forgives one late tick, in silence windows: overload comes in bursts. */
const CALM_WINDOWS = 2

export class SelfDoubt {
  readonly #options: DetectorOptions
  #strain = 0
  #doubtUntilMs = Number.NEGATIVE_INFINITY
  #calmSinceMs = Number.NEGATIVE_INFINITY

  constructor(options: DetectorOptions) {
    this.#options = options
  }

  /** Tells when a tick came that was due at `dueMs`. True when it was late: all deadlines start over. */
  ticked(dueMs: number, nowMs: number): boolean {
    const { lateMs, silenceMs } = this.#options
    if (nowMs - dueMs > lateMs) {
      this.#strain = Math.min(STRAIN_MAX, this.#strain + 1)
      this.#calmSinceMs = nowMs
      this.#doubtUntilMs = nowMs + silenceMs
      return true
    }
    if (this.#strain > 0 && nowMs - this.#calmSinceMs >= CALM_WINDOWS * silenceMs) {
      this.#strain -= 1
      this.#calmSinceMs = nowMs
    }
    return false
  }

  /** Until when nobody is accused. */
  get doubtUntilMs(): number {
    return this.#doubtUntilMs
  }

  /** Silence that counts, beyond the configured window, while this peer is strained. */
  get patienceMs(): number {
    // The first late tick costs one window through the doubt alone; only a repetition stretches the windows.
    return Math.max(0, this.#strain - 1) * this.#options.silenceMs
  }
}

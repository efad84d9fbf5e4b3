// Self-doubt: an observer whose own event loop was late has no right to call others silent. After a late tick it
// accuses nobody for a whole silence window, and while late ticks recur it waits longer: Lifeguard's local health
// multiplier (Dadgar et al., 2017, §IV.A), fed by a signal that needs no network, our own lateness. After a tick that is
// merely behind it waits until its sockets are read: an event loop that comes back runs its timers first, and would
// accuse members whose beats have arrived long ago.

import type { DetectorOptions } from './detector-options.ts'

/** Fivefold patience at most: beyond it a strained peer would detect nothing at all. */
const STRAIN_MAX = 4
/** Below this a loop is on time: timers have a grain, and passes take tens of milliseconds. */
const BEHIND_MS = 50
/** What arrived while a loop stood still takes it as long again to read, and the share of a core that it gets is no larger. */
const CATCH_UP_FACTOR = 2
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
    const behindMs = nowMs - dueMs
    if (behindMs > lateMs) {
      this.#strain = Math.min(STRAIN_MAX, this.#strain + 1)
      this.#calmSinceMs = nowMs
      this.#doubtUntilMs = nowMs + silenceMs
      return true
    }
    if (behindMs > BEHIND_MS)
      this.#doubtUntilMs = Math.max(this.#doubtUntilMs, nowMs + CATCH_UP_FACTOR * behindMs)
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

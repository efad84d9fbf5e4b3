// One timer for whatever is due next: armed again after every input that may have brought it nearer, and bounded both ways.

import type { Clock } from '../../lib/time.ts'

export interface WakeOptions {
  readonly clock: Clock
  /** No busy loop when something is overdue. */
  readonly minMs: number
  /** No day-dream when nothing is due. */
  readonly maxMs: number
  /** When the next thing is due, monotonic milliseconds. */
  readonly dueMs: () => number
  /** Does what is due; the timer is armed again afterwards. */
  readonly act: () => void
}

export class Wake {
  readonly #options: WakeOptions
  #cancel: (() => void) | null = null
  #atMs = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(options: WakeOptions) {
    this.#options = options
  }

  /** Arms the timer, or brings it nearer. */
  arm(): void {
    const { clock, minMs, maxMs, dueMs } = this.#options
    if (this.#stopped) return
    const nowMs = clock.now()
    const atMs = Math.max(Math.min(dueMs(), nowMs + maxMs), nowMs + minMs)
    if (this.#cancel !== null && this.#atMs <= atMs) return
    this.#cancel?.()
    this.#atMs = atMs
    this.#cancel = clock.after(atMs - nowMs, () => {
      this.#cancel = null
      this.#options.act()
      this.arm()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }
}

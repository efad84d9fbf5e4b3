// What can wait until a burst is over: done a few a turn, once nothing has been added for a moment, and after half a second
// at the latest. Whoever needs it sooner has it done at once.

import type { Clock } from '../../../lib/time.ts'
import { fewATurn } from '../few-a-turn.ts'

/** So long nothing is added: a burst of starts begins one every millisecond or two. */
const LULL_MS = 100
/** A burst that goes on longer does not keep it waiting. */
const LATEST_MS = 500

export class Lull<T> {
  readonly #clock: Clock
  readonly #act: (one: T) => void
  readonly #waiting = new Set<T>()
  #cancel: (() => void) | null = null
  #addedMs = 0

  /** `act` throws nothing. */
  constructor(clock: Clock, act: (one: T) => void) {
    this.#clock = clock
    this.#act = act
  }

  /** What waits. */
  get waiting(): ReadonlySet<T> {
    return this.#waiting
  }

  add(one: T): void {
    this.#waiting.add(one)
    this.#addedMs = this.#clock.now()
    if (this.#cancel === null) this.#wait(this.#addedMs + LATEST_MS)
  }

  /** Does it now, if it waits. */
  hurry(one: T): void {
    if (this.#waiting.delete(one)) this.#act(one)
  }

  /** Does all of it now. */
  hurryAll(): void {
    for (const one of this.#waiting) this.hurry(one)
  }

  /** Does nothing of it any more. */
  stop(): void {
    this.#cancel?.()
    this.#waiting.clear()
  }

  #wait(latestMs: number): void {
    this.#cancel = this.#clock.after(LULL_MS, () => {
      const nowMs = this.#clock.now()
      if (nowMs - this.#addedMs < LULL_MS && nowMs < latestMs) {
        this.#wait(latestMs)
        return
      }
      this.#cancel = null
      void fewATurn([...this.#waiting], (one) => this.hurry(one))
    })
  }
}

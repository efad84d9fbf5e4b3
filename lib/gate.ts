// A gate: lets so many pieces of work through at once and the others wait in line. For work that many ask for in one
// moment and that would hold each other, and everything else, up. Owns no timers and decides no priorities: first come,
// first served.

import { assert } from './assert.ts'

export class Gate {
  readonly #waiting: (() => void)[] = []
  #free: number

  /** `width`: how many at once. */
  constructor(width: number) {
    assert(Number.isSafeInteger(width) && width > 0, 'a gate lets at least one through')
    this.#free = width
  }

  /** Runs `work` when its turn comes; the outcome is the work's. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((turn) => this.#waiting.push(turn))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // Its place goes on to the next in line, so nobody slips in between.
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}

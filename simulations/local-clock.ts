// The clocks of one simulated machine: a monotonic one whose rate may be off, and a wall clock that may jump. What a peer
// and its processes measure is this, never the simulator's own time. A change of rate concerns timers set after it, as a
// kernel's slewing does. Deliberately absent: freezing, which is a process's matter and not its machine's (PausableClock).

import type { Clock } from '../lib/time.ts'

export class LocalClock implements Clock {
  readonly #clock: Clock
  #rate = 1
  #anchorMs: number
  #localMs: number
  #wallOffMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#anchorMs = clock.now()
    this.#localMs = clock.now()
  }

  now(): number {
    return this.#localMs + (this.#clock.now() - this.#anchorMs) * this.#rate
  }

  wall(): number {
    return Math.max(0, this.#clock.wall() + this.#wallOffMs)
  }

  after(delayMs: number, fire: () => void): () => void {
    return this.#clock.after(delayMs / this.#rate, fire)
  }

  /** Local milliseconds that pass in a true one, from now on. */
  setRate(rate: number): void {
    this.#localMs = this.now()
    this.#anchorMs = this.#clock.now()
    this.#rate = rate
  }

  /** Sets the wall clock that far from the truth. */
  setWallOff(offMs: number): void {
    this.#wallOffMs = offMs
  }
}

// The simulator's heart: one queue of events, one clock. Nothing in a simulation waits for real time; the order of
// events with equal times is the order in which they were scheduled, so one seed gives one history. Between two events
// all promises that became ready are run to their end. Deliberately absent: what the events are.

import { defined } from '../lib/assert.ts'
import type { Clock } from '../lib/time.ts'

interface Scheduled {
  readonly atMs: number
  readonly order: number
  readonly fire: () => void
  cancelled: boolean
}

/**
 * Runs all promises that are ready, and what becomes ready by it, as Node.js does after each callback of its loop: that is all
 * that two events must have between them. It is Node.js's own and discouraged (DEP0134), and the version of Node.js is pinned; a
 * turn of the loop for each event takes a tenth of a run longer, a callback of its own for each some hundredths.
 */
const drain = defined(
  (process as { readonly _tickCallback?: () => void })._tickCallback,
  'the queue of promises of Node.js',
)

/** Events fired in one turn of Node.js's loop, some ten milliseconds: whoever waits for a signal or a message gets it between. */
const EVENTS_PER_TURN = 1024

/** Where simulated wall time starts: 2026-01-01T00:00:00Z. Any instant does; a fixed one makes traces comparable. */
const WALL_START_MS = 1_767_225_600_000

export class Simulator {
  readonly #heap: Scheduled[] = []
  #nowMs = 0
  #order = 0
  #fired = 0

  get nowMs(): number {
    return this.#nowMs
  }

  /** Events fired so far: a measure of work that does not depend on the machine. */
  get fired(): number {
    return this.#fired
  }

  /** Runs `fire` after `delayMs` of simulated time; the returned function cancels it. */
  after(delayMs: number, fire: () => void): () => void {
    const event: Scheduled = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order,
      fire,
      cancelled: false,
    }
    this.#order += 1
    this.#push(event)
    return () => {
      event.cancelled = true
    }
  }

  /** A clock for one simulated machine. Its timers can be frozen with the machine: see `Pausable`. */
  clock(): Clock {
    return {
      now: () => this.#nowMs,
      wall: () => WALL_START_MS + Math.floor(this.#nowMs),
      after: (delayMs, fire) => this.after(delayMs, fire),
    }
  }

  /** Lets everything happen that needs no time. */
  async breathe(): Promise<void> {
    await settled()
  }

  /** Fires all events up to `untilMs`. @throws what an event throws. */
  run(untilMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      /** False: it was the last one. */
      const fireOne = (): boolean => {
        try {
          if (this.#fireNext(untilMs)) return true
        } catch (thrown) {
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
          return false
        }
        this.#nowMs = Math.max(this.#nowMs, untilMs)
        resolve()
        return false
      }
      const fireSome = (): void => {
        for (let count = 0; count < EVENTS_PER_TURN; count += 1) {
          if (!fireOne()) return
          drain()
        }
        setImmediate(fireSome)
      }
      // Whoever calls this may be a promise's continuation, in which none other can run.
      if (fireOne()) setImmediate(fireSome)
    })
  }

  /** False when nothing is due until then. */
  #fireNext(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) return false
      this.#pop()
      if (next.cancelled) continue
      this.#nowMs = next.atMs
      this.#fired += 1
      next.fire()
      return true
    }
  }

  /**
   * Runs until `holds` does, looking after every event. @throws when `limitMs` of simulated time pass first.
   * @returns simulated milliseconds that it took.
   */
  async until(what: string, holds: () => boolean, limitMs: number): Promise<number> {
    const fromMs = this.#nowMs
    while (!holds()) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > fromMs + limitMs) {
        throw new Error(`not within ${limitMs} simulated ms: ${what}`)
      }
      await this.run(next.atMs)
    }
    return this.#nowMs - fromMs
  }

  #push(event: Scheduled): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!earlier(event, heap[parent])) break
      heap[at] = heap[parent] ?? event
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const right = left + 1
      const least = right < heap.length && earlier(heap[right], heap[left]) ? right : left
      if (least >= heap.length || !earlier(heap[least], last)) break
      heap[at] = heap[least] ?? last
      at = least
    }
    heap[at] = last
  }
}

const earlier = (a: Scheduled | undefined, b: Scheduled | undefined): boolean =>
  a !== undefined && b !== undefined && (a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order))

/** Lets every ready promise run: the check phase comes only after the microtask queue is empty. */
const settled = (): Promise<void> => new Promise((done) => setImmediate(done))

/** A machine's clock that can be stopped and continued, as SIGSTOP does to a process: what came due meanwhile fires late. */
export class PausableClock implements Clock {
  readonly #clock: Clock
  #held: (() => void)[] | null = null
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  wall(): number {
    return this.#clock.wall()
  }

  after(delayMs: number, fire: () => void): () => void {
    let cancelled = false
    const guarded = (): void => {
      if (!cancelled && !this.#stopped) fire()
    }
    const cancel = this.#clock.after(delayMs, () => {
      if (this.#held === null) guarded()
      else this.#held.push(guarded)
    })
    return () => {
      cancelled = true
      cancel()
    }
  }

  pause(): void {
    this.#held ??= []
  }

  resume(): void {
    const late = this.#held ?? []
    this.#held = null
    for (const fire of late) fire()
  }

  /** The process is gone: nothing fires any more. */
  kill(): void {
    this.#stopped = true
    this.#held = null
  }
}

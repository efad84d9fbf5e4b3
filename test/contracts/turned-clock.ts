// A clock that a test turns: nothing happens between two turns, and what is due happens in order. It knows no promises.

import type { Clock } from '../../lib/time.ts'

export interface TurnedClock extends Clock {
  /** Fires everything that is due within that time, in order. */
  turn(forMs: number): void
}

export const turnedClock = (): TurnedClock => {
  let now = 0
  let order = 0
  let timers: { readonly atMs: number; readonly order: number; readonly fire: () => void }[] = []
  return {
    now: () => now,
    wall: () => 1_000_000 + now,
    after: (delayMs, fire) => {
      order += 1
      const timer = { atMs: now + delayMs, order, fire }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    turn: (forMs) => {
      const end = now + forMs
      for (;;) {
        const [due] = timers
          .filter((timer) => timer.atMs <= end)
          .toSorted((a, b) => a.atMs - b.atMs || a.order - b.order)
        if (due === undefined) break
        timers = timers.filter((timer) => timer !== due)
        now = due.atMs
        due.fire()
      }
      now = end
    },
  }
}

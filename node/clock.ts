// The real clock. Timers are unreferenced nowhere: a peer lives until it is stopped, and stopping cancels them all.

import type { Clock } from '../lib/time.ts'

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: (delayMs, fire) => {
    if (delayMs <= 0) {
      const turn = setImmediate(fire)
      return () => clearImmediate(turn)
    }
    const timer = setTimeout(fire, delayMs)
    return () => clearTimeout(timer)
  },
}

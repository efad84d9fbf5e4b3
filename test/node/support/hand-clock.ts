// Time that a test turns by hand.

import type { Clock } from '../../../lib/time.ts'

/** A clock that is turned by hand; work takes as long as the test says. */
export const handClock = (): Clock & { advance: (ms: number) => void; spend: (ms: number) => void } => {
  let nowMs = 0
  const timers = new Set<{ atMs: number; fire: () => void }>()
  return {
    now: () => nowMs,
    wall: () => nowMs,
    after: (delayMs, fire) => {
      const timer = { atMs: nowMs + delayMs, fire }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    spend: (ms) => {
      nowMs += ms
    },
    advance: (ms) => {
      const endMs = nowMs + ms
      for (;;) {
        const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)
        if (next === undefined) break
        timers.delete(next)
        nowMs = Math.max(nowMs, next.atMs)
        next.fire()
      }
      nowMs = Math.max(nowMs, endMs)
    },
  }
}

// L6: an instance that keeps ending restarts with a backoff: never more often than a few times in any ten seconds.

import type { Checker } from './checker.ts'

const WINDOW_MS = 10_000
/** The shortest backoff is half a second and doubles, so five fit into the window; twice that leaves room for kills and reboots. */
const SPAWNS_MAX = 10

export const backoff = (): Checker => {
  const spawns = new Map<string, number[]>()
  return {
    invariant: 'L6',
    spawned: ({ world }, machine, { instance }) => {
      const key = `${machine.name} ${instance}`
      const nowMs = world.simulator.nowMs
      const recent = [...(spawns.get(key) ?? []).filter((atMs) => nowMs - atMs < WINDOW_MS), nowMs]
      spawns.set(key, recent)
      if (recent.length <= SPAWNS_MAX) return []
      return [`${instance} was started ${recent.length} times in ten seconds on ${machine.name}`]
    },
  }
}

// L4: with constant inputs nothing moves: in a calm cluster a process that does not end by itself goes on for ever, and
// none starts that did not run there before.

import type { Checker } from './checker.ts'

/** Longer than every hold, backoff, rollout of slow programs and detection. */
const CALM_MS = 150_000

export const flapping = (): Checker => {
  const known = new Set<string>()
  return {
    invariant: 'L4',
    spawned: (scene, machine, { instance }) => {
      const key = `${machine.name} ${instance}`
      const isNew = !known.has(key)
      known.add(key)
      return isNew && scene.calmMs > CALM_MS
        ? [`${instance} moves to ${machine.name} after ${CALM_MS / 1000} calm seconds`]
        : []
    },
  }
}

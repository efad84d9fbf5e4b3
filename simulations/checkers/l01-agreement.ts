// L1: in a cluster that has been without faults for long enough to be connected, all peers agree within five seconds of the
// last edit. Peers edit, too, when a rollout fails: as the last edit counts when a view was first seen that nobody had before.

import type { Checker } from './checker.ts'

/** The bound of INVARIANTS.md, at 30 peers; runs have fewer. */
const AGREE_MS = 5000
/** Until connections are there: a redial after a cut may take the dialler's 30 s. */
const CONNECTED_MS = 40_000

export const agreement = (): Checker => {
  let known: ReadonlySet<string> = new Set()
  let newMs = 0
  return {
    invariant: 'L1',
    look: (scene) => {
      const { nowMs } = scene.world.simulator
      const digests = new Set(scene.world.snapshots().map(({ view }) => view.digest))
      if ([...digests].some((digest) => !known.has(digest))) newMs = nowMs
      known = digests
      if (nowMs - newMs < AGREE_MS || scene.calmMs < AGREE_MS || scene.faultlessMs < CONNECTED_MS) return []
      return digests.size > 1
        ? [`${digests.size} different views ${AGREE_MS / 1000} s after the last edit`]
        : []
    },
  }
}

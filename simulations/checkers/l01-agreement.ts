// L1: in a cluster that has been without faults for long enough to be connected, all peers agree within five seconds of the
// last edit.

import type { Checker } from './checker.ts'

/** The bound of INVARIANTS.md, at 30 peers; runs have fewer. */
const AGREE_MS = 5000
/** Until connections are there: a redial after a cut may take the dialler's 30 s. */
const CONNECTED_MS = 40_000

export const agreement = (): Checker => ({
  invariant: 'L1',
  look: (scene) => {
    if (scene.calmMs < AGREE_MS || scene.faultlessMs < CONNECTED_MS) return []
    const snapshots = scene.world.snapshots()
    const digests = new Set(snapshots.map(({ view }) => view.digest))
    return digests.size > 1
      ? [`${digests.size} different views ${AGREE_MS / 1000} s after the last edit`]
      : []
  },
})

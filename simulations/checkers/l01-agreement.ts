// L1: in a cluster that has been calm for long enough, and whose peers are all connected with each other, they agree.

import type { Checker } from './checker.ts'

/** 5 s at 30 peers, counted from when the connections are there; a redial after a cut may take the dialler's 30 s. */
const AGREE_MS = 40_000

export const agreement = (): Checker => ({
  invariant: 'L1',
  look: (scene) => {
    if (scene.calmMs < AGREE_MS) return []
    const snapshots = scene.world.snapshots()
    const digests = new Set(snapshots.map(({ view }) => view.digest))
    return digests.size > 1 ? [`${digests.size} different views after ${AGREE_MS / 1000} calm seconds`] : []
  },
})

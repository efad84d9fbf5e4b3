// What an edit may ask of the intent it is made on: that nobody has changed anything since its author looked. Two people
// who read the same state and act on it cannot both act. Deliberately absent: when it is asked; the queue asks last.

import { TuttiError } from '../lib/errors.ts'
import type { Digest } from '../lib/ids.ts'

/** What must hold at the very moment at which a change is made. */
export interface EditCondition {
  /** The view's digest begins so. Left out: nothing is asked. */
  readonly ifDigest?: string | undefined
}

/** @throws TuttiError `conflict`. */
export const requireDigest = (digest: Digest, { ifDigest }: EditCondition): void => {
  if (ifDigest !== undefined && !digest.startsWith(ifDigest)) throw changedSince(ifDigest)
}

/** The digest is another one by now. */
export const changedSince = (ifDigest: string): TuttiError =>
  new TuttiError(
    'conflict',
    `the intent is no longer the one with digest ${ifDigest}; look at it again, then repeat`,
  )

// What the intent holds about rollouts besides how they are to go: the last word an operator had on one, and releases that
// were rejected. Both are bound to a release, so that a word about one never acts on the next.

import { Type, type Static } from 'typebox'

const strict = { additionalProperties: false } as const
const Release = Type.String({ pattern: '^[0-9a-f]{12}$' })

/**
 * pause: no further slot changes. resume: go on, whatever has been held against the release so far. promote: the first
 * wave is good enough.
 */
export const ROLLOUT_ORDERS = ['pause', 'resume', 'promote'] as const

/** Field `rollout`: the last of an operator's words. */
export const RolloutOrder = Type.Object(
  {
    kind: Type.Enum(ROLLOUT_ORDERS),
    release: Release,
    /** Never used before: tells two words of one kind apart. */
    token: Type.String({ pattern: '^[A-Za-z0-9._:-]{1,128}$' }),
  },
  strict,
)
export type RolloutOrder = Static<typeof RolloutOrder>

/** Field `rejected/<release>`: it failed or was aborted, and is not tried again unless somebody says so. */
export const RejectedRelease = Type.Object(
  {
    reason: Type.String({ maxLength: 1024 }),
    /** Wall time, for display. */
    at: Type.Integer({ minimum: 0 }),
    /** The release that took its place. */
    to: Release,
  },
  strict,
)
export type RejectedRelease = Static<typeof RejectedRelease>

/** Rejected releases kept for each service; the oldest go first. More nobody looks at. */
export const REJECTED_MAX = 8

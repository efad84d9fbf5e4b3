// The placement version: which rules of the election are in force. One number for all peers, read from what every member
// says that it speaks, so that a rolling upgrade of peers never yields two answers (S5). What the rules are is the
// election's; each rule that came later asks here whether it counts yet.

import type { PlanInput } from './plan.ts'

/**
 * The election's rules as this version knows them. A change of any answer takes a new number (S5).
 * 2: members that cannot confine an instance as its service asks are not eligible.
 */
export const PLACEMENT_VERSION = 2

/** From this version on what members can confine decides. */
export const CONFINEMENT_SINCE_VERSION = 2

/** The version in force: the lowest that any member speaks, so that a rolling upgrade of peers never gives two answers. */
export const placementVersionOf = (input: Pick<PlanInput, 'view' | 'statuses'>): number =>
  input.view.members.reduce(
    (version, { id }) => Math.min(version, input.statuses.get(id)?.facts?.placementVersionMax ?? version),
    PLACEMENT_VERSION,
  )

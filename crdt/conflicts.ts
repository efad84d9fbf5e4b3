// Values that lost: written concurrently to the same field, or to a service that was deleted meanwhile. They stay
// visible with author and time until somebody writes the field again (S2: an acknowledged edit is never silently
// absent). Equal values are no conflict, since nothing was lost.

import { compareStrings } from '../lib/order.ts'
import type { Scalar } from './edit.ts'
import { formatPath } from './fields.ts'
import type { Register, Write } from './registers.ts'
import type { ConflictView } from './schema/view.ts'

/** A document value as people read it. */
export const formatValue = (value: Scalar): string => (typeof value === 'string' ? value : String(value))

/** The losers of one register. */
export const conflictsOf = (entity: string, field: string, register: Register): ConflictView[] => {
  const winner = register.at(-1)
  if (winner === undefined || register.length < 2) return []
  return register
    .filter(({ value }) => value !== winner.value)
    .map((write) => lostTo(entity, field, write, formatValue(winner.value)))
}

/** One write that lost. */
export const lostTo = (entity: string, field: string, write: Write, winner: string): ConflictView => ({
  path: formatPath(entity, field),
  value: formatValue(write.value),
  winner,
  author: write.origin.author,
  change: write.origin.hash,
  at: write.origin.at,
})

/** By path, then by change: the same order on every peer. */
export const sortedConflicts = (conflicts: readonly ConflictView[]): ConflictView[] =>
  conflicts.toSorted((a, b) => compareStrings(a.path, b.path) || compareStrings(a.change, b.change))

// What this peer said of itself when it last ran, read from the disk: since when slots were overdue. A new incarnation voids
// its earlier entries for everybody, and rightly so; that one memory would be lost with them. Values in, values out.

import { openStatus, statusHeadOf, type StatusRecord } from '../../crdt/status-record.ts'
import type { MemberId } from '../../lib/ids.ts'

/** As long as a key of an instance's entry begins like this, the rest is its id. */
const INSTANCE_KEY = 'instance/'

/** Wall times by instance id, from this member's own records in any order; what cannot be read is left out. */
export const unfulfilledBefore = (
  self: MemberId,
  records: readonly Uint8Array[],
): ReadonlyMap<string, number> => {
  const own = records.flatMap((bytes): StatusRecord[] => {
    try {
      return statusHeadOf(bytes).member === self ? [openStatus(bytes)] : []
    } catch {
      return []
    }
  })
  const last = Math.max(...own.map(({ incarnation }) => incarnation))
  const since = new Map<string, number>()
  for (const { entries } of own
    .filter(({ incarnation }) => incarnation === last)
    .toSorted((a, b) => a.seq - b.seq)) {
    for (const { key, value } of entries) {
      if (!key.startsWith(INSTANCE_KEY)) continue
      const id = key.slice(INSTANCE_KEY.length)
      const found = sinceOf(value)
      if (found === null) since.delete(id)
      else since.set(id, found)
    }
  }
  return since
}

const sinceOf = (text: string | null): number | null => {
  const value: unknown = text === null ? null : JSON.parse(text)
  if (typeof value !== 'object' || value === null || !('unfulfilledSince' in value)) return null
  return typeof value.unfulfilledSince === 'number' ? value.unfulfilledSince : null
}

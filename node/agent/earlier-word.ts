// What this peer said of itself when it last ran, read from the disk: since when slots were overdue. A new incarnation voids
// its earlier entries for everybody, and rightly so; that memory, and what it said as a steward, would be lost with them. Values in, values out.

import { openStatus, statusHeadOf, type StatusRecord } from '../../crdt/status-record.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Json } from '../../lib/order.ts'

/** As long as a key of an instance's entry begins like this, the rest is its id. */
const INSTANCE_KEY = 'instance/'
const STEWARD_KEYS = ['rollout/', 'hook/']

/** What this member last said, by key, from its own records in any order; what cannot be read is left out. */
export const earlierWord = (self: MemberId, records: readonly Uint8Array[]): ReadonlyMap<string, string> => {
  const own = records.flatMap((bytes): StatusRecord[] => {
    try {
      return statusHeadOf(bytes).member === self ? [openStatus(bytes)] : []
    } catch {
      return []
    }
  })
  const last = Math.max(...own.map(({ incarnation }) => incarnation))
  const word = new Map<string, string>()
  for (const { entries } of own
    .filter(({ incarnation }) => incarnation === last)
    .toSorted((a, b) => a.seq - b.seq)) {
    for (const { key, value } of entries) {
      if (value === null) word.delete(key)
      else word.set(key, value)
    }
  }
  return word
}

/** Wall times by instance id, since when its slot was overdue. */
export const unfulfilledBefore = (word: ReadonlyMap<string, string>): ReadonlyMap<string, number> => {
  const since = new Map<string, number>()
  for (const [key, value] of word) {
    const found = key.startsWith(INSTANCE_KEY) ? sinceOf(value) : null
    if (found !== null) since.set(key.slice(INSTANCE_KEY.length), found)
  }
  return since
}

/** What a steward said of rollouts and hooks: true of the document and not of the process, so it says it again. */
export const stewardshipBefore = (word: ReadonlyMap<string, string>): readonly (readonly [string, Json])[] =>
  [...word].flatMap(([key, value]) =>
    STEWARD_KEYS.some((prefix) => key.startsWith(prefix)) ? [[key, JSON.parse(value) as Json] as const] : [],
  )

const sinceOf = (text: string): number | null => {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || !('unfulfilledSince' in value)) return null
  return typeof value.unfulfilledSince === 'number' ? value.unfulfilledSince : null
}

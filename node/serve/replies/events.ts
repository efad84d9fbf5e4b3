// Events of several peers as one list: by time, and what every peer sees alike told once. Pure.

import { compareStrings } from '../../../lib/order.ts'
import type { PeerEvent } from '../../ports.ts'
import type { EventReply } from '../api/contract-streams.ts'

export type MergeableEvent = Omit<PeerEvent, 'seq'>

/** What each peer notices by itself of something common: told by all, meant once. */
const COMMON: ReadonlySet<PeerEvent['kind']> = new Set(['member', 'change', 'conflict'])
/** Two peers notice one thing within the detection bound and a gossip; a repetition after this is another event. */
const SAME_WITHIN_MS = 10_000

/** Lets through the first telling of each common event; made for one list or one stream, memory bounded by the window. */
export const onceTold = (): ((event: MergeableEvent) => boolean) => {
  const told = new Map<string, { readonly at: number; readonly peer: string }>()
  return (event) => {
    if (!COMMON.has(event.kind)) return true
    const key = `${event.kind} ${event.subject} ${event.message}`
    const before = told.get(key)
    if (
      before !== undefined &&
      before.peer !== event.peer &&
      Math.abs(event.at - before.at) < SAME_WITHIN_MS
    ) {
      return false
    }
    for (const [old, { at }] of told) if (event.at - at > SAME_WITHIN_MS) told.delete(old)
    told.set(key, { at: event.at, peer: event.peer })
    return true
  }
}

export const eventOf = ({ at, peer, kind, subject, message }: MergeableEvent): EventReply => ({
  at: Math.max(0, Math.round(at)),
  peer,
  kind,
  subject,
  message,
})

/** All events by time, the last `countMax` of them. One peer's events stay in its own order. */
export const mergeEvents = (
  lists: readonly (readonly MergeableEvent[])[],
  countMax: number,
): readonly EventReply[] => {
  const merged = lists.flat().sort((a, b) => a.at - b.at || compareStrings(a.peer, b.peer))
  return merged.filter(onceTold()).slice(-countMax).map(eventOf)
}

// What a record of status can have changed, told from its keys: most are of how far a member is, or of whom it accuses, and
// few of those who hear them have anything to plan anew for that.

import { STATUS_KEYS } from './status-decode.ts'
import type { StatusRecord } from './status-record.ts'

/** In this order: whom its member accuses; also how far the member is; anything. */
const NEWS = ['alerts', 'report', 'more'] as const

export type StatusNews = (typeof NEWS)[number]

/** Both together. */
export const bothNews = (a: StatusNews, b: StatusNews): StatusNews =>
  NEWS.indexOf(a) < NEWS.indexOf(b) ? b : a

const OF_INSTANCES = [STATUS_KEYS.instance(''), STATUS_KEYS.fence(''), STATUS_KEYS.doubt('')]

const newsOfKey = (key: string): StatusNews =>
  key === STATUS_KEYS.report ? 'report' : key.startsWith(STATUS_KEYS.alert('')) ? 'alerts' : 'more'

/**
 * The same of a peer's own entry, for the peer itself: what it reports of its instances it has just planned by. The words of
 * a steward it goes by as it has said them.
 */
export const ownNewsOfKey = (key: string): StatusNews =>
  OF_INSTANCES.some((kind) => key.startsWith(kind)) ? 'alerts' : newsOfKey(key)

/** Of a record that was applied to an incarnation of which something was here before. */
export const newsOf = ({ retained, entries }: StatusRecord): StatusNews =>
  // One that retains nothing restates everything, and may have dropped entries that it does not name.
  retained.length === 0 ? 'more' : entries.map(({ key }) => newsOfKey(key)).reduce(bothNews, 'alerts')

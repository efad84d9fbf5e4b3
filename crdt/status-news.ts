// What a record of status can have changed, told from its keys: most are of how far a member is, or of whom it accuses, and
// few of those who hear them have anything to plan anew for that.

import { STATUS_KEYS } from './status-decode.ts'
import type { StatusRecord } from './status-record.ts'

/** In this order: how far its member is; also whom the member accuses; anything. */
const NEWS = ['report', 'alerts', 'more'] as const

export type StatusNews = (typeof NEWS)[number]

/** Both together. */
export const bothNews = (a: StatusNews, b: StatusNews): StatusNews =>
  NEWS.indexOf(a) < NEWS.indexOf(b) ? b : a

const newsOfKey = (key: string): StatusNews =>
  key === STATUS_KEYS.report ? 'report' : key.startsWith(STATUS_KEYS.alert('')) ? 'alerts' : 'more'

/** Of a record that was applied to an incarnation of which something was here before. */
export const newsOf = ({ retained, entries }: StatusRecord): StatusNews =>
  // One that retains nothing restates everything, and may have dropped entries that it does not name.
  retained.length === 0 ? 'more' : entries.map(({ key }) => newsOfKey(key)).reduce(bothNews, 'report')

// By which clock a shim tells its identity (identity.ts). `/proc/uptime` is a tenth of the work, since a shell reads a file byte
// by byte, but it does not fit start times everywhere; where it does not, the shim's environment tells it to read its own start
// time. The environment, since a peer may meet the shim of the next version while it is upgraded: its parameters stay.

import { isUptimeOfStarts } from './identity.ts'

/** The shim's variable, which it hands on to nobody. */
export const TIME_VARIABLE = 'tutti_time'

/** What a shim needs in its environment on this machine, besides its instance's. */
export const shimTime = (isUptime = isUptimeOfStarts()): Readonly<Record<string, string>> =>
  isUptime ? {} : { [TIME_VARIABLE]: 'stat' }

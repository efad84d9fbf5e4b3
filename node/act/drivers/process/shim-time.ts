// By which clock a shim tells its identity (identity.ts). `/proc/uptime` is a tenth of the work, but it does not fit start
// times everywhere; where it does not, the shim is told in its environment to read its own start time. By its environment,
// since a peer may meet the shim of the next version while it is upgraded: its parameters stay.

import { isUptimeOfStarts } from './identity.ts'

/** The shim's variable: shell commands that set `tutti_ticks`. It hands it on to nobody. */
export const TIME_VARIABLE = 'tutti_time'

// Field 22 of stat. Bytes of a file are read one by one by a shell, and each costs a system call.
const FROM_STAT = `read -r tutti_ticks <"/proc/$$/stat" &&
tutti_ticks=\${tutti_ticks##*) } &&
tutti_field=3 &&
while [ "$tutti_field" -lt 22 ]; do
  tutti_ticks=\${tutti_ticks#* }
  tutti_field=$((tutti_field + 1))
done &&
tutti_ticks=\${tutti_ticks%% *}`

/** What a shim needs in its environment on this machine, besides its instance's. */
export const shimTime = (isUptime = isUptimeOfStarts()): Readonly<Record<string, string>> =>
  isUptime ? {} : { [TIME_VARIABLE]: FROM_STAT }

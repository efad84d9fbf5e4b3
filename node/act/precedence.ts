// The processor goes to the peer before it goes to what the peer runs (docs/adr/0034-precedence.md). Linux shares the cores
// out among sessions where nobody has said otherwise (CONFIG_SCHED_AUTOGROUP, sched(7)), and every instance is one: beside a
// hundred of them that are busy a peer is a hundredth of the load, and answers and hears late. Instances,
// probes, commands in instances and builds have sessions of their own, and so a plain share.

import { writeFileSync } from 'node:fs'
import { messageOf } from '../../lib/errors.ts'
import type { Log } from '../../lib/log.ts'
import { statOf } from './drivers/process/identity.ts'

const FILE = '/proc/self/autogroup'
/** As nice(1) counts: three times the share of a plain session. More brings nothing that can be measured. */
const NICE = -5

/**
 * Takes precedence where this machine shares by session and this user may; elsewhere nothing changes. Only in a session of its
 * own: what a terminal started beside the peer is to stay as it is.
 */
export const takePrecedence = (log: Log): void => {
  if (statOf(process.pid)?.session !== process.pid) return
  try {
    writeFileSync(FILE, String(NICE), { flag: 'r+' })
  } catch (error) {
    log.log('debug', 'no precedence over instances', { reason: messageOf(error) })
  }
}

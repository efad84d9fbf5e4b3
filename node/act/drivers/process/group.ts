// Signals, to processes that are proven to be ours and to nobody else. A group is ours while one member carries the
// nonce, since a kernel gives no pid away as long as a group of that number has members; and in the moments after this
// peer saw the shim end, if no other process took its pid.

import type { Clock } from '../../../../lib/time.ts'
import type { Census } from './census.ts'
import { pause } from './cgroups/group.ts'
import { allPids, nonceOf, statOf, statOfSame, type ProcessIdentity } from './identity.ts'

/** Sends to one process, or to a group by its negative. False: it was gone, or not ours to signal. */
export const send = (target: number, signal: NodeJS.Signals): boolean => {
  // 0 and -1 are "my own group" and "everybody"; 1 is init. A wrong number must never reach kill(2).
  const pid = Math.abs(target)
  if (!Number.isSafeInteger(pid) || pid <= 1 || pid === process.pid) return false
  try {
    process.kill(target, signal)
    return true
  } catch {
    return false
  }
}

/** Signals a shim's whole group. False: the shim is gone (its group may still have members: see `sweep`). */
export const signalGroup = (shim: ProcessIdentity, signal: NodeJS.Signals): boolean => {
  if (statOfSame(shim)?.group !== shim.pid) return false
  return send(-shim.pid, signal)
}

/** What one run left behind is recognized by. */
export interface Traces {
  readonly nonce: string
  /** Null: it never told its identity. */
  readonly shim: ProcessIdentity | null
  /** This peer watched the shim until now, so its pid cannot have had time to become a stranger's and be left by it. */
  readonly watched: boolean
}

/** Living processes of a run: those that carry its nonce, and those of its group. Costs some 40 µs a process. */
export const findProcesses = ({ nonce, shim, watched }: Traces): number[] => {
  const marked: number[] = []
  const inGroup: number[] = []
  const isAnothers = shim !== null && statOfSame(shim) === null && statOf(shim.pid) !== null
  let groupIsOurs = watched && !isAnothers
  for (const pid of allPids()) {
    if (pid <= 1 || pid === process.pid) continue
    const stat = statOf(pid)
    if (stat === null || stat.state === 'Z' || stat.state === 'X') continue
    const isMarked = nonceOf(pid) === nonce
    const isMember = shim !== null && stat.group === shim.pid
    if (isMarked) marked.push(pid)
    else if (isMember) inGroup.push(pid)
    if (isMarked && isMember) groupIsOurs = true
  }
  return groupIsOurs ? [...marked, ...inGroup] : marked
}

/** Living processes by the nonce that they carry: one look at the machine for all runs. */
export const processesByNonce = (): ReadonlyMap<string, readonly number[]> => {
  const found = new Map<string, number[]>()
  for (const pid of allPids()) {
    if (pid <= 1 || pid === process.pid) continue
    const nonce = nonceOf(pid)
    if (nonce === null) continue
    const pids = found.get(nonce)
    if (pids === undefined) found.set(nonce, [pid])
    else pids.push(pid)
  }
  return found
}

// Between two looks at what was killed: exits take microseconds; a process in uninterruptible sleep takes what it takes.
const LOOK_FIRST_MS = 2
const LOOK_MAX_MS = 250

/**
 * Waits until a run's group has no member left, or the deadline (monotonic) is there. True: and nobody who left the group
 * carries its nonce either. Signals nobody.
 */
export const vanished = async (
  traces: Traces,
  census: Census,
  clock: Clock,
  deadlineMs: number,
): Promise<boolean> => {
  for (let delayMs = LOOK_FIRST_MS; ; delayMs = Math.min(delayMs * 2, LOOK_MAX_MS)) {
    await census.look()
    const { inGroup, elsewhere } = census.leftOf(traces)
    const leftMs = deadlineMs - clock.now()
    if (!inGroup || leftMs <= 0) return !inGroup && !elsewhere
    await pause(clock, Math.min(delayMs, leftMs))
  }
}

/** Kills every process of a run; resolves when none is left. */
export const sweep = async (traces: Traces, clock: Clock): Promise<void> => {
  for (let delayMs = LOOK_FIRST_MS; ; delayMs = Math.min(delayMs * 2, LOOK_MAX_MS)) {
    const pids = findProcesses(traces)
    if (pids.length === 0) return
    for (const pid of pids) send(pid, 'SIGKILL')
    await pause(clock, delayMs)
  }
}

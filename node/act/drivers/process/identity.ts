// Who a process is: pid and start time within one boot, and the nonce in its environment. Pids are reused, so a pid
// alone proves nothing and no function here answers by pid alone. Linux only (/proc). Sends no signals.
//
// A process tells the time at which it has its pid, not the one at which it started: whoever has the pid after it starts
// later, so that one is as good a proof as the other, and the time is a tenth of the work for a shell (shim.sh).

import { readdirSync, readFileSync } from 'node:fs'

/** A process for good: of all that have this pid in one boot, the one that had it at this time. */
export interface ProcessIdentity {
  readonly pid: number
  /** A time at which it ran, clock ticks since boot: it had started by then, and its pid's next owner had not. */
  readonly startedBy: number
}

/** The part of `/proc/<pid>/stat` that is needed here. */
export interface ProcessStat {
  readonly pid: number
  /** Clock ticks since boot. */
  readonly startTime: number
  /** `Z` and `X` are dead, whatever else is said of them. */
  readonly state: string
  readonly group: number
  readonly session: number
  /** The kernel's PF_ flags. */
  readonly flags: number
  readonly cpuTicks: number
  readonly residentPages: number
}

/** The variable that marks every process of an instance. */
export const NONCE_VARIABLE = 'TUTTI_NONCE'

const textOf = (path: string): string | null => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}

/** This boot of the machine; pids and start times of another one mean nothing. */
export const currentBoot = (): string => textOf('/proc/sys/kernel/random/boot_id')?.trim() ?? 'unknown'

/** Null: there is no such process (any more). */
export const statOf = (pid: number): ProcessStat | null => {
  const text = textOf(`/proc/${pid}/stat`)
  if (text === null) return null
  // The command's name is in parentheses and may hold any character, spaces and parentheses included.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  // Field numbers of proc(5), less the three before the cut.
  const at = (field: number): string => fields[field - 3] ?? ''
  return {
    pid,
    state: at(3),
    group: Number(at(5)),
    session: Number(at(6)),
    flags: Number(at(9)),
    startTime: Number(at(22)),
    cpuTicks: Number(at(14)) + Number(at(15)),
    residentPages: Number(at(24)),
  }
}

const isDead = (stat: ProcessStat): boolean => stat.state === 'Z' || stat.state === 'X'

/** The process as it is now, dead or alive; null: it is gone, whoever has its pid. */
export const statOfSame = ({ pid, startedBy }: ProcessIdentity): ProcessStat | null => {
  const stat = statOf(pid)
  return stat === null || stat.startTime > startedBy ? null : stat
}

/** Who has a pid now; null: nobody. */
export const identityOf = (pid: number): ProcessIdentity | null => {
  const stat = statOf(pid)
  return stat === null ? null : { pid, startedBy: stat.startTime }
}

/** Whether exactly this process exists and is not a zombie. */
export const isAlive = (identity: ProcessIdentity): boolean => {
  const stat = statOfSame(identity)
  return stat !== null && !isDead(stat)
}

// PF_KTHREAD of include/linux/sched.h, the same since Linux 2.6.
const KERNEL_THREAD_FLAG = 0x0020_0000

/** Whether it is a thread of the kernel, which never has an environment. */
export const isKernelThread = ({ flags }: Pick<ProcessStat, 'flags'>): boolean =>
  (flags & KERNEL_THREAD_FLAG) !== 0

/** What a process's environment says. `known` is false for an empty one: such is a process between two programs. */
export const markOf = (pid: number): { readonly known: boolean; readonly nonce: string | null } => {
  const text = textOf(`/proc/${pid}/environ`)
  // Not ours to read: another user's, and none that we started.
  if (text === null) return { known: true, nonce: null }
  const entry = text.split('\0').find((each) => each.startsWith(`${NONCE_VARIABLE}=`))
  return { known: text !== '', nonce: entry?.slice(NONCE_VARIABLE.length + 1) ?? null }
}

/** The environment that a process was started with, in its order; null: it is gone, or not ours to read. */
export const environmentOf = (pid: number): Readonly<Record<string, string>> | null => {
  const text = textOf(`/proc/${pid}/environ`)
  if (text === null) return null
  const entries = text.split('\0').flatMap((entry): (readonly [string, string])[] => {
    const cut = entry.indexOf('=')
    return cut > 0 ? [[entry.slice(0, cut), entry.slice(cut + 1)]] : []
  })
  return Object.fromEntries(entries)
}

/** A process's pid in each pid namespace that it is in, from this one inwards; empty: there is no such process. */
export const namespacePidsOf = (pid: number): readonly number[] => {
  const pids = /^NSpid:\t(.*)$/m.exec(textOf(`/proc/${pid}/status`) ?? '')?.[1]
  return pids === undefined ? [] : pids.split('\t').map(Number)
}
/** The nonce in a process's environment; null: none, or not ours to read. */
export const nonceOf = (pid: number): string | null => markOf(pid).nonce

/** Milliseconds since the machine booted. */
export const uptimeMs = (): number => Number((textOf('/proc/uptime') ?? '0').split(' ')[0]) * 1000

/** USER_HZ is 100 on every Linux architecture that Node.js runs on; `/proc/uptime` has as many digits. */
const TICK_MS = 10

/** Milliseconds since a process has told its identity, which it does as it starts. */
export const ageMsOf = ({ startedBy }: ProcessIdentity): number =>
  Math.max(0, uptimeMs() - startedBy * TICK_MS)

/** A peer begins to run within a second of its start; what stopped it meanwhile, or the machine, may take longer. */
const BEGIN_MAX_MS = 10_000

/**
 * Whether `/proc/uptime` is of the clock that start times are of, by the age of this process. It is not in a container to which
 * lxcfs shows an uptime of its own: that began later, and whoever starts there has not started yet.
 */
export const isUptimeOfStarts = (now = uptimeMs(), own = statOf(process.pid)): boolean => {
  if (own === null) return false
  const beforeMs = now - own.startTime * TICK_MS - process.uptime() * 1000
  // Both are cut to ticks.
  return beforeMs > -2 * TICK_MS && beforeMs < BEGIN_MAX_MS
}

/** All pids of the machine, ascending. */
export const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b)

/** What a shim says of itself: `<pid> <clock ticks since boot>`. Null: not written (whole) yet. */
export const parseIdentity = (text: string): ProcessIdentity | null => {
  const match = /^(\d+) (\d+)\n/.exec(text)
  const pid = Number(match?.[1])
  return match === null || pid <= 1 ? null : { pid, startedBy: Number(match[2]) }
}

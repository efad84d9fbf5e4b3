// The sampler: what this machine has and what is used of it. Capacity is what the kernel would let this peer's
// processes use, so a cgroup's limit counts where it is smaller than the machine. Samples are taken when asked for.

import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { allPids, statOf } from './drivers/process/identity.ts'

/** What instances of this machine can use together. */
export interface Capacity {
  readonly cpusMilli: number
  readonly memoryBytes: number
}

/** What something uses. */
export interface Usage {
  /** CPU time so far, milliseconds. */
  readonly cpuMs: number
  /** Resident now; shared pages count for each that shares them. */
  readonly memoryBytes: number
  readonly processes: number
}

/** Reads a file of the system; null: there is none. */
export type ReadText = (path: string) => string | null

const CGROUPS = '/sys/fs/cgroup'
// The kernel's "no limit" in cgroup v1 is the largest page-aligned number; anything near it means none.
const UNLIMITED_BYTES = 2 ** 60
// USER_HZ: clock ticks of /proc are hundredths of a second on every architecture that Node.js runs on.
const TICK_MS = 10
const PAGE_BYTES = 4096

const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

const numberOf = (text: string | null | undefined): number | null => {
  const trimmed = text?.trim() ?? ''
  return /^\d+$/.test(trimmed) ? Number(trimmed) : null
}

/** A cgroup's folder and those above it; a limit of any of them holds. */
const withParents = (root: string, path: string): string[] => {
  const folders: string[] = []
  for (let at = path; ; at = dirname(at)) {
    folders.push(join(root, at))
    if (at === '/' || at === '.') return folders
  }
}

/** This process's cgroup folders, for v2 and for a v1 hierarchy with that subsystem. */
const foldersOf = (read: ReadText, subsystem: 'cpu' | 'memory'): { v1: string[]; v2: string[] } => {
  const found: { v1: string[]; v2: string[] } = { v1: [], v2: [] }
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    const [, subsystems = '', path = '/'] = match ?? []
    if (match === null) continue
    if (subsystems === '') found.v2 = withParents(CGROUPS, path)
    else if (subsystems.split(',').includes(subsystem)) found.v1 = withParents(join(CGROUPS, subsystem), path)
  }
  return found
}

const least = (numbers: readonly (number | null)[], otherwise: number): number =>
  Math.min(otherwise, ...numbers.filter((number) => number !== null && number > 0).map(Number))

/** The machine's capacity, or the cgroup's where that is less. */
export const capacityOf = (
  machine: Capacity = { cpusMilli: availableParallelism() * 1000, memoryBytes: totalmem() },
  read: ReadText = readText,
): Capacity => {
  const memory = foldersOf(read, 'memory')
  const cpu = foldersOf(read, 'cpu')
  const limits = [
    ...memory.v2.map((folder) => numberOf(read(join(folder, 'memory.max')))),
    ...memory.v1.map((folder) => numberOf(read(join(folder, 'memory.limit_in_bytes')))),
  ].filter((limit) => limit === null || limit < UNLIMITED_BYTES)
  const share = (quota: string | null | undefined, period: string | null | undefined): number | null => {
    const [quotaUs, periodUs] = [numberOf(quota), numberOf(period)]
    return quotaUs === null || periodUs === null ? null : Math.floor((quotaUs * 1000) / periodUs)
  }
  const shares = [
    ...cpu.v2.map((folder) => {
      const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(' ')
      return share(quota, period)
    }),
    ...cpu.v1.map((folder) =>
      share(read(join(folder, 'cpu.cfs_quota_us')), read(join(folder, 'cpu.cfs_period_us'))),
    ),
  ]
  return { cpusMilli: least(shares, machine.cpusMilli), memoryBytes: least(limits, machine.memoryBytes) }
}

/** What this peer's own process uses. */
export const peerUsage = (): Usage => {
  const { user, system } = process.cpuUsage()
  return { cpuMs: (user + system) / 1000, memoryBytes: process.memoryUsage.rss(), processes: 1 }
}

/** What process groups use, by their number (an instance's pid). One look at the machine, some 20 µs a process. */
export const groupUsages = (groups: ReadonlySet<number>): ReadonlyMap<number, Usage> => {
  const usages = new Map<number, Usage>()
  if (groups.size === 0) return usages
  for (const pid of allPids()) {
    const stat = statOf(pid)
    if (stat === null || !groups.has(stat.group)) continue
    const sum = usages.get(stat.group) ?? { cpuMs: 0, memoryBytes: 0, processes: 0 }
    usages.set(stat.group, {
      cpuMs: sum.cpuMs + stat.cpuTicks * TICK_MS,
      memoryBytes: sum.memoryBytes + stat.residentPages * PAGE_BYTES,
      processes: sum.processes + 1,
    })
  }
  return usages
}

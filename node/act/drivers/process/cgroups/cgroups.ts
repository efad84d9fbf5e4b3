// The control groups of one driver: a group for each run, below one that is named after the driver's folder. Version 2
// and 1 and both at once: what tracks (so that nobody escapes a stop) and what limits may be different hierarchies.
// Whatever the machine or this user's rights do not allow is no error here: the run is told what it goes without.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { unreachable } from '../../../../../lib/assert.ts'
import { messageOf } from '../../../../../lib/errors.ts'
import type { Log } from '../../../../../lib/log.ts'
import type { Clock } from '../../../../../lib/time.ts'
import { isRemoved, killGroup, put, removeGroup } from './group.ts'
import {
  RESOURCES,
  PEER_GROUP,
  basesOf,
  layoutOf,
  type Base,
  type CgroupLayout,
  type Resource,
} from './layout.ts'

/** What a run is to be held to; null: not limited. */
export interface Amounts {
  readonly memoryMaxBytes: number | null
  readonly cpusMaxMilli: number | null
  readonly pidsMax: number | null
}

/** The groups of one run. */
export interface RunGroups {
  /** The group that every process of the run stays in; null: there is none, and processes are found otherwise. */
  readonly tracking: string | null
  /** The group whose memory is limited; null: none. */
  readonly memory: string | null
  /** All groups to join, the tracking one first. */
  readonly join: readonly string[]
}

/** Groups made, and limits that could not be imposed by one. */
export interface Grouped {
  readonly groups: RunGroups
  readonly missing: readonly Resource[]
}

export const NO_GROUPS: RunGroups = { tracking: null, memory: null, join: [] }

// The kernel's default period, 100 ms, and the shortest quota it takes (sched/core.c): a hundredth of a CPU.
const PERIOD_US = 100_000
const QUOTA_MIN_US = 1000

const quotaOf = (cpusMilli: number): number => Math.max(QUOTA_MIN_US, (cpusMilli * PERIOD_US) / 1000)

/**
 * The name of a driver's groups: by the folder's place and inode, since two machines' worth of containers may share
 * both the groups and the folder's path.
 */
export const groupNameOf = (folder: string): string => {
  const { dev, ino } = statSync(folder)
  return `tutti-${createHash('sha256').update(`${folder} ${dev} ${ino}`).digest('hex').slice(0, 16)}`
}

const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** This machine's layout, as this process sees it. */
export const currentLayout = (): CgroupLayout =>
  layoutOf(readText('/proc/self/mountinfo'), readText('/proc/self/cgroup'))

/** Control groups below one name. */
export class Cgroups {
  readonly #clock: Clock
  readonly #log: Log
  /** Parent of the runs' tracking groups; null: nothing can be tracked here. */
  readonly #tracking: string | null
  /** Parents of the runs' limiting groups; the tracking one itself where version 2 limits. */
  readonly #limiting: ReadonlyMap<Resource, string>
  /** Parents of groups that an earlier peer made elsewhere: it ran in another group than this one. */
  readonly #former = new Set<string>()

  private constructor(
    clock: Clock,
    log: Log,
    tracking: string | null,
    limiting: ReadonlyMap<Resource, string>,
  ) {
    this.#clock = clock
    this.#log = log
    this.#tracking = tracking
    this.#limiting = limiting
  }

  /** Finds out what can be done here, and makes the parents. Never fails: it may come to nothing. */
  static open(layout: CgroupLayout, name: string, clock: Clock, log: Log): Cgroups {
    const unified = openUnified(layout, name)
    const freezer = layout.legacy.get('freezer')
    const tracking = unified?.group ?? (freezer === undefined ? null : made(join(freezer.own, name)))
    const limiting = new Map<Resource, string>()
    for (const resource of RESOURCES) {
      const legacy = layout.legacy.get(resource)
      const group =
        unified?.resources.has(resource) === true
          ? unified.group
          : legacy === undefined
            ? null
            : made(join(legacy.own, name))
      if (group !== null) limiting.set(resource, group)
    }
    log.log('debug', 'control groups', {
      tracking: tracking ?? 'none: processes that leave their group are found by their environment',
      limits: RESOURCES.filter((resource) => limiting.has(resource)).join(', ') || 'none',
    })
    return new Cgroups(clock, log, tracking, limiting)
  }

  /** Which limits this peer can impose by groups. */
  get resources(): readonly Resource[] {
    return RESOURCES.filter((resource) => this.#limiting.has(resource))
  }

  /** Directories that `create` makes unless they are there: for whoever makes many at once, off this thread. */
  foldersOf(run: string): readonly string[] {
    return this.#tracking === null ? [] : [join(this.#tracking, run)]
  }

  /** Makes the groups of a run and sets their limits. What is missing is named; nothing is thrown for it. */
  async create(run: string, amounts: Amounts): Promise<Grouped> {
    const missing: Resource[] = []
    const tracking = this.#tracking === null ? null : this.#group(this.#tracking, run)
    const joined = new Set<string>(tracking === null ? [] : [tracking])
    let memory: string | null = null
    for (const resource of RESOURCES) {
      const amount = amountOf(resource, amounts)
      if (amount === null) continue
      const parent = this.#limiting.get(resource)
      const group = parent === undefined ? null : this.#group(parent, run)
      if (group === null || !(await impose(group, resource, amount))) {
        missing.push(resource)
        continue
      }
      joined.add(group)
      if (resource === 'memory') memory = group
    }
    return { groups: { tracking, memory, join: [...joined] }, missing }
  }

  /** Takes a run's groups away, with whatever is in them. Resolves once no process can be in, or join, the tracking one. */
  async remove({ tracking, join: all }: RunGroups): Promise<void> {
    for (const group of all) this.#former.add(dirname(group))
    // The common case: whoever was in it is gone, and the kernel takes an empty group away at one word.
    if (tracking !== null && !(await isRemoved(tracking))) {
      await killGroup(tracking, this.#clock)
      if (!(await removeGroup(tracking, this.#clock)))
        this.#log.log('warn', 'a control group could not be removed', { group: tracking })
    }
    // Their members were the tracking one's: only zombies may be in the way, and nobody needs to wait for those.
    for (const group of all) if (group !== tracking) void removeGroup(group, this.#clock)
  }

  /** Ends what is in groups of runs that nobody keeps, and takes them away: what a crash left. */
  async sweep(keep: ReadonlySet<string>): Promise<void> {
    for (const parent of this.#parents()) {
      for (const run of runsIn(parent)) {
        if (keep.has(run)) continue
        const group = join(parent, run)
        await killGroup(group, this.#clock)
        await removeGroup(group, this.#clock)
      }
    }
  }

  /** Takes the parents away where no run is left in them. */
  close(): void {
    for (const parent of [...this.#parents(), ...this.#former]) removeEmpty(parent)
  }

  #parents(): ReadonlySet<string> {
    return new Set([...(this.#tracking === null ? [] : [this.#tracking]), ...this.#limiting.values()])
  }

  #group(parent: string, run: string): string | null {
    const group = join(parent, run)
    // The kernel makes groups, and moves processes into them, one at a time: to look takes microseconds, to make one
    // while others start takes as long as they do.
    if (existsSync(group)) return group
    try {
      mkdirSync(group, { mode: 0o755 })
      return group
    } catch (error) {
      if (isPresent(error)) return group
      this.#log.log('warn', 'a control group could not be made', { group, reason: messageOf(error) })
      return null
    }
  }
}

const amountOf = (resource: Resource, amounts: Amounts): number | null => {
  if (resource === 'memory') return amounts.memoryMaxBytes
  return resource === 'cpu' ? amounts.cpusMaxMilli : amounts.pidsMax
}

/** True: the limit holds. Each controller's file has one name in version 2 and another in version 1. */
const impose = async (group: string, resource: Resource, amount: number): Promise<boolean> => {
  switch (resource) {
    case 'memory': {
      const set =
        (await put(join(group, 'memory.max'), String(amount))) ||
        (await put(join(group, 'memory.limit_in_bytes'), String(amount)))
      // Without swap a limit is a limit; kernels that do not account for swap have none of these.
      if (set && !(await put(join(group, 'memory.swap.max'), '0')))
        await put(join(group, 'memory.memsw.limit_in_bytes'), String(amount))
      return set
    }
    case 'cpu': {
      const quota = quotaOf(amount)
      if (await put(join(group, 'cpu.max'), `${quota} ${PERIOD_US}`)) return true
      return (
        (await put(join(group, 'cpu.cfs_period_us'), String(PERIOD_US))) &&
        (await put(join(group, 'cpu.cfs_quota_us'), String(quota)))
      )
    }
    case 'pids':
      // The shim is in the group, and does not count for the program.
      return await put(join(group, 'pids.max'), String(amount + 1))
    default:
      return unreachable(resource)
  }
}

const isPresent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EEXIST'

/** Makes a group; null: not allowed here. */
const made = (group: string): string | null => {
  try {
    // Not `recursive`: the parent exists, and Node.js tries for ever where a file system of the kernel's says ENOENT.
    mkdirSync(group, { mode: 0o755 })
    return group
  } catch (error) {
    return isPresent(error) ? group : null
  }
}

const runsIn = (parent: string): readonly string[] => {
  try {
    const entries = readdirSync(parent, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .toSorted()
  } catch {
    return []
  }
}

interface Unified {
  readonly group: string
  readonly resources: ReadonlySet<Resource>
}

/** Version 2: the first of the places that gives all controllers which version 1 does not have, else the one with most. */
const openUnified = ({ unified, legacy }: CgroupLayout, name: string): Unified | null => {
  if (unified === null) return null
  const wanted = RESOURCES.filter((resource) => !legacy.has(resource))
  let best: Unified | null = null
  for (const base of basesOf(unified)) {
    const group = made(join(base.group, name))
    if (group === null) continue
    const resources = base.mayLimit ? handDown(base, group, wanted) : new Set<Resource>()
    if (best !== null && resources.size <= best.resources.size) {
      removeEmpty(group)
      continue
    }
    if (best !== null) removeEmpty(best.group)
    best = { group, resources }
    if (resources.size === wanted.length) break
  }
  return best
}

/** Takes a group away unless somebody is in it: an earlier peer's instances, where it could make groups there only. */
const removeEmpty = (group: string): void => {
  try {
    rmdirSync(group)
  } catch {
    // Instances run on in it.
  }
}

/** Hands controllers to a group; only groups without processes of their own can. */
const handDown = (base: Base, group: string, wanted: readonly Resource[]): ReadonlySet<Resource> => {
  const offered = new Set(readText(join(base.group, 'cgroup.controllers')).trim().split(' '))
  const usable = wanted.filter((resource) => offered.has(resource))
  if (base.isOwn && usable.some((resource) => !enable(base.group, resource))) vacate(base.group)
  return new Set(usable.filter((resource) => enable(base.group, resource) && enable(group, resource)))
}

const enable = (group: string, resource: Resource): boolean => {
  try {
    writeFileSync(join(group, 'cgroup.subtree_control'), `+${resource}`, { flag: 'r+' })
    return true
  } catch {
    return false
  }
}

/** Moves this process into a group of its own, where it is the only one in its present one. */
const vacate = (base: string): void => {
  const members = readText(join(base, 'cgroup.procs')).trim().split('\n')
  if (members.length !== 1 || members[0] !== String(process.pid)) return
  const peer = made(join(base, PEER_GROUP))
  if (peer === null) return
  try {
    writeFileSync(join(peer, 'cgroup.procs'), '0', { flag: 'r+' })
  } catch {
    // Not delegated: limits are then imposed by other means, or reported.
  }
}

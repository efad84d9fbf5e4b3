// Facts that the kernel tells in files: limits, cgroups, ports, what is on the PATH. It reads and never writes; what the
// facts mean is node/doctor's to say. The files come through a port, so that tests bring machines of their own.

import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { hardLimit } from '../limits.ts'
import { basesOf, layoutOf, type CgroupLayout, type Hierarchy } from '../drivers/process/cgroups/layout.ts'
import type { Bound, CgroupFacts, LimitFacts, PortFacts, ToolFacts } from '../../doctor/facts.ts'

/** What is asked of the system's files. */
export interface SystemFiles {
  /** Null: there is none, or it may not be read. */
  read(path: string): string | null
  isWritable(path: string): boolean
  isExecutable(path: string): boolean
}

const may = (path: string, mode: number): boolean => {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

export const systemFiles: SystemFiles = {
  read: (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return null
    }
  },
  isWritable: (path) => may(path, constants.W_OK),
  isExecutable: (path) => may(path, constants.X_OK),
}

const boundOf = (text: string | null | undefined): Bound => {
  const trimmed = text?.trim() ?? ''
  return /^\d+$/.test(trimmed) ? Number(trimmed) : null
}

/** `running`: this very process is the peer, so what it has open is the peer's. */
export const limitFacts = (files: SystemFiles, running: boolean): LimitFacts => {
  const limits = files.read('/proc/self/limits') ?? ''
  const [open, , max] = (files.read('/proc/sys/fs/file-nr') ?? '').trim().split(/\s+/)
  const [machineOpen, machineMax] = [boundOf(open), boundOf(max)]
  return {
    filesMax: hardLimit(limits, 'Max open files'),
    processesMax: hardLimit(limits, 'Max processes'),
    pidMax: boundOf(files.read('/proc/sys/kernel/pid_max')),
    cgroupPidsMax: cgroupPidsMax(files),
    filesOpen: running ? openFiles() : null,
    machineFiles:
      machineOpen === null || machineMax === null || machineMax === 0
        ? null
        : { open: machineOpen, max: machineMax },
    root: process.getuid?.() === 0,
  }
}

const openFiles = (): number | null => {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return null
  }
}

const layoutIn = (files: SystemFiles): CgroupLayout =>
  layoutOf(files.read('/proc/self/mountinfo') ?? '', files.read('/proc/self/cgroup') ?? '')

/** A group and those above it, up to the mount. */
const upwards = ({ own, root }: Hierarchy): readonly string[] => {
  const groups: string[] = []
  for (let at = own; at.startsWith(root) && at !== '/'; at = dirname(at)) groups.push(at)
  return groups
}

const cgroupPidsMax = (files: SystemFiles): Bound => {
  const { unified, legacy } = layoutIn(files)
  const own = legacy.get('pids') ?? unified
  if (own === null) return null
  const bounds = upwards(own)
    .map((group) => boundOf(files.read(join(group, 'pids.max'))))
    .filter((bound) => bound !== null)
  return bounds.length === 0 ? null : Math.min(...bounds)
}

// The kernel that brought cgroup.kill, and the one that brought favordynmods.
const KILL_SINCE = [5, 14] as const
const DYNAMIC_SINCE = [6, 0] as const

const isSince = (files: SystemFiles, [sinceMajor, sinceMinor]: readonly [number, number]): boolean => {
  const [major = 0, minor = 0] = (files.read('/proc/sys/kernel/osrelease') ?? '').split(/[.-]/).map(Number)
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor)
}

/** Which cgroups there are for this process, and under which subsystems it may make groups of its own. */
export const cgroupFacts = (files: SystemFiles): CgroupFacts => {
  const { unified, legacy } = layoutIn(files)
  const mayGroup = (folder: string): boolean =>
    files.isWritable(folder) && files.isWritable(join(folder, 'cgroup.procs'))
  const bases = unified === null ? [] : basesOf(unified).filter(({ group }) => mayGroup(group))
  const controllersOf = (group: string): readonly string[] =>
    (files.read(join(group, 'cgroup.controllers')) ?? '')
      .trim()
      .split(/\s+/)
      .filter((name) => name !== '')
  const writable = new Set(
    bases.filter(({ mayLimit }) => mayLimit).flatMap(({ group }) => controllersOf(group)),
  )
  const offered = new Set([...writable, ...(unified === null ? [] : controllersOf(unified.own))])
  const subsystems = [
    ...[...offered].map((name) => ({ name, writable: writable.has(name) })),
    ...[...legacy].map(([name, { own }]) => ({ name, writable: mayGroup(own) })),
  ].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const version = unified === null ? (legacy.size > 0 ? 'v1' : 'none') : legacy.size > 0 ? 'hybrid' : 'v2'
  return {
    version,
    subsystems,
    killable: isSince(files, KILL_SINCE),
    unified:
      unified === null || bases.length === 0
        ? null
        : { point: unified.root, options: unified.options, movable: isSince(files, DYNAMIC_SINCE) },
  }
}

/** The ephemeral range, and what is kept out of it. */
export const rangeFacts = (files: SystemFiles): Pick<PortFacts, 'ephemeral' | 'reserved'> => {
  const [first, last] = (files.read('/proc/sys/net/ipv4/ip_local_port_range') ?? '')
    .trim()
    .split(/\s+/)
    .map(Number)
  const reserved = (files.read('/proc/sys/net/ipv4/ip_local_reserved_ports') ?? '')
    .trim()
    .split(',')
    .filter((range) => range !== '')
    .map((range) => {
      const [from, to] = range.split('-').map(Number)
      return { first: from ?? 0, last: to ?? from ?? 0 }
    })
  const known = first !== undefined && last !== undefined && first > 0 && last >= first
  return { ephemeral: known ? { first, last } : null, reserved }
}

const TOOLS: readonly Omit<ToolFacts, 'found'>[] = [
  { name: 'sh', required: true, use: 'instances are started by it' },
  {
    name: 'flock',
    required: true,
    use: 'it keeps a second peer off the data directory (package util-linux)',
  },
  { name: 'setsid', required: false, use: 'instances then start slower (package util-linux)' },
  { name: 'mkfifo', required: false, use: 'instances then start slower (package coreutils)' },
  { name: 'setpriv', required: false, use: 'services cannot run as another user (package util-linux)' },
  {
    name: 'bwrap',
    required: false,
    use: 'services cannot be isolated from the file system (package bubblewrap)',
  },
  {
    name: 'systemctl',
    required: false,
    use: 'tutti install-service has nothing to install into (package systemd)',
  },
]

/** Programs that tutti uses, looked for as a shell would. */
export const toolFacts = (files: SystemFiles, path: string): readonly ToolFacts[] => {
  const folders = path.split(delimiter).filter((folder) => folder.startsWith('/'))
  return TOOLS.map((tool) => ({
    ...tool,
    found: folders.some((folder) => files.isExecutable(join(folder, tool.name))),
  }))
}

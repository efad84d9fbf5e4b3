// Facts that the kernel tells in files: limits, cgroups, ports, what is on the PATH. It reads and never writes; what the
// facts mean is node/doctor's to say. The files come through a port, so that tests bring machines of their own.

import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
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

/** The hard limit of that name in /proc/PID/limits. */
const hardLimit = (limits: string, name: string): Bound => {
  const line = limits.split('\n').find((each) => each.startsWith(name))
  return boundOf(line?.slice(name.length).trim().split(/\s+/)[1])
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

interface Mount {
  /** The part of the hierarchy that is mounted. */
  readonly root: string
  readonly point: string
  readonly kind: 'cgroup' | 'cgroup2'
  readonly options: readonly string[]
}

/** Cgroup mounts of /proc/self/mountinfo (proc(5)). */
const cgroupMounts = (files: SystemFiles): readonly Mount[] =>
  (files.read('/proc/self/mountinfo') ?? '').split('\n').flatMap((line) => {
    const [front = '', back = ''] = line.split(' - ')
    const [, , , root, point] = front.split(' ')
    const [kind, , options = ''] = back.split(' ')
    if (root === undefined || point === undefined || (kind !== 'cgroup' && kind !== 'cgroup2')) return []
    return [{ root, point, kind, options: options.split(',') }]
  })

/** This process's folder below a mount; `path` is what /proc/self/cgroup says. */
const folderIn = ({ root, point }: Mount, path: string): string => {
  const below = root !== '/' && path.startsWith(root) ? path.slice(root.length) : path
  return join(point, below)
}

interface OwnGroups {
  readonly v2: { readonly folder: string; readonly point: string } | null
  /** By subsystem. */
  readonly v1: ReadonlyMap<string, { readonly folder: string; readonly point: string }>
}

const ownGroups = (files: SystemFiles): OwnGroups => {
  const mounts = cgroupMounts(files)
  const v1 = new Map<string, { readonly folder: string; readonly point: string }>()
  let v2: OwnGroups['v2'] = null
  for (const line of (files.read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (names === undefined || path === undefined) continue
    if (names === '') {
      const mount = mounts.find(({ kind }) => kind === 'cgroup2')
      if (mount !== undefined) v2 = { folder: folderIn(mount, path), point: mount.point }
      continue
    }
    for (const name of names.split(',')) {
      const mount = mounts.find(({ kind, options }) => kind === 'cgroup' && options.includes(name))
      if (mount !== undefined) v1.set(name, { folder: folderIn(mount, path), point: mount.point })
    }
  }
  return { v2, v1 }
}

/** A folder and those above it, down to the mount. */
const upwards = ({
  folder,
  point,
}: {
  readonly folder: string
  readonly point: string
}): readonly string[] => {
  const folders: string[] = []
  for (let at = folder; at.startsWith(point) && at !== '/'; at = dirname(at)) folders.push(at)
  return folders
}

const cgroupPidsMax = (files: SystemFiles): Bound => {
  const { v1, v2 } = ownGroups(files)
  const own = v1.get('pids') ?? v2
  if (own === null) return null
  const bounds = upwards(own)
    .map((folder) => boundOf(files.read(join(folder, 'pids.max'))))
    .filter((bound) => bound !== null)
  return bounds.length === 0 ? null : Math.min(...bounds)
}

// The kernel that brought cgroup.kill.
const KILL_SINCE = [5, 14] as const

const isKillable = (files: SystemFiles): boolean => {
  const [major = 0, minor = 0] = (files.read('/proc/sys/kernel/osrelease') ?? '').split(/[.-]/).map(Number)
  return major > KILL_SINCE[0] || (major === KILL_SINCE[0] && minor >= KILL_SINCE[1])
}

/** Which cgroups there are for this process, and under which subsystems it may make groups of its own. */
export const cgroupFacts = (files: SystemFiles): CgroupFacts => {
  const { v1, v2 } = ownGroups(files)
  const mayGroup = (folder: string): boolean =>
    files.isWritable(folder) && files.isWritable(join(folder, 'cgroup.procs'))
  const unified =
    v2 === null ? [] : (files.read(join(v2.folder, 'cgroup.controllers')) ?? '').trim().split(/\s+/)
  const subsystems = [
    ...unified
      .filter((name) => name !== '')
      .map((name) => ({ name, writable: v2 !== null && mayGroup(v2.folder) })),
    ...[...v1]
      .filter(([name]) => !name.startsWith('name='))
      .map(([name, { folder }]) => ({ name, writable: mayGroup(folder) })),
  ].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const isOld = [...v1.keys()].some((name) => !name.startsWith('name='))
  const version = v2 === null ? (isOld ? 'v1' : 'none') : isOld ? 'hybrid' : 'v2'
  return { version, subsystems, killable: isKillable(files) }
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

// Where control groups are on this machine, read out of /proc/self/mountinfo and /proc/self/cgroup: one unified
// hierarchy (v2), one for each controller (v1), or both at once, as on machines that mount v2 for tracking only; and below
// which groups a peer may make its own. Text in, places out; whether anything may be written there is found out by trying,
// elsewhere.

import { basename, dirname } from 'node:path'

/** The controllers that limits are imposed through. */
export const RESOURCES = ['memory', 'cpu', 'pids'] as const
export type Resource = (typeof RESOURCES)[number]

/** One mounted hierarchy. */
export interface Hierarchy {
  /** Directory of the group that this process is in. */
  readonly own: string
  /** Directory that the hierarchy is mounted at. */
  readonly root: string
  /** The super block's options: those of v1 name its controllers, those of v2 hold for the whole machine. */
  readonly options: readonly string[]
}

/** All hierarchies that matter here. */
export interface CgroupLayout {
  /** Version 2; null: not mounted. */
  readonly unified: Hierarchy | null
  /** Version 1, by controller. */
  readonly legacy: ReadonlyMap<string, Hierarchy>
}

/** A group below which a peer may make groups. */
export interface Base {
  readonly group: string
  /** It is the group that this process is in. */
  readonly isOwn: boolean
  /** Whether limits may be imposed below it: for that it has to have no process of its own, now and later. */
  readonly mayLimit: boolean
}

interface Mount {
  /** The directory of the hierarchy that is seen at the mount point. */
  readonly from: string
  readonly point: string
  readonly type: string
  readonly options: readonly string[]
}

/** mountinfo writes blanks and backslashes in paths as octal (proc(5)). */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))

const mountsOf = (mountinfo: string): readonly Mount[] =>
  mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , from, point] = before.split(' ')
    const [type = '', , options = ''] = after.split(' ')
    if (from === undefined || point === undefined || !type.startsWith('cgroup')) return []
    return [{ from: unescaped(from), point: unescaped(point), type, options: options.split(',') }]
  })

/** The path of a group within what is mounted; null: it lies outside. */
const within = ({ from }: Mount, group: string): string | null => {
  const base = from === '/' ? '' : from
  if (group !== base && !group.startsWith(`${base}/`)) return null
  const inside = group.slice(base.length)
  if (inside.split('/').includes('..')) return null
  return inside === '/' ? '' : inside
}

/** Where a group is; the mount point itself where no mount shows it. Of several the last one hides those before it. */
const placeOf = (mounts: readonly Mount[], group: string): Hierarchy | null => {
  const mount = mounts.findLast((each) => within(each, group) !== null) ?? mounts.at(-1)
  if (mount === undefined) return null
  const { point, options } = mount
  return { own: `${point}${within(mount, group) ?? ''}`, root: point, options }
}

/** The layout that the two files of /proc describe. */
export const layoutOf = (mountinfo: string, selfCgroup: string): CgroupLayout => {
  const mounts = mountsOf(mountinfo)
  let unified: Hierarchy | null = null
  const legacy = new Map<string, Hierarchy>()
  for (const line of selfCgroup.split('\n')) {
    const [, id = '', names = '', group = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? []
    if (id === '0' && names === '') {
      unified = placeOf(
        mounts.filter(({ type }) => type === 'cgroup2'),
        group,
      )
      continue
    }
    // Without a controller (`name=systemd`) a hierarchy serves nobody but who made it.
    for (const name of names.split(',').filter((each) => each !== '' && !each.includes('='))) {
      const found = placeOf(
        mounts.filter(({ type, options }) => type === 'cgroup' && options.includes(name)),
        group,
      )
      if (found !== null) legacy.set(name, found)
    }
  }
  return { unified, legacy }
}

/** Where a peer moves itself, so that the group it was given has no process of its own. */
export const PEER_GROUP = 'tutti-peer'

/**
 * Groups of version 2 below which a peer tries to make its own, the best first. A group that hands controllers down takes
 * no process any more, and a service manager puts a restarted peer exactly where it was: below its own unit's group a peer
 * with living instances would never start again (docs/adr/0026-beside-the-unit.md). So there they lie beside the unit's.
 */
export const basesOf = ({ own, root }: Pick<Hierarchy, 'own' | 'root'>): readonly Base[] => {
  const given = own !== root && basename(own) === PEER_GROUP ? dirname(own) : own
  const top: Base = { group: root, isOwn: false, mayLimit: true }
  if (given === root) return [{ ...top, isOwn: true }]
  if (given.endsWith('.service')) {
    return [
      { group: dirname(given), isOwn: false, mayLimit: true },
      ...(dirname(given) === root ? [] : [top]),
      { group: given, isOwn: true, mayLimit: false },
    ]
  }
  return [{ group: given, isOwn: true, mayLimit: true }, top]
}

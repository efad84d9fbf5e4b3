// Where control groups are on this machine, read out of /proc/self/mountinfo and /proc/self/cgroup: one unified
// hierarchy (v2), one for each controller (v1), or both at once, as on machines that mount v2 for tracking only. Text in,
// places out; whether anything may be written there is found out by trying, elsewhere.

/** The controllers that limits are imposed through. */
export const RESOURCES = ['memory', 'cpu', 'pids'] as const
export type Resource = (typeof RESOURCES)[number]

/** One mounted hierarchy. */
export interface Hierarchy {
  /** Directory of the group that this process is in. */
  readonly own: string
  /** Directory that the hierarchy is mounted at. */
  readonly root: string
}

/** All hierarchies that matter here. */
export interface CgroupLayout {
  /** Version 2; null: not mounted. */
  readonly unified: Hierarchy | null
  /** Version 1, by controller. */
  readonly legacy: ReadonlyMap<Resource | 'freezer', Hierarchy>
}

interface Mount {
  /** The directory of the hierarchy that is seen at the mount point. */
  readonly from: string
  readonly point: string
  readonly type: string
  /** The super block's options; those of v1 name its controllers. */
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

/** Where a group of a hierarchy is below a mount; the mount point itself where it is outside of what is mounted. */
const below = ({ from, point }: Mount, group: string): string => {
  const base = from === '/' ? '' : from
  const inside = group === base || group.startsWith(`${base}/`) ? group.slice(base.length) : ''
  return inside === '/' || inside.split('/').includes('..') ? point : `${point}${inside}`
}

/** The layout that the two files of /proc describe. */
export const layoutOf = (mountinfo: string, selfCgroup: string): CgroupLayout => {
  const mounts = mountsOf(mountinfo)
  let unified: Hierarchy | null = null
  const legacy = new Map<Resource | 'freezer', Hierarchy>()
  for (const line of selfCgroup.split('\n')) {
    const [, id = '', names = '', group = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? []
    if (id === '0' && names === '') {
      const mount = mounts.find(({ type }) => type === 'cgroup2')
      if (mount !== undefined) unified = { own: below(mount, group), root: mount.point }
      continue
    }
    for (const name of names.split(',')) {
      const known = [...RESOURCES, 'freezer' as const].find((resource) => resource === name)
      const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(name))
      if (known !== undefined && mount !== undefined)
        legacy.set(known, { own: below(mount, group), root: mount.point })
    }
  }
  return { unified, legacy }
}

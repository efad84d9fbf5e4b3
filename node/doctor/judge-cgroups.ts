// What a machine's control groups mean for a peer on it: which limits hold, whom a stop reaches, and what many starts at
// once cost. Pure; what the groups are is node/act/examine's to find out.

import { sortedBy } from '../../lib/order.ts'
import type { CgroupFacts } from './facts.ts'
import { ok, warn, type Finding } from './finding.ts'

const LIMITED = ['cpu', 'memory', 'pids'] as const

/** What groups allow, and what their mount makes of many starts. */
export const judgeCgroups = (facts: CgroupFacts): readonly Finding[] => [
  ...judgeGroups(facts),
  ...judgeMoves(facts.unified),
]

const DYNAMIC = 'favordynmods'
// Options of cgroup2 besides: a remount sets all of them anew, and takes away what it does not name.
const MOUNT_OPTIONS = new Set([
  'nsdelegate',
  'memory_localevents',
  'memory_recursiveprot',
  'memory_hugetlb_accounting',
  'pids_localevents',
])

/** A hint and no warning: the kernel's default serves machines that move few processes. The peer never remounts by itself. */
const judgeMoves = (mount: CgroupFacts['unified']): readonly Finding[] => {
  if (mount === null || !mount.movable || mount.options.includes(DYNAMIC)) return []
  const options = [...mount.options.filter((option) => MOUNT_OPTIONS.has(option)), DYNAMIC].join(',')
  return [
    {
      ...ok(
        'cgroups',
        `${mount.point} is mounted without ${DYNAMIC}: each start waits 8 to 32 ms until the kernel has moved it into its group, one after the other`,
      ),
      advice: `where many instances start at once, mount -o remount,${options} ${mount.point} makes that 0.3 ms at most until the next boot; forks and exits of the whole machine get slightly dearer`,
    },
  ]
}

/** No cgroups is no failure: everything runs, without limits and with a weaker stop. */
const judgeGroups = ({ version, subsystems, killable, unified }: CgroupFacts): readonly Finding[] => {
  const writable = sortedBy(
    subsystems.filter((one) => one.writable).map(({ name }) => name),
    (name) => name,
  )
  // Version 2 ends a group in one step, version 1 by freezing it first.
  const isEnding = (unified !== null && killable) || writable.includes('freezer')
  const consequence = isEnding
    ? 'limits of services cannot be enforced'
    : 'limits of services cannot be enforced, and a stop reaches process groups only, not what has left them'
  // Version 1 delegates nothing to others than root, whoever started the peer.
  const delegate =
    version === 'v2'
      ? 'run the peer as a service with a cgroup of its own: tutti install-service'
      : 'run the peer as root, or boot with systemd.unified_cgroup_hierarchy=1'
  if (version === 'none')
    return [warn('cgroups', `none here; ${consequence}`, 'mount cgroup2 on /sys/fs/cgroup')]
  const missing = LIMITED.filter((name) => !writable.includes(name))
  const hierarchy = version === 'hybrid' ? 'v1 and v2 side by side' : version
  if (missing.length === LIMITED.length) {
    return [warn('cgroups', `${hierarchy}, but this user may write no subsystem; ${consequence}`, delegate)]
  }
  const found = `${hierarchy}, may write ${writable.join(', ')}`
  if (missing.length > 0) {
    return [warn('cgroups', `${found}; limits of ${missing.join(', ')} cannot be enforced`, delegate)]
  }
  if (!isEnding) {
    return [
      warn(
        'cgroups',
        `${found}; limits hold, but a stop reaches process groups only (cgroup.kill needs v2 and Linux 5.14, or v1 its freezer)`,
        'boot with systemd.unified_cgroup_hierarchy=1 and a newer kernel, where that matters',
      ),
    ]
  }
  return [ok('cgroups', `${found}; limits hold, and a stop reaches everything an instance started`)]
}

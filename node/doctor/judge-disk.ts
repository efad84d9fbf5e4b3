// What the facts of the data directory mean: room, speed, file systems that promise what they do not keep, permissions,
// and whether the log is whole. Pure.

import { formatSize } from '../../lib/time.ts'
import type { DiskFacts, LogFacts } from './facts.ts'
import { fail, finding, levelBelow, ok, warn, type Finding, type Level } from './finding.ts'

// A snapshot, the one before, and the log since take a few megabytes; below sixteen the next ones do not fit, and edits
// are refused. Half a gigabyte leaves a day to react while instances print.
const FREE_FAIL_BYTES = 16 * 2 ** 20
const FREE_WARN_BYTES = 512 * 2 ** 20
// Files of a peer: a few per instance and a dozen of its own.
const INODES_FAIL = 100
const INODES_WARN = 2000
// An edit waits for one of these. A slow rotating disk takes 20 ms; from fifty on people notice, and a second means that
// the disk is failing or throttled.
const SYNC_WARN_MS = 50
const SYNC_FAIL_MS = 1000

/** What a file system does to the promise that acknowledged edits survive; those not named keep it. */
const UNTRUE: Readonly<Record<string, string>> = {
  tmpfs: 'it lies in memory: a reboot loses what this peer alone knew, its identity included',
  ramfs: 'it lies in memory: a reboot loses what this peer alone knew, its identity included',
  overlay: "it is a container's own layer and goes with the container, the peer's identity included",
  nfs: 'locks and durability depend on the server, and the peer stalls when that is away',
  cifs: 'locks and durability depend on the server, and the peer stalls when that is away',
  smb2: 'locks and durability depend on the server, and the peer stalls when that is away',
  '9p': 'durability depends on the host that shares it',
  fuse: 'whether a sync reaches a disk depends on the program behind it',
}

export const judgeDisk = (disk: DiskFacts): readonly Finding[] => {
  const { directory, exists, failure } = disk
  const where = exists ? directory : `${directory} (not made yet)`
  if (failure !== null) {
    return [
      fail(
        'disk',
        `${where} cannot be written: ${failure}`,
        'free or repair it, or choose another with --data',
      ),
      ...judgeRoom(disk, where),
      ...judgePermissions(disk),
    ]
  }
  return [...judgeRoom(disk, where), ...judgeKind(disk), ...judgeSpeed(disk), ...judgePermissions(disk)]
}

const judgeRoom = (disk: DiskFacts, where: string): readonly Finding[] => {
  const { freeBytes, totalBytes, freeInodes, totalInodes } = disk
  const findings = [
    finding(
      levelBelow(freeBytes, FREE_FAIL_BYTES, FREE_WARN_BYTES),
      'disk',
      `${formatSize(freeBytes)} of ${formatSize(totalBytes)} free for ${where}`,
      'free some: a full disk makes this peer refuse edits; output of instances lies in output/',
    ),
  ]
  if (totalInodes === 0) return findings
  const inodes = levelBelow(freeInodes, INODES_FAIL, INODES_WARN)
  if (inodes !== 'ok') {
    findings.push(
      finding(
        inodes,
        'disk',
        `${freeInodes} of ${totalInodes} inodes free`,
        'remove files: without inodes no file can be made',
      ),
    )
  }
  return findings
}

const judgeKind = ({ filesystem }: DiskFacts): readonly Finding[] => {
  const reason = UNTRUE[filesystem]
  if (reason === undefined) return [ok('disk', `file system ${filesystem}`)]
  return [
    warn('disk', `file system ${filesystem}: ${reason}`, 'choose a directory on a local disk with --data'),
  ]
}

const rounded = (ms: number): string => (ms < 10 ? ms.toFixed(1) : String(Math.round(ms)))

const judgeSpeed = ({ syncMs }: DiskFacts): readonly Finding[] => {
  if (syncMs === null) return []
  const level: Level = syncMs.median >= SYNC_FAIL_MS ? 'fail' : syncMs.median >= SYNC_WARN_MS ? 'warn' : 'ok'
  return [
    finding(
      level,
      'disk',
      `a write is safe on it in ${rounded(syncMs.median)} ms (median; worst ${rounded(syncMs.max)} ms)`,
      'every edit on this peer waits that long; look for a failing or shared disk (dmesg, iostat -x)',
    ),
  ]
}

const GROUP_AND_OTHERS = 0o077
/** Who may pass a directory and not read it gets at what is open in it already, and at no names. Packages need it (passage.ts). */
const PASS_BITS = 0o011

const judgePermissions = ({ directory, mode, foreignOwner, exposed }: DiskFacts): readonly Finding[] => {
  if (mode === null) return []
  const findings: Finding[] = []
  const bits = (mode & 0o777).toString(8).padStart(4, '0')
  if (foreignOwner) {
    findings.push(
      fail('permissions', `${directory} belongs to another user`, `run this as that user, or chown -R it`),
    )
  }
  if (exposed.length > 0) {
    findings.push(
      fail(
        'permissions',
        `others may open ${exposed.join(', ')} in ${directory}: whoever reads the key is this peer`,
        `chmod 600 ${exposed.map((name) => `${directory}/${name}`).join(' ')}`,
      ),
    )
  } else if ((mode & GROUP_AND_OTHERS & ~PASS_BITS) !== 0) {
    findings.push(warn('permissions', `${directory} is open to others (${bits})`, `chmod 700 ${directory}`))
  }
  return findings.length > 0 ? findings : [ok('permissions', `${directory} is its owner's alone (${bits})`)]
}

export const judgeLog = ({ files, records, bytes, damage, skippedBytes }: LogFacts): readonly Finding[] => {
  const size = `${records} records in ${files === 1 ? 'one file' : `${files} files`}, ${formatSize(bytes)}`
  const skipped = skippedBytes === 0 ? '' : `; ${formatSize(skippedBytes)} more were not looked at`
  if (damage.length === 0) return [ok('log', `whole: ${size}${skipped}`)]
  return [
    warn(
      'log',
      `damaged: ${damage.join('; ')} (${size}${skipped})`,
      'the other members send what is missing; look at dmesg, and replace the disk when it happens again',
    ),
  ]
}

// What a machine's facts mean for a peer on it: limits, clock, ports, programs. Every bound has its reason beside it. Pure;
// the groups are judge-cgroups.ts, the disk judge-disk.ts, what members say of one another judge-cluster.ts.

import { formatDuration } from '../../lib/time.ts'
import type { Bound, ClockFacts, LimitFacts, MachineFacts, PeerFacts, PortFacts, ToolFacts } from './facts.ts'
import { fail, finding, levelBelow, ok, warn, type Finding, type Level } from './finding.ts'
import { judgeCgroups } from './judge-cgroups.ts'
import { judgeDisk, judgeLog } from './judge-disk.ts'

// An instance costs a peer some five descriptors, a member two, a link's connection two more. Below 512 a peer with a few
// services and callers runs out; 4096 is where nobody has to think about it.
const FILES_FAIL = 512
const FILES_WARN = 4096
// Each instance is a shim and a program, and programs have threads, which count.
const PROCESSES_FAIL = 128
const PROCESSES_WARN = 1024
// The kernel's own default; anything lower was set on purpose, and pids come round quickly.
const PID_MAX_WARN = 32_768
// From here on a burst of connections is refused.
const FILES_OPEN_WARN = 0.7
const FILES_OPEN_FAIL = 0.9
// Deciding goes by the monotonic clock; a stepped wall clock only makes times shown to people wrong.
const STEPPED_WARN_MS = 1000
/** Rounds come every second or two; this many missed ones are no accident. */
const SYNC_WARN_MS = 15_000
const SYNC_FAIL_MS = 120_000

/** Everything about one machine, in a fixed order. */
export const judgeMachine = (facts: MachineFacts): readonly Finding[] => [
  ok('runtime', `Node.js ${facts.node}`),
  ...judgeLimits(facts.limits),
  ...judgeCgroups(facts.cgroups),
  ...judgeClock(facts.clock),
  ...judgeDisk(facts.disk),
  ...(facts.log === null ? [] : judgeLog(facts.log)),
  ...judgePorts(facts.ports),
  ...judgeTools(facts.tools),
]

const shown = (bound: Bound): string => (bound === null ? 'unlimited' : String(bound))
const orInfinite = (bound: Bound): number => bound ?? Number.POSITIVE_INFINITY

export const judgeLimits = (limits: LimitFacts): readonly Finding[] => {
  const { filesMax, processesMax, pidMax, cgroupPidsMax, root } = limits
  // Root is not bound by RLIMIT_NPROC, but always by its cgroup.
  const processes = Math.min(
    orInfinite(cgroupPidsMax),
    root ? Number.POSITIVE_INFINITY : orInfinite(processesMax),
  )
  const isCgroup = orInfinite(cgroupPidsMax) <= processes && cgroupPidsMax !== null
  return [
    finding(
      levelBelow(orInfinite(filesMax), FILES_FAIL, FILES_WARN),
      'files',
      `a process may have ${shown(filesMax)} files open (nofile)`,
      'raise it with ulimit -n, LimitNOFILE= in the unit, or /etc/security/limits.conf',
    ),
    ...judgeOpenFiles(limits),
    finding(
      levelBelow(processes, PROCESSES_FAIL, PROCESSES_WARN),
      'processes',
      Number.isFinite(processes)
        ? `at most ${processes} processes and threads (${isCgroup ? 'pids.max of the cgroup' : 'nproc'})`
        : 'no limit on processes of this peer',
      isCgroup ? 'raise it with TasksMax= in the unit' : 'raise it with ulimit -u or LimitNPROC= in the unit',
    ),
    ...(orInfinite(pidMax) < PID_MAX_WARN
      ? [
          warn(
            'processes',
            `the whole machine has ${shown(pidMax)} process ids (kernel.pid_max)`,
            'raise it with sysctl -w kernel.pid_max=4194304',
          ),
        ]
      : []),
  ]
}

const shareLevel = (share: number): Level =>
  share >= FILES_OPEN_FAIL ? 'fail' : share >= FILES_OPEN_WARN ? 'warn' : 'ok'

const judgeOpenFiles = ({ filesOpen, filesMax, machineFiles }: LimitFacts): readonly Finding[] => {
  const findings: Finding[] = []
  if (filesOpen !== null) {
    findings.push(
      finding(
        shareLevel(filesOpen / orInfinite(filesMax)),
        'files',
        `this peer has ${filesOpen} of ${shown(filesMax)} open`,
        'raise LimitNOFILE= in the unit, or look what holds them with ls -l /proc/PID/fd',
      ),
    )
  }
  if (machineFiles !== null && shareLevel(machineFiles.open / machineFiles.max) !== 'ok') {
    findings.push(
      finding(
        shareLevel(machineFiles.open / machineFiles.max),
        'files',
        `the whole machine has ${machineFiles.open} of ${machineFiles.max} open (fs.file-max)`,
        'raise it with sysctl -w fs.file-max, or end what holds them',
      ),
    )
  }
  return findings
}

export const judgeClock = ({ synchronised, source, steppedMs }: ClockFacts): readonly Finding[] => {
  const findings: Finding[] = []
  if (synchronised === false) {
    findings.push(
      warn(
        'clock',
        `not synchronised, says ${source}; times in logs, events and tickets will drift from other machines'`,
        'turn on NTP: timedatectl set-ntp true, or install chrony',
      ),
    )
  } else {
    findings.push(
      ok(
        'clock',
        synchronised === true
          ? `synchronised, says ${source}`
          : 'nothing here tells whether it is synchronised',
      ),
    )
  }
  if (steppedMs !== null && Math.abs(steppedMs) > STEPPED_WARN_MS) {
    findings.push(
      warn(
        'clock',
        `the wall clock went ${formatDuration(Math.round(Math.abs(steppedMs)))} ${steppedMs > 0 ? 'ahead of' : 'behind'} the monotonic one since the peer started`,
        'somebody set it, or the machine slept; nothing is decided by it, but times shown before that are off',
      ),
    )
  }
  return findings
}

const overlaps = (
  a: { readonly first: number; readonly last: number },
  b: { readonly first: number; readonly last: number },
): boolean => a.first <= b.last && b.first <= a.last

export const judgePorts = (facts: PortFacts): readonly Finding[] => {
  const { ephemeral, reserved, allocated, listening, wanted } = facts
  const findings: Finding[] = listening.map(({ what, address, failure }) =>
    failure === null
      ? ok('ports', `${what} reached on ${address}`)
      : fail(
          'ports',
          `${what} cannot be reached on ${address} from this very machine: ${failure}`,
          'look for a firewall on loopback or that address; restart the peer when the machine has changed its address',
        ),
  )
  for (const { port, failure } of wanted) {
    findings.push(
      failure === null
        ? ok('ports', `port ${port} is free`)
        : warn(
            'ports',
            `port ${port} cannot be bound: ${failure}`,
            'stop what listens there, or choose another with --listen or --api',
          ),
    )
  }
  if (ephemeral === null) return findings
  const range = `${ephemeral.first} to ${ephemeral.last}`
  const isReserved = (first: number, last: number): boolean =>
    reserved.some((one) => one.first <= first && last <= one.last)
  const numbers = `${allocated.first}-${allocated.last}`
  if (overlaps(ephemeral, allocated) && !isReserved(allocated.first, allocated.last)) {
    findings.push(
      warn(
        'ports',
        `the kernel hands out ${range} to outgoing connections, and tutti ${numbers} to instances; they take each other's`,
        `sysctl -w net.ipv4.ip_local_reserved_ports=${numbers}`,
      ),
    )
  } else
    findings.push(
      ok('ports', `ports of instances (${numbers}) lie outside of the ephemeral range (${range})`),
    )
  for (const { what, port } of listening) {
    if (port < ephemeral.first || port > ephemeral.last || isReserved(port, port)) continue
    findings.push(
      warn(
        'ports',
        `port ${port} (${what}) lies in the ephemeral range (${range}); an outgoing connection may hold it at the next start`,
        'choose one below it with --listen or --api, or reserve it with net.ipv4.ip_local_reserved_ports',
      ),
    )
  }
  return findings
}

export const judgeTools = (tools: readonly ToolFacts[]): readonly Finding[] => {
  const found = tools.filter((tool) => tool.found).map(({ name }) => name)
  const missing = tools.filter((tool) => !tool.found)
  return [
    ok('programs', found.length === 0 ? 'none of the programs that tutti can use' : found.join(', ')),
    ...missing.map(({ name, required, use }) =>
      required
        ? fail('programs', `${name} is missing: ${use}`, `install ${name}`)
        : warn('programs', `${name} is missing: ${use}`, `install ${name} where you want that`),
    ),
  ]
}

/** What a peer that runs knows of itself. */
export const judgePeer = (facts: PeerFacts): readonly Finding[] => {
  const { others, syncedAgoMs, upMs, recordsQuarantined, storeFailures, braked } = facts
  const findings: Finding[] = []
  // A peer that has just started has not missed anything.
  const silentMs = syncedAgoMs ?? upMs
  const found =
    syncedAgoMs === null
      ? 'has not compared the document with another member since the start'
      : `compared the document with another member ${formatDuration(Math.round(syncedAgoMs))} ago`
  if (others === 0) findings.push(ok('sync', 'no other living member to compare the document with'))
  else {
    findings.push(
      finding(
        silentMs > SYNC_FAIL_MS ? 'fail' : silentMs > SYNC_WARN_MS ? 'warn' : 'ok',
        'sync',
        found,
        'look at reach below; a peer that is merely overloaded says so in its log',
      ),
    )
  }
  if (braked) {
    findings.push(
      warn(
        'sync',
        'this peer misses most members at once and takes nothing over until its view has been stable for a while',
        'look at reach below, and at the network of this machine',
      ),
    )
  }
  if (recordsQuarantined > 0) {
    findings.push(
      warn(
        'log',
        `${recordsQuarantined} records that broke a rule were refused since the start`,
        'tutti events names who sent them; a member of another version, or one that is not to be trusted',
      ),
    )
  }
  if (storeFailures > 0) {
    findings.push(
      warn(
        'disk',
        `${storeFailures} writes failed since the start`,
        'look at the free space and at dmesg for errors of the disk',
      ),
    )
  }
  return findings
}

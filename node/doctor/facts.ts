// Facts that an examination goes by: of this machine as the kernel tells them, of the peer on it, and of the members as
// they answer one another. Types only; node/act/examine/ and node/serve/ gather, the judges beside this file judge.

import type { MemberState } from '../../net/membership.ts'
import type { Finding } from './finding.ts'

/** A bound of the kernel; null: there is none, or it cannot be told. */
export type Bound = number | null

export interface LimitFacts {
  /** RLIMIT_NOFILE that a peer gets: Node.js raises the soft limit to the hard one. */
  readonly filesMax: Bound
  readonly processesMax: Bound
  readonly pidMax: Bound
  /** The nearest pids.max of the cgroup and those above it. */
  readonly cgroupPidsMax: Bound
  /** Descriptors that the peer's process has open; null when no peer runs. */
  readonly filesOpen: number | null
  /** Descriptors of the whole machine, and their bound. */
  readonly machineFiles: { readonly open: number; readonly max: number } | null
  /** RLIMIT_NPROC does not bind root. */
  readonly root: boolean
}

export interface CgroupFacts {
  readonly version: 'none' | 'v1' | 'hybrid' | 'v2'
  /** Subsystems present for this process, and whether it may make groups under them. */
  readonly subsystems: readonly { readonly name: string; readonly writable: boolean }[]
  /** The kernel can end a whole group at once (cgroup.kill, Linux 5.14). */
  readonly killable: boolean
  /** The mount of version 2 in which groups are made; null: none are. */
  readonly unified: CgroupMount | null
}

export interface CgroupMount {
  readonly point: string
  /** Of its super block: they hold for the whole machine. */
  readonly options: readonly string[]
  /** The kernel knows the option that makes moves into groups fast (favordynmods, Linux 6.0). */
  readonly movable: boolean
}

export interface ClockFacts {
  /** Null: it cannot be told here. */
  readonly synchronised: boolean | null
  /** Who says so. */
  readonly source: string
  /** By how much the wall clock ran away from the monotonic one since the peer started; null when no peer runs. */
  readonly steppedMs: number | null
}

export interface DiskFacts {
  readonly directory: string
  /** False: no peer has run here yet, and the numbers are those of the directory it would be made in. */
  readonly exists: boolean
  /** As the kernel names it, `tmpfs`; or its magic number in hex. */
  readonly filesystem: string
  readonly freeBytes: number
  readonly totalBytes: number
  /** Zero of zero on file systems that have no such bound. */
  readonly freeInodes: number
  readonly totalInodes: number
  /** To append four kilobytes and wait until they are on the disk; null when it was not tried. */
  readonly syncMs: { readonly median: number; readonly max: number } | null
  /** Why nothing could be written there; null: it could, or was not tried. */
  readonly failure: string | null
  /** Permission bits; null when there is no directory. */
  readonly mode: number | null
  readonly foreignOwner: boolean
  /** Names of secret files that others than their owner may open. */
  readonly exposed: readonly string[]
}

export interface LogFacts {
  readonly files: number
  readonly records: number
  readonly bytes: number
  /** One sentence each. */
  readonly damage: readonly string[]
  /** Bytes that were not looked at, because there were too many. */
  readonly skippedBytes: number
}

export interface PortFacts {
  readonly ephemeral: { readonly first: number; readonly last: number } | null
  /** Numbers that the kernel keeps out of the ephemeral range. */
  readonly reserved: readonly { readonly first: number; readonly last: number }[]
  /** What tutti gives to instances. */
  readonly allocated: { readonly first: number; readonly last: number }
  /** Where the peer listens, and why that cannot be reached from here; null: it can. */
  readonly listening: readonly Listener[]
  /** Default ports of a peer that does not run yet, and why they cannot be bound; null: they can. */
  readonly wanted: readonly { readonly port: number; readonly failure: string | null }[]
}

export interface Listener {
  readonly what: 'peers' | 'API'
  readonly address: string
  readonly port: number
  readonly failure: string | null
}

export interface ToolFacts {
  readonly name: string
  readonly found: boolean
  /** A peer does not run without it. */
  readonly required: boolean
  /** What is not possible without it. */
  readonly use: string
}

export interface MachineFacts {
  readonly node: string
  readonly limits: LimitFacts
  readonly cgroups: CgroupFacts
  readonly clock: ClockFacts
  readonly disk: DiskFacts
  /** Null when nothing was ever written. */
  readonly log: LogFacts | null
  readonly ports: PortFacts
  readonly tools: readonly ToolFacts[]
}

/** What a running peer knows of itself. */
export interface PeerFacts {
  /** Living members besides this one. */
  readonly others: number
  /** Since the last exchange of anti-entropy; null: there was none since the start. */
  readonly syncedAgoMs: number | null
  readonly upMs: number
  readonly recordsQuarantined: number
  readonly storeFailures: number
  readonly braked: boolean
}

/** One member's try to reach another. */
export interface Reach {
  readonly to: string
  /** It answered a question over whatever connection there was or could be made. */
  readonly answered: boolean
  /** Why it did not; empty when it did. */
  readonly failure: string
  /** Plain TCP connections to each of its addresses: what a service that calls another needs. */
  readonly tried: readonly { readonly address: string; readonly failure: string; readonly ms: number }[]
}

/** What a member says when it is asked how it is. */
export interface MemberAnswer {
  readonly version: string
  readonly node: string
  readonly documentFormat: number
  readonly placementVersion: number
  /** Equal for peers of one machine, and for nobody else. */
  readonly machine: string
  readonly addresses: readonly string[]
  readonly findings: readonly Finding[]
  readonly reach: readonly Reach[]
}

/** A member as the asking peer sees it. */
export interface MemberFacts {
  readonly name: string
  readonly self: boolean
  readonly state: MemberState
  /** Since when it is in that state. */
  readonly ageMs: number
  readonly answer: MemberAnswer | null
  /** Why there is no answer; empty when there is one. */
  readonly failure: string
  /** Its wall clock against the asker's, and half the round trip: how wrong that may be. */
  readonly clock: { readonly offsetMs: number; readonly errorMs: number } | null
}

// What this peer's hands know of its own instances: facts as observed, no judgement. health.ts and restart.ts judge.

import type { InstanceId, ReleaseId, ServiceId, SlotId } from '../../lib/ids.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'

/**
 * preparing: record written, spawn under way. running: the process group lives. stopping: a stop is under way.
 * exited: the process is confirmed gone. broken: it could not be spawned at all (`error` says why).
 */
export type ProcessPhase = 'preparing' | 'running' | 'stopping' | 'exited' | 'broken'

export interface ProcessExit {
  /** Null when a signal ended it, or when the status is unknown (it ended while nobody watched). */
  readonly code: number | null
  readonly signal: string | null
  /** The kernel ended it, or a process of it, for going over its limit of memory. @default false */
  readonly oomKilled?: boolean | undefined
  /** Monotonic milliseconds. */
  readonly atMs: number
  /** Why this peer ended it, where that counts as a failed run (its liveness failed). Left out: it ended by itself. */
  readonly failure?: string
}

/** The prober's tally since the process started. Null fields: no probe has ended yet. */
export interface ProbeTally {
  readonly okInARow: number
  readonly failedInARow: number
  readonly everOk: boolean
  /** Times that checks began to fail after some had passed. @default 0 */
  readonly lapses?: number
  /** One line: `GET /healthz: 503`, `connect ECONNREFUSED`. Empty after a success. */
  readonly lastFailure: string
}

/** Which ends of a run its successor follows without its peer (heirs.ts). */
export interface HeirTerms {
  /** `on-failure`: a status of 0 has no successor. */
  readonly condition: 'any' | 'on-failure'
  /** Only once the run has been on for so long, milliseconds. */
  readonly afterMs: number
}

export interface LocalInstance {
  readonly id: InstanceId
  readonly slot: SlotId
  readonly service: ServiceId
  readonly release: ReleaseId
  readonly definition: ReleaseDefinition
  readonly cpusMilli: number
  readonly memoryBytes: number
  readonly phase: ProcessPhase
  readonly draining: boolean
  /** Monotonic milliseconds since when it drains; null: it does not. */
  readonly drainingSinceMs: number | null
  readonly pid: number | null
  readonly ports: Readonly<Record<string, number>>
  /** Monotonic milliseconds of the last spawn. */
  readonly startedAtMs: number
  /** Spawns so far. */
  readonly runs: number
  /** Failed runs in a row; a stable run starts over. Kept by the hands, judged by restart.ts. */
  readonly failuresInARow: number
  /** A run this long is stable: the service's restart window at its last start. @default STABLE_RUN_MS */
  readonly stableRunMs?: number
  /** As its start said; after an adoption 0. @default 0 */
  readonly proofMs?: number
  readonly exit: ProcessExit | null
  /** Why the last try to spawn it failed; null: none has since a run of it ended. */
  readonly error: string | null
  /**
   * Phase `broken` only: the error is one that trying again does not mend (its program or its directory is missing). The
   * hands look whether that still holds and take it back when it does not. @default false
   */
  readonly refused?: boolean
  /** How the last run that was over ended, kept while the next one runs. Left out: none has. */
  readonly lastExit?: ProcessExit
  /** The last lines it wrote. @default none */
  readonly lastOutput?: readonly string[]
  /** What of its limits it runs without, in words that follow its name; empty: nothing. @default '' */
  readonly shortfall?: string | undefined
  /** The fencing token that its last run was given. Left out: it runs without a lease. */
  readonly fence?: number | undefined
  readonly probe: ProbeTally
  /** The successor that is prepared for this run; `unavailable`: it can have none here. Left out: it has none. */
  readonly heir?: HeirTerms | 'unavailable' | undefined
  /** Of the liveness probe. Left out: nothing has been asked. */
  readonly liveness?: ProbeTally
}

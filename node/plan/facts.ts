// An instance's facts as they begin (a start, an adoption) and as a record keeps them. Values in, values out, for the hands of
// real machines and of simulated ones alike.

import type { InstanceId, ReleaseId, ServiceId, SlotId } from '../../lib/ids.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { StartAction } from './action.ts'
import type { LocalInstance, ProbeTally } from './local.ts'
import { failuresAfter } from './restart.ts'

/** How a process ended. */
export interface Exit {
  /** Null: a signal ended it, or the status is unknown (it ended while nobody watched). */
  readonly code: number | null
  readonly signal: string | null
  /** The kernel ended it, or a process of it, for going over its limit of memory. @default false */
  readonly oomKilled?: boolean | undefined
}

/** Written durably before the spawn, found again after any crash (S10). */
export interface InstanceRecord {
  readonly instance: InstanceId
  readonly slot: SlotId
  readonly service: ServiceId
  readonly release: ReleaseId
  readonly definition: ReleaseDefinition
  readonly cpusMilli: number
  readonly memoryBytes: number
  readonly ports: Readonly<Record<string, number>>
  /** Fresh for each spawn, in the process's environment as TUTTI_NONCE: with pid and start time it proves identity. */
  readonly nonce: string
  /** The nonce of the next run, should its successor be prepared: on record before that can begin. Left out: none will. */
  readonly heir?: string | undefined
  readonly runs: number
  readonly failuresInARow: number
  /** A run this long is stable. Left out by an earlier version: as the plan says. */
  readonly stableRunMs?: number
  readonly draining: boolean
  /** The fencing token that this run was given. Left out: it runs without a lease. */
  readonly fence?: number
}

/** A process found again after this peer's own crash or restart. */
export interface Adopted {
  readonly record: InstanceRecord
  /** Null: it ended while nobody watched; `exit` tells what is known. */
  readonly pid: number | null
  readonly exit: Exit | null
  /** How long ago the living process started, milliseconds. */
  readonly ageMs?: number | undefined
  /** How long ago the ended one ended, milliseconds; left out: not known. */
  readonly endedAgoMs?: number | undefined
  /** As the driver's `Spawned` has it. */
  readonly shortfall?: string | undefined
  /** How the run before it ended, which this one, its heir, followed while nobody watched. Left out: it followed none. */
  readonly inherited?:
    { readonly exit: Exit; readonly ranMs: number; readonly endedAgoMs: number } | undefined
}

/** Nobody saw how it ended. */
export const EXIT_UNKNOWN: Exit = { code: null, signal: null }

/** Before the first probe. */
export const TALLY_EMPTY: ProbeTally = { okInARow: 0, failedInARow: 0, everOk: false, lastFailure: '' }

/** Of a tally, with one more failure. */
export const withFailure = (tally: ProbeTally, counts: boolean, failure: string): ProbeTally => {
  const { everOk, failedInARow, lapses = 0 } = tally
  const begins = counts && everOk && failedInARow === 0
  return {
    okInARow: 0,
    failedInARow: failedInARow + (counts ? 1 : 0),
    everOk,
    ...(begins || lapses > 0 ? { lapses: lapses + (begins ? 1 : 0) } : {}),
    lastFailure: failure,
  }
}

/** Before anything else happened. */
export const factsOfStart = (action: StartAction, nowMs: number): LocalInstance => ({
  id: action.instance,
  slot: action.slot,
  service: action.service,
  release: action.release,
  definition: action.definition,
  cpusMilli: action.cpusMilli,
  memoryBytes: action.memoryBytes,
  phase: 'preparing',
  draining: false,
  drainingSinceMs: null,
  pid: null,
  ports: {},
  startedAtMs: nowMs,
  runs: 0,
  failuresInARow: 0,
  ...(action.stableRunMs === undefined ? {} : { stableRunMs: action.stableRunMs }),
  proofMs: action.proofMs,
  exit: null,
  error: null,
  probe: TALLY_EMPTY,
})

/** As an earlier run of this peer left it. What ended meanwhile counts as one more failure: nobody asked for it. */
export const factsOfAdopted = (
  { record, pid, exit, ageMs = 0, endedAgoMs = 0, shortfall, inherited }: Adopted,
  nowMs: number,
): LocalInstance => {
  const end = pid === null ? { ...(exit ?? EXIT_UNKNOWN), atMs: nowMs - endedAgoMs } : null
  const before = inherited === undefined ? null : { ...inherited.exit, atMs: nowMs - inherited.endedAgoMs }
  const lastExit = end ?? before
  const failuresBefore =
    inherited === undefined
      ? record.failuresInARow
      : failuresAfter(record.failuresInARow, inherited.ranMs, record.stableRunMs)
  return {
    id: record.instance,
    slot: record.slot,
    service: record.service,
    release: record.release,
    definition: record.definition,
    cpusMilli: record.cpusMilli,
    memoryBytes: record.memoryBytes,
    phase: pid === null ? 'exited' : 'running',
    draining: record.draining,
    drainingSinceMs: record.draining ? nowMs : null,
    pid,
    ports: record.ports,
    startedAtMs: nowMs - ageMs,
    runs: record.runs,
    failuresInARow: failuresBefore + (pid === null ? 1 : 0),
    ...(record.stableRunMs === undefined ? {} : { stableRunMs: record.stableRunMs }),
    exit: end,
    ...(lastExit === null ? {} : { lastExit }),
    shortfall,
    fence: record.fence,
    error: null,
    probe: TALLY_EMPTY,
  }
}

/** The change when a run has ended and its heir, which runs as `pid`, has followed it at once. */
export const factsOfSuccession = (
  { startedAtMs, failuresInARow, stableRunMs, runs }: LocalInstance,
  exit: Exit,
  pid: number,
  nowMs: number,
): Partial<LocalInstance> => ({
  pid,
  runs: runs + 1,
  startedAtMs: nowMs,
  lastExit: { ...exit, atMs: nowMs },
  error: null,
  failuresInARow: failuresAfter(failuresInARow, nowMs - startedAtMs, stableRunMs),
  probe: TALLY_EMPTY,
  liveness: TALLY_EMPTY,
  heir: undefined,
})

/** What of the facts outlives the peer. `heir`: the nonce that a successor of this run would have; null: none is meant. */
export const recordOf = (
  facts: LocalInstance,
  nonce: string,
  heir: string | null = null,
): InstanceRecord => ({
  instance: facts.id,
  slot: facts.slot,
  service: facts.service,
  release: facts.release,
  definition: facts.definition,
  cpusMilli: facts.cpusMilli,
  memoryBytes: facts.memoryBytes,
  ports: facts.ports,
  nonce,
  ...(heir === null ? {} : { heir }),
  runs: facts.runs,
  failuresInARow: facts.failuresInARow,
  ...(facts.stableRunMs === undefined ? {} : { stableRunMs: facts.stableRunMs }),
  draining: facts.draining,
  ...(facts.fence === undefined ? {} : { fence: facts.fence }),
})

// An instance's facts as they begin (a start, an adoption) and as a record keeps them. Values in, values out.

import type { Adopted, Exit, InstanceRecord } from '../ports.ts'
import type { StartAction } from '../plan/action.ts'
import type { LocalInstance } from '../plan/local.ts'
import { TALLY_EMPTY } from './prober.ts'

const EXIT_UNKNOWN: Exit = { code: null, signal: null }

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
  { record, pid, exit, ageMs = 0, endedAgoMs = 0, shortfall }: Adopted,
  nowMs: number,
): LocalInstance => {
  const end = pid === null ? { ...(exit ?? EXIT_UNKNOWN), atMs: nowMs - endedAgoMs } : null
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
    failuresInARow: record.failuresInARow + (pid === null ? 1 : 0),
    ...(record.stableRunMs === undefined ? {} : { stableRunMs: record.stableRunMs }),
    exit: end,
    ...(end === null ? {} : { lastExit: end }),
    shortfall,
    error: null,
    probe: TALLY_EMPTY,
  }
}

/** What of the facts outlives the peer. */
export const recordOf = (facts: LocalInstance, nonce: string): InstanceRecord => ({
  instance: facts.id,
  slot: facts.slot,
  service: facts.service,
  release: facts.release,
  definition: facts.definition,
  cpusMilli: facts.cpusMilli,
  memoryBytes: facts.memoryBytes,
  ports: facts.ports,
  nonce,
  runs: facts.runs,
  failuresInARow: facts.failuresInARow,
  ...(facts.stableRunMs === undefined ? {} : { stableRunMs: facts.stableRunMs }),
  draining: facts.draining,
})

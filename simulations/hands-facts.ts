// Facts of simulated instances as they begin (a start, an adoption) and as a record keeps them: what node/act/facts.ts is to
// the real hands, which the simulations do not import. test/contracts/hands.ts holds both to the same.

import type { InstanceRecord } from '../node/ports.ts'
import type { StartAction } from '../node/plan/action.ts'
import type { LocalInstance, ProbeTally } from '../node/plan/local.ts'
import type { ScriptedProcess } from './processes.ts'

/** Before the first probe. */
export const TALLY_EMPTY: ProbeTally = { okInARow: 0, failedInARow: 0, everOk: false, lastFailure: '' }

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

/** As earlier hands left it. What ended meanwhile counts as one more failure: nobody asked for it. */
export const factsOfAdopted = (process: ScriptedProcess, nowMs: number): LocalInstance => {
  const { record, pid, exit, startedAtMs, endedAtMs } = process
  const end = exit === null ? null : { ...exit, atMs: endedAtMs ?? nowMs }
  return {
    id: record.instance,
    slot: record.slot,
    service: record.service,
    release: record.release,
    definition: record.definition,
    cpusMilli: record.cpusMilli,
    memoryBytes: record.memoryBytes,
    phase: end === null ? 'running' : 'exited',
    draining: record.draining,
    drainingSinceMs: record.draining ? nowMs : null,
    pid: end === null ? pid : null,
    ports: record.ports,
    startedAtMs,
    runs: record.runs,
    failuresInARow: record.failuresInARow + (end === null ? 0 : 1),
    ...(record.stableRunMs === undefined ? {} : { stableRunMs: record.stableRunMs }),
    exit: end,
    ...(end === null ? {} : { lastExit: end }),
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

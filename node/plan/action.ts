// Actions: what a plan tells the hands to do. Each is idempotent, names one instance and carries its reason; the plan
// leaves no choice to whoever executes it.

import type { InstanceId, ReleaseId, ServiceId, SlotId } from '../../lib/ids.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { HeldLease } from './lease/terms.ts'
import type { HeirTerms } from './local.ts'

/** Starts an instance; one of that id that runs and drains serves again instead. */
export interface StartAction {
  readonly kind: 'start'
  readonly instance: InstanceId
  readonly slot: SlotId
  readonly service: ServiceId
  readonly release: ReleaseId
  readonly definition: ReleaseDefinition
  readonly cpusMilli: number
  readonly memoryBytes: number
  /** How long it must have run before it counts as ready where nothing checks it, milliseconds (health.ts). */
  readonly proofMs: number
  /** A run this long is no failed one, milliseconds. @default STABLE_RUN_MS of restart.ts */
  readonly stableRunMs?: number
  /** What a run of a quorum slot runs under: it is ended when the lease is over (S9). Left out: it needs none. */
  readonly lease?: HeldLease
  readonly reason: string
}

/** Spawns an exited instance again, in the same place, with the next run number. */
export interface RestartAction {
  readonly kind: 'restart'
  readonly instance: InstanceId
  /** As of a start. */
  readonly stableRunMs?: number
  readonly lease?: HeldLease
  readonly reason: string
}

/** Takes an instance out of routing; it runs on until the stop. */
export interface DrainAction {
  readonly kind: 'drain'
  readonly instance: InstanceId
  readonly reason: string
}

/** Stop signal to the group, grace, SIGKILL. */
export interface StopAction {
  readonly kind: 'stop'
  readonly instance: InstanceId
  readonly signal: ReleaseDefinition['stopSignal']
  readonly graceMs: number
  /** The run counts as failed, for this reason; left out: the stop is no failure. */
  readonly failure?: string
  readonly reason: string
}

/** Drops the record of an instance whose processes are confirmed gone and that nobody wants. */
export interface ForgetAction {
  readonly kind: 'forget'
  readonly instance: InstanceId
  readonly reason: string
}

/** Prepares the successor of a living run, so that it follows an end of it in the time of a fork (heirs.ts). */
export interface ArmAction {
  readonly kind: 'arm'
  readonly instance: InstanceId
  readonly terms: HeirTerms
  readonly reason: string
}

/** Takes a prepared successor back; one that has begun already stays. */
export interface DisarmAction {
  readonly kind: 'disarm'
  readonly instance: InstanceId
  readonly reason: string
}

export type Action =
  StartAction | RestartAction | DrainAction | StopAction | ForgetAction | ArmAction | DisarmAction

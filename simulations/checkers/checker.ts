// A checker: the referee of one invariant. It hears what happens and looks at the machines now and then, keeps what it
// must remember, and says what is wrong. It changes nothing and draws nothing, so that runs with and without it are the
// same history. Types, and how often they look.

import type { Frame } from '../../crdt/store.ts'
import type { ChangeHash, MemberId } from '../../lib/ids.ts'
import type { InstanceRecord } from '../../node/ports.ts'
import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'

/** While there is trouble every `look` is asked this often, milliseconds; a run that has failed is ended within it. */
export const LOOK_MS = 500

/** Sentences on what is wrong, without the invariant's name; mostly none. */
export type Wrongs = readonly string[]

/** Each hook that is there counts as one check when it is called. Made anew for each run. */
export interface Checker {
  /** `S1` to `L8`, as INVARIANTS.md names it. */
  readonly invariant: string
  /** Every LOOK_MS, and at rest as verdict.ts says. */
  readonly look?: (scene: Scene) => Wrongs
  readonly spawned?: (scene: Scene, machine: Machine, record: InstanceRecord) => Wrongs
  /** A run of a quorum slot was told of the token that its lease was renewed with. */
  readonly extended?: (scene: Scene, machine: Machine, record: InstanceRecord, token: number) => Wrongs
  readonly ending?: (scene: Scene, machine: Machine, record: InstanceRecord, how: 'drain' | 'stop') => Wrongs
  readonly kept?: (scene: Scene, machine: Machine, frames: readonly Frame[]) => Wrongs
  readonly delivered?: (scene: Scene, from: MemberId, to: MemberId) => Wrongs
  readonly forwarded?: (scene: Scene, by: MemberId, bytes: Uint8Array) => Wrongs
  /** An edit was acknowledged to its operator by this machine. May read disks, but must await nothing else. */
  readonly acknowledged?: (scene: Scene, machine: Machine, change: ChangeHash) => Promise<Wrongs>
  /** A disk is about to be wiped or replaced by an older state. May read disks, but must await nothing else. */
  readonly losing?: (scene: Scene, machine: Machine) => Promise<Wrongs>
  /** At rest after the last fault. */
  readonly atRest?: (scene: Scene) => Wrongs
}

// Where a simulated peer's ports may be wrapped, and what happens on its machine, told to whoever listens. Planted bugs
// (mutants/) come in through the first and checkers see through the second, so production code needs neither switches
// nor probes. Types and the recording Store only.

import type { Files } from '../crdt/log/files.ts'
import type { Frame, Store } from '../crdt/store.ts'
import type { ActorId, MemberId } from '../lib/ids.ts'
import type { Signer } from '../lib/signature.ts'
import type { Transport } from '../net/transport.ts'
import type { PackageStore } from '../node/package/store.ts'
import type { Hands, InstanceRecord } from '../node/ports.ts'
import type { Machine } from './machine.ts'

/** Wrappers around what a simulated peer is built of; each is optional and gets the sound thing. */
export interface Composition {
  readonly files?: (files: Files) => Files
  readonly store?: (store: Store) => Store
  /** Where a voter keeps its promises. */
  readonly promises?: (files: Files) => Files
  readonly transport?: (transport: Transport) => Transport
  readonly hands?: (hands: Hands) => Hands
  readonly signer?: (signer: Signer) => Signer
  /** What that member's machine holds of packages. @default it keeps none */
  readonly packages?: (member: MemberId) => PackageStore
  /** `member`: whose peer asks. */
  readonly newActor?: (sound: () => ActorId, member: MemberId) => () => ActorId
}

/** What happens on machines and between them: the ground truth that checkers look at. */
export interface Happenings {
  /** A process was started. */
  readonly spawned: (machine: Machine, record: InstanceRecord) => void
  /** A run of a quorum slot was told of the token that its lease was renewed with. */
  readonly extended: (machine: Machine, record: InstanceRecord, token: number) => void
  /** The peer is about to drain or stop an instance. */
  readonly ending: (machine: Machine, record: InstanceRecord, how: 'drain' | 'stop') => void
  /** The peer asked its store to keep these, and the store said that it has. */
  readonly kept: (machine: Machine, frames: readonly Frame[]) => void
  /** A message reached a running peer. */
  readonly delivered: (from: MemberId, to: MemberId) => void
  /** A peer passed on what another one had published. */
  readonly forwarded: (by: MemberId, bytes: Uint8Array) => void
}

/** A store that tells what it has kept. */
export const tellingStore = (store: Store, kept: (frames: readonly Frame[]) => void): Store => ({
  load: () => store.load(),
  append: async (frames) => {
    await store.append(frames)
    kept(frames)
  },
  writeSnapshot: (snapshot) => store.writeSnapshot(snapshot),
  get appendedBytes() {
    return store.appendedBytes
  },
  close: () => store.close(),
})

// What an agent is built from: ports, and the few facts that only the composition root knows. Interfaces only.

import type { BuilderFacts, ConfinementFacts, PeerFacts } from '../../crdt/schema/status.ts'
import type { Files } from '../../crdt/log/files.ts'
import type { Store } from '../../crdt/store.ts'
import type { ActorId, ClusterId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { Signer } from '../../lib/signature.ts'
import type { Clock } from '../../lib/time.ts'
import type { Transport } from '../../net/transport.ts'
import type { AgentSnapshot, Hands } from '../ports.ts'
import type { PackageStore } from '../package/store.ts'
import type { VerifyHttp } from './duties.ts'
import type { KnownPeer } from './neighbourhood.ts'

export interface AgentOptions {
  readonly cluster: ClusterId
  readonly signer: Signer
  readonly incarnation: number
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  readonly store: Store
  /** Where this peer keeps what it has promised as a voter. */
  readonly promises: Files
  readonly hands: Hands
  /** Packages on this machine; left out: there are none, and no start waits for one. */
  readonly packages?: PackageStore
  readonly log: Log
  /** How long this process has stood in line for a core so far, milliseconds. @default a sensor that says 0 */
  readonly coreWaitMs?: () => number
  /** Facts of this peer. */
  readonly facts: Omit<PeerFacts, 'addresses' | 'host' | 'running'>
  /** What instances can be confined by here; asked now and then, since programs are installed. @default nothing is said */
  readonly confinement?: () => ConfinementFacts
  /** Whether releases can be built here; asked now and then. @default nothing is said */
  readonly builder?: () => BuilderFacts
  /** The host on which instances are reached, given the addresses that the transport listens on. */
  readonly hostOf: (addresses: readonly string[]) => string
  /** Members known before the document is. */
  readonly bootstrap: readonly KnownPeer[]
  /** At the founding of a cluster only: what its first change says. */
  readonly founding: { readonly nonce: string; readonly name: string } | null
  readonly newActor: () => ActorId
  /** A fresh Ed25519 seed, for a ticket's secret. */
  readonly newSeed: () => Uint8Array
  /** What the journal of the last passes may keep in memory, by its own estimate. @default 8 MiB */
  readonly journalBytesMax?: number
  /** Asks a new release over HTTP. @default it passes */
  readonly verifyHttp?: VerifyHttp
  /** After each pass, with what it saw: links and other shells that follow the cluster. */
  readonly afterPass?: (snapshot: AgentSnapshot) => void
}

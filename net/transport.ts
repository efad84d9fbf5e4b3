// Transport port: authenticated, encrypted, unreliable. Messages may be lost whenever a connection is; nothing above
// relies on delivery (anti-entropy repairs). The contract suite is test/contracts/transport.ts; net/libp2p implements it
// for production, simulations/network.ts for the simulator. Deliberately absent: any notion of alive or dead.

import type { MemberId } from '../lib/ids.ts'

/**
 * Ordered, persistent message streams between two members: `beat` carries heartbeats and nothing else, so that no bulk
 * ever delays one; `sync` carries anti-entropy.
 */
export type Channel = 'beat' | 'sync'

/** What a gossip validator decides: pass on, drop quietly (known, or not judgeable yet), drop and punish the sender. */
export type GossipVerdict = 'accept' | 'ignore' | 'reject'

export interface TransportEvents {
  /** The first connection to a member came up. */
  connected(member: MemberId): void
  /** The last connection to a member went. `silent` when no end arrived: timed out or aborted by ourselves. */
  disconnected(member: MemberId, silent: boolean): void
  message(from: MemberId, channel: Channel, bytes: Uint8Array): void
  gossip(from: MemberId, bytes: Uint8Array): Promise<GossipVerdict> | GossipVerdict
  /**
   * Serves `Transport.request`: yields the answer's parts. A throw reaches the caller as one `refused` sentence. `input`
   * is what the asker sends along; its parts are fetched as they are taken, and nothing is lost by never taking one.
   */
  request(
    from: MemberId,
    method: string,
    body: Uint8Array,
    signal: AbortSignal,
    input: AsyncIterable<Uint8Array>,
  ): AsyncIterable<Uint8Array>
  /**
   * Serves the join protocol for a key that is not admitted: `invite` is the key the newcomer connected with, which the
   * gater let in because `setInvites` named it. Returns the answer. A throw reaches the newcomer as its sentence.
   */
  join(invite: MemberId, body: Uint8Array): Promise<Uint8Array>
}

export interface Transport {
  readonly self: MemberId
  start(events: TransportEvents): Promise<void>
  stop(): Promise<void>
  /** Multiaddrs it listens on, with `/p2p/<self>`. */
  addresses(): readonly string[]
  /** Who gets past the gater. Connections and streams of keys that are no longer in the set are cut at once. */
  setMembers(members: ReadonlySet<MemberId>): void
  /** Keys of tickets, open or lately ended: they may connect, speak the join protocol and nothing else. */
  setInvites(invites: ReadonlySet<MemberId>): void
  /** Tries a member's addresses; resolves true when a connection exists. Never throws. */
  dial(member: MemberId, addresses: readonly string[]): Promise<boolean>
  /** Cuts every connection to a member. */
  disconnect(member: MemberId): void
  connections(): ReadonlySet<MemberId>
  /** False when there is no connection or the channel's queue is full (then the message is dropped). */
  send(to: MemberId, channel: Channel, bytes: Uint8Array): boolean
  /** To all members, best effort. At most LIMITS.gossipBytesMax. */
  publish(bytes: Uint8Array): void
  /**
   * Asks one member and streams its answer, over a new stream on the existing connection or on one dialled from
   * `addresses`. With `input` it is a conversation: parts go over while the answer comes, each side at the pace at which
   * the other takes them, and either may end first. An input that fails ends the whole as an abort would. Each part is at
   * most LIMITS.messageBytesMax. @throws TuttiError `unreachable`, `timeout`, or `refused` with the other side's sentence.
   */
  request(to: MemberId, method: string, body: Uint8Array, options: RequestOptions): AsyncIterable<Uint8Array>
}

/** How one question is asked. */
export interface RequestOptions {
  /** The only deadline there is. */
  readonly signal: AbortSignal
  /** Where to dial the member when there is no connection. @default none */
  readonly addresses?: readonly string[]
  /** What is sent along while the answer comes. @default nothing */
  readonly input?: AsyncIterable<Uint8Array>
}

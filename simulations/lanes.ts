// The network between two ends, as an end sees it: a port, so that the ends (network-transport.ts) know neither links nor
// hosts and the network (network.ts) no connections. Types only.

import type { MemberId } from '../lib/ids.ts'
import type { Clock } from '../lib/time.ts'
import type { SimulatedTransport } from './network-transport.ts'

/** What an end needs of the network between the ends. */
export interface Lanes {
  readonly clock: Clock
  /** Another number whenever anybody's connections, or who answers them, are others. */
  readonly wiring: number
  /** The process at an address: its transport, null when its machine answers without it, undefined when none answers. */
  processAt(
    address: string,
  ): { readonly member: MemberId; readonly transport: SimulatedTransport | null } | undefined
  /** The transport of a member's process; null when it has none, or none that answers. */
  processOf(member: MemberId): SimulatedTransport | null
  /** Delivers in order after the lane's delay; never while it is cut or the receiver is frozen, nor to a dark machine. */
  carry(from: MemberId, to: MemberId, deliver: () => void): void
  /** How often a message that may be lost (or, as gossip, repeated) is to be carried: 0, 1 or 2 times. */
  copies(from: MemberId, to: MemberId, repeatable: boolean): number
  /** How much later than the others a gossiped message sets out, milliseconds; mostly 0. */
  lateness(from: MemberId, to: MemberId): number
  /** The message as it arrives: mostly itself. */
  altered(from: MemberId, to: MemberId, bytes: Uint8Array): Uint8Array
  /** A message reaches a running peer. */
  delivered(from: MemberId, to: MemberId): void
  /** The same, of every message, repeated gossip included, with its length. */
  carried(from: MemberId, to: MemberId, bytes: number): void
  /** A peer passes on what another one published. */
  forwarded(by: MemberId, bytes: Uint8Array): void
  /** An end's connections are others than before. */
  rewired(): void
  /** A member's transport stopped by itself. */
  stopped(transport: SimulatedTransport): void
}

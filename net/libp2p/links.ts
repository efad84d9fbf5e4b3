// Connections to members: which are proven, which of several to use, and when a member counts as connected. A connection
// counts once identify has gone back and forth on it: only then is it certain that the other side let it in, and only
// then does gossipsub know of it.
//
// Two peers that dial each other at once end with two connections. Both rank them alike (the one dialled by the smaller
// id first, then the newest), probe the older ones, since a host that lost its power may be back while its old connection
// still looks alive, and the smaller id closes what is not needed after a grace. Deliberately absent: dialling, and any
// judgement on a member that is not connected.

import type { Connection } from '@libp2p/interface'
import type { MemberId } from '../../lib/ids.ts'
import { compareStrings } from '../../lib/order.ts'
import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import { messageOf } from '../../lib/errors.ts'
import { type Admission, memberOf } from './admission.ts'
import { DUPLICATE_GRACE_MS, PROBE_TIMEOUT_MS } from './wire.ts'

export interface LinksOptions {
  readonly self: MemberId
  readonly admission: Admission
  readonly clock: Clock
  readonly log: Log
  /** One round trip of identify; rejects when the other side does not answer. */
  readonly probe: (connection: Connection, signal: AbortSignal) => Promise<unknown>
  readonly connected: (member: MemberId) => void
  readonly disconnected: (member: MemberId, silent: boolean) => void
}

/** Codes of errors that only an answer from the other host can cause. */
const ENDED_BY_OTHER = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

const codeOf = (error: Error): string => ('code' in error && typeof error.code === 'string' ? error.code : '')

export class Links {
  readonly #options: LinksOptions
  /** Connections of members that are open, and whether they proved themselves. */
  readonly #proofs = new Map<Connection, Promise<boolean>>()
  /** Proven connections per member, oldest first; never an empty list. */
  readonly #proven = new Map<MemberId, Connection[]>()
  readonly #cancels = new Set<() => void>()
  #stopped = false

  constructor(options: LinksOptions) {
    this.#options = options
  }

  /** Takes a member's new connection into account. Its proof starts at once. */
  opened(connection: Connection): void {
    if (this.#stopped || this.#proofs.has(connection) || connection.status !== 'open') return
    connection.addEventListener('close', (event) => {
      this.#closed(connection, event.error)
    })
    this.#proofs.set(connection, this.#prove(connection))
  }

  /** Resolves true once the connection is proven; false when it failed to or is not a member's. */
  async isProven(connection: Connection): Promise<boolean> {
    return (await this.#proofs.get(connection)) ?? false
  }

  connectedMembers(): ReadonlySet<MemberId> {
    return new Set(this.#proven.keys())
  }

  isConnected(member: MemberId): boolean {
    return this.#proven.has(member)
  }

  connectionsOf(member: MemberId): readonly Connection[] {
    return this.#proven.get(member) ?? []
  }

  /** The connection that new streams to a member should use: the one that will outlive its duplicates. */
  best(member: MemberId): Connection | undefined {
    return this.#ranked(member)[0]
  }

  /** Aborts every connection to a member, proven or not; `disconnected` follows from it. */
  cut(member: MemberId, reason: string): void {
    for (const connection of this.#proofs.keys()) {
      if (memberOf(connection.remotePeer) === member) connection.abort(new Error(reason))
    }
  }

  /** No event is reported any more. */
  stop(): void {
    this.#stopped = true
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
  }

  async #prove(connection: Connection): Promise<boolean> {
    const member = memberOf(connection.remotePeer)
    const { admission, log, probe } = this.#options
    try {
      await probe(connection, AbortSignal.timeout(PROBE_TIMEOUT_MS))
    } catch (thrown) {
      log.log('debug', 'connection is not usable', { member, reason: messageOf(thrown) })
      connection.abort(new Error('the connection did not prove itself'))
      return false
    }
    if (this.#stopped || connection.status !== 'open' || !admission.isMember(member)) {
      connection.abort(new Error('the connection came too late'))
      return false
    }
    const others = this.#proven.get(member)
    if (others === undefined) {
      this.#proven.set(member, [connection])
      this.#options.connected(member)
    } else {
      const olders = [...others]
      others.push(connection)
      void this.#thinOut(member, olders)
    }
    return true
  }

  /** Ends the dead among a member's older connections, and the superfluous ones after a grace. Never rejects. */
  async #thinOut(member: MemberId, olders: readonly Connection[]): Promise<void> {
    await Promise.all(
      olders.map(async (connection) => {
        try {
          await this.#options.probe(connection, AbortSignal.timeout(PROBE_TIMEOUT_MS))
        } catch {
          connection.abort(new Error('the connection is dead, and another one has taken its place'))
        }
      }),
    )
    // One side decides, so that the two never close each other's choice.
    if (compareStrings(this.#options.self, member) > 0) return
    this.#later(DUPLICATE_GRACE_MS, () => {
      for (const superfluous of this.#ranked(member).slice(1)) {
        superfluous.close().catch((thrown: unknown) => {
          superfluous.abort(thrown instanceof Error ? thrown : new Error(messageOf(thrown)))
        })
      }
    })
  }

  #ranked(member: MemberId): readonly Connection[] {
    const own = this.#proven.get(member)
    if (own === undefined || own.length < 2) return own ?? []
    const preferred = compareStrings(this.#options.self, member) < 0 ? 'outbound' : 'inbound'
    const rank = (connection: Connection): number => (connection.direction === preferred ? 0 : 1)
    // Stable: among equals the newest comes first.
    return own.toReversed().sort((a, b) => rank(a) - rank(b))
  }

  #closed(connection: Connection, error: Error | undefined): void {
    this.#proofs.delete(connection)
    const member = memberOf(connection.remotePeer)
    const left = this.#proven.get(member)?.filter((other) => other !== connection)
    if (left === undefined || this.#stopped) return
    if (left.length > 0) {
      this.#proven.set(member, left)
      this.#revive(left)
      return
    }
    this.#proven.delete(member)
    this.#options.disconnected(member, error !== undefined && !ENDED_BY_OTHER.has(codeOf(error)))
  }

  /** Gossipsub may have lost its stream with the closed connection; identify makes it open one on another. */
  #revive(connections: readonly Connection[]): void {
    for (const connection of connections) {
      this.#options.probe(connection, AbortSignal.timeout(PROBE_TIMEOUT_MS)).catch((thrown: unknown) => {
        this.#options.log.log('debug', 'a remaining connection does not answer', {
          member: memberOf(connection.remotePeer),
          reason: messageOf(thrown),
        })
      })
    }
  }

  #later(delayMs: number, run: () => void): void {
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#cancels.delete(cancel)
      run()
    })
    this.#cancels.add(cancel)
  }
}

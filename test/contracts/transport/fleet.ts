// Transports that can reach each other, and the peers on them: what the transport contract, and the tests of what is
// special to one transport, are written against. Whoever implements a fleet decides how time passes.

import assert from 'node:assert/strict'
import { textOf, utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { MemberId } from '../../../lib/ids.ts'
import type { Channel, GossipVerdict, Transport, TransportEvents } from '../../../net/transport.ts'

/** A number of transports that can reach each other. None is started, none knows a member. */
export interface Fleet {
  readonly transports: readonly Transport[]
  /** Lets time pass until the condition holds; fails when it does not for long. */
  until(condition: () => boolean, what: string): Promise<void>
  /** Lets time pass until the work is done; its result. */
  run<T>(work: Promise<T>): Promise<T>
  /** Asks to join as a newcomer does, with a ticket's seed, at addresses of members. */
  join(ticketSeed: Uint8Array, addresses: readonly string[], body: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

export type MakeFleet = (size: number) => Promise<Fleet>

/** One member of a fleet and all that it was told. */
export class Peer {
  readonly transport: Transport
  readonly events: string[] = []
  readonly messages: { readonly from: MemberId; readonly channel: Channel; readonly bytes: Uint8Array }[] = []
  readonly gossiped: string[] = []
  readonly silences: boolean[] = []
  verdict: (text: string) => GossipVerdict = () => 'accept'
  answer: TransportEvents['request'] = async function* () {
    yield utf8('nothing is answered here')
  }
  admit: TransportEvents['join'] = async () => {
    throw new TuttiError('refused', 'nobody joins here')
  }

  constructor(transport: Transport) {
    this.transport = transport
  }

  get id(): MemberId {
    return this.transport.self
  }

  start(): Promise<void> {
    return this.transport.start({
      connected: (member) => this.events.push(`+${member}`),
      disconnected: (member, silent) => {
        this.events.push(`-${member}`)
        this.silences.push(silent)
      },
      message: (from, channel, bytes) => this.messages.push({ from, channel, bytes }),
      gossip: (_from, bytes) => {
        this.gossiped.push(textOf(bytes))
        return this.verdict(textOf(bytes))
      },
      request: (from, method, body, signal, input) => this.answer(from, method, body, signal, input),
      join: (invite, body) => this.admit(invite, body),
    })
  }

  texts(channel: Channel): readonly string[] {
    return this.messages.filter((message) => message.channel === channel).map(({ bytes }) => textOf(bytes))
  }

  sees(other: Peer): boolean {
    return this.transport.connections().has(other.id)
  }
}

/** Started peers that admit each other; nobody is connected yet. */
export const startPeers = async (fleet: Fleet): Promise<readonly Peer[]> => {
  const peers = fleet.transports.map((transport) => new Peer(transport))
  const members = new Set(peers.map((peer) => peer.id))
  for (const peer of peers) {
    peer.transport.setMembers(members)
    await peer.start()
  }
  return peers
}

/** Connects two peers and waits until both know. */
export const connectPeers = async (fleet: Fleet, from: Peer, to: Peer): Promise<void> => {
  assert.equal(await fleet.run(from.transport.dial(to.id, to.transport.addresses())), true)
  await fleet.until(() => from.sees(to) && to.sees(from), 'both ends know of the connection')
}

/** Publishes fresh texts until the condition holds: gossip is best effort while a mesh still forms. */
export const publishUntil = async (
  fleet: Fleet,
  from: Peer,
  prefix: string,
  condition: () => boolean,
): Promise<void> => {
  let round = 0
  await fleet.until(() => {
    if (condition()) return true
    from.transport.publish(utf8(`${prefix}-${round}`))
    round += 1
    return false
  }, `gossip '${prefix}' arrives`)
}

/** Whether a peer heard gossip that `publishUntil` published under a prefix. */
export const heard = (peer: Peer, prefix: string): boolean =>
  peer.gossiped.some((text) => text.startsWith(`${prefix}-`))

/** Opens a fleet of two peers, for one test. */
export type OpenTwo = () => Promise<readonly [Fleet, Peer, Peer]>

/** Opens a fleet of so many peers, for one test. */
export type OpenSome = (size: number) => Promise<readonly [Fleet, readonly Peer[]]>

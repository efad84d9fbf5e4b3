// The production Transport over libp2p, and the one door to this folder: others import from here alone. It wires the
// parts: who may come in (admission.ts), which connection counts (links.ts), messages (channels.ts), questions (ask.ts),
// gossip and its watchdog (gossip.ts), newcomers (guests.ts). Decides nothing about members: no redialling, no liveness.

import type { Connection, Stream, StreamHandler } from '@libp2p/interface'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { ClusterId, MemberId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import type { Channel, RequestOptions, Transport, TransportEvents } from '../transport.ts'
import { addressFor, announcedAddresses } from './addresses.ts'
import { Admission, memberOf } from './admission.ts'
import { askOver, AskServer } from './ask.ts'
import { ChannelSender, receiveChannel, senderKey } from './channels.ts'
import { dialFirst } from './dial.ts'
import { Gossip } from './gossip.ts'
import { Guests } from './guests.ts'
import { Links } from './links.ts'
import { createPeerNode, type PeerNode } from './node.ts'
import {
  ADDRESSES_DIALLED_MAX,
  askProtocol,
  ASKS_PER_MEMBER_MAX,
  CHANNEL_LIMITS,
  CHANNEL_STREAMS_MAX,
  channelProtocol,
  DIAL_TIMEOUT_MS,
  gossipTopic,
  JOIN_PROTOCOL,
  WATCH_INTERVAL_MS,
} from './wire.ts'

export { hostOfAddress, hostPortOf, memberOfAddress, type HostPort } from './addresses.ts'
export { requestJoin, type JoinRequest } from './join-client.ts'

export interface Libp2pTransportOptions {
  /** The raw 32-byte Ed25519 seed of this peer's key. */
  readonly seed: Uint8Array
  readonly cluster: ClusterId
  /** Multiaddrs to listen on, such as `/ip4/0.0.0.0/tcp/7701`; port 0 takes a free one. */
  readonly listen: readonly string[]
  readonly log: Log
  readonly clock: Clock
  /** How often gossip streams are looked after, milliseconds. @default 1000 */
  readonly watchIntervalMs?: number
}

/** A transport that is not started yet: no socket is open. @throws TuttiError `invalid` on a malformed address. */
export const createLibp2pTransport = async (options: Libp2pTransportOptions): Promise<Transport> => {
  const admission = new Admission()
  const topic = gossipTopic(options.cluster)
  try {
    const node = await createPeerNode({
      ...options,
      topic,
      askProtocol: askProtocol(options.cluster),
      admission,
    })
    return new Libp2pTransport(options, node, admission)
  } catch (cause) {
    throw new TuttiError(
      'invalid',
      `cannot set up the network: ${messageOf(cause)}; check --listen (for example /ip4/0.0.0.0/tcp/7701)`,
      { cause },
    )
  }
}

/** What exists between start and stop. */
interface Running {
  readonly events: TransportEvents
  readonly links: Links
  readonly gossip: Gossip
  readonly guests: Guests
}

class Libp2pTransport implements Transport {
  readonly self: MemberId
  readonly #options: Libp2pTransportOptions
  readonly #node: PeerNode
  readonly #admission: Admission
  readonly #senders = new Map<string, ChannelSender>()
  readonly #dials = new Map<MemberId, Promise<boolean>>()
  #running: Running | null = null
  #cancelWatch: () => void = () => undefined

  constructor(options: Libp2pTransportOptions, node: PeerNode, admission: Admission) {
    this.#options = options
    this.#node = node
    this.#admission = admission
    this.self = memberOf(node.peerId)
  }

  async start(events: TransportEvents): Promise<void> {
    const { clock, cluster, log, listen } = this.#options
    const node = this.#node
    const isMember = (id: MemberId): boolean => this.#admission.isMember(id)
    const links = new Links({
      self: this.self,
      admission: this.#admission,
      clock,
      log,
      probe: (connection, signal) => node.services.identify.identify(connection, { signal }),
      connected: (member) => events.connected(member),
      disconnected: (member, silent) => this.#disconnected(events, member, silent),
    })
    const gossip = new Gossip({
      node,
      topic: gossipTopic(cluster),
      links,
      log,
      isMember,
      judge: (from, bytes) => events.gossip(from, bytes),
    })
    const guests = new Guests(clock, log, (invite, body) => events.join(invite, body))
    this.#running = { events, links, gossip, guests }
    node.addEventListener('connection:open', this.#onConnection)
    await this.#handle(this.#running)
    try {
      await node.start()
    } catch (cause) {
      this.#running = null
      throw new TuttiError(
        'conflict',
        `cannot listen on ${listen.join(', ')}: ${reasonOf(cause)}; choose another --listen`,
        {
          cause,
        },
      )
    }
    gossip.start()
    this.#watch(gossip)
  }

  async stop(): Promise<void> {
    const running = this.#running
    if (running === null) return
    this.#running = null
    this.#cancelWatch()
    this.#node.removeEventListener('connection:open', this.#onConnection)
    running.links.stop()
    running.guests.stop()
    for (const sender of this.#senders.values()) sender.stop()
    this.#senders.clear()
    await this.#node.stop()
  }

  addresses(): readonly string[] {
    return announcedAddresses(this.#node.getMultiaddrs().map(String)).flatMap((address) => {
      const complete = addressFor(this.self, address)
      return complete === null ? [] : [complete]
    })
  }

  setMembers(members: ReadonlySet<MemberId>): void {
    for (const gone of this.#admission.setMembers(members)) {
      this.#running?.links.cut(gone, 'no longer a member')
      this.#dropSenders(gone)
    }
  }

  setInvites(invites: ReadonlySet<MemberId>): void {
    for (const gone of this.#admission.setInvites(invites)) this.#running?.guests.cut(gone)
  }

  dial(member: MemberId, addresses: readonly string[]): Promise<boolean> {
    const running = this.#running
    if (running === null || member === this.self || !this.#admission.isMember(member))
      return Promise.resolve(false)
    if (running.links.isConnected(member)) return Promise.resolve(true)
    const underWay = this.#dials.get(member)
    if (underWay !== undefined) return underWay
    const dial = this.#dial(running, member, addresses).finally(() => this.#dials.delete(member))
    this.#dials.set(member, dial)
    return dial
  }

  disconnect(member: MemberId): void {
    this.#running?.links.cut(member, 'disconnected')
    this.#dropSenders(member)
  }

  connections(): ReadonlySet<MemberId> {
    return this.#running?.links.connectedMembers() ?? new Set()
  }

  send(to: MemberId, channel: Channel, bytes: Uint8Array): boolean {
    const links = this.#running?.links
    if (links === undefined || !links.isConnected(to)) return false
    const key = senderKey(to, channel)
    let sender = this.#senders.get(key)
    if (sender === undefined) {
      sender = new ChannelSender({
        protocol: channelProtocol(this.#options.cluster, channel),
        limits: CHANNEL_LIMITS[channel],
        connection: () => links.best(to),
        log: this.#options.log,
      })
      this.#senders.set(key, sender)
    }
    return sender.send(bytes)
  }

  publish(bytes: Uint8Array): void {
    this.#running?.gossip.publish(bytes)
  }

  async *request(
    to: MemberId,
    method: string,
    body: Uint8Array,
    options: RequestOptions,
  ): AsyncGenerator<Uint8Array, void, void> {
    const running = this.#running
    if (running !== null && !running.links.isConnected(to)) {
      await unlessAborted(this.dial(to, options.addresses ?? []), options.signal)
    }
    if (options.signal.aborted) throw new TuttiError('timeout', `the peer did not answer '${method}' in time`)
    const connection = running?.links.best(to)
    if (connection === undefined) throw new TuttiError('unreachable', `there is no connection to ${to}`)
    const question = { to, method, body, input: options.input ?? null }
    yield* askOver(connection, askProtocol(this.#options.cluster), question, options.signal)
  }

  /** Registers the protocols. Each handler meets members over proven connections only, except join's. */
  async #handle(running: Running): Promise<void> {
    const { cluster, log } = this.#options
    const { events, links, guests } = running
    const forMembers =
      (serve: (from: MemberId, stream: Stream) => Promise<void>): StreamHandler =>
      async (stream: Stream, connection: Connection) => {
        const from = memberOf(connection.remotePeer)
        if (!this.#admission.isMember(from) || !(await links.isProven(connection)))
          throw new Error('not a member')
        await serve(from, stream)
      }
    for (const channel of ['beat', 'sync'] as const) {
      const receive = forMembers(async (from, stream) => {
        const deliver = (bytes: Uint8Array): void => {
          if (this.#running === running) events.message(from, channel, bytes)
        }
        try {
          await receiveChannel(stream, CHANNEL_LIMITS[channel], () => this.#admission.isMember(from), deliver)
        } catch (thrown) {
          if (thrown instanceof TuttiError)
            log.log('warn', 'a channel was ended', { from, channel, reason: thrown.message })
          throw thrown
        }
      })
      await this.#node.handle(channelProtocol(cluster, channel), receive, {
        maxInboundStreams: CHANNEL_STREAMS_MAX,
      })
    }
    const asks = new AskServer(
      (from, method, body, signal, input) => events.request(from, method, body, signal, input),
      log,
    )
    await this.#node.handle(
      askProtocol(cluster),
      forMembers((from, stream) => asks.serve(from, stream)),
      // One more than a member may ask, so that the excess gets its sentence instead of a reset.
      { maxInboundStreams: ASKS_PER_MEMBER_MAX + 1 },
    )
    const admitGuest: StreamHandler = async (stream, connection) => {
      if (!this.#admission.isGuest(memberOf(connection.remotePeer))) throw new Error('not a newcomer')
      await guests.serve(stream, connection)
    }
    await this.#node.handle(JOIN_PROTOCOL, admitGuest, { maxInboundStreams: 1 })
  }

  readonly #onConnection = (event: CustomEvent<Connection>): void => {
    const connection = event.detail
    const running = this.#running
    const peer = memberOf(connection.remotePeer)
    // Asked again: the sets may have changed while the handshake ran.
    if (running !== null && this.#admission.isMember(peer)) running.links.opened(connection)
    else if (running !== null && this.#admission.isGuest(peer)) running.guests.opened(connection)
    else connection.abort(new Error('not a member'))
  }

  #disconnected(events: TransportEvents, member: MemberId, silent: boolean): void {
    this.#dropSenders(member)
    events.disconnected(member, silent)
  }

  async #dial(running: Running, member: MemberId, addresses: readonly string[]): Promise<boolean> {
    const dialled = addresses
      .flatMap((address) => addressFor(member, address) ?? [])
      .slice(0, ADDRESSES_DIALLED_MAX)
    if (dialled.length === 0) return false
    const signal = AbortSignal.timeout(DIAL_TIMEOUT_MS)
    try {
      const connection = await dialFirst(this.#node, dialled, signal)
      await unlessAborted(running.links.isProven(connection), signal)
    } catch (thrown) {
      this.#options.log.log('debug', 'a member could not be dialled', { member, reason: messageOf(thrown) })
    }
    // Not the attempt's own outcome: the member may have dialled us meanwhile.
    return running.links.isConnected(member)
  }

  #dropSenders(member: MemberId): void {
    for (const channel of ['beat', 'sync'] as const) {
      const key = senderKey(member, channel)
      this.#senders.get(key)?.stop()
      this.#senders.delete(key)
    }
  }

  #watch(gossip: Gossip): void {
    const { clock, watchIntervalMs } = this.#options
    this.#cancelWatch = clock.after(watchIntervalMs ?? WATCH_INTERVAL_MS, () => {
      gossip.watch()
      this.#watch(gossip)
    })
  }
}

/** Resolves with the work, or as soon as the signal fires. */
const unlessAborted = (work: Promise<unknown>, signal: AbortSignal): Promise<unknown> => {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const leave = (): void => resolve(undefined)
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}

/** libp2p wraps the reasons for a failed listen in an aggregate, or in one text of advice, messages and stacks. */
const reasonOf = (thrown: unknown): string => {
  const text =
    thrown instanceof AggregateError && thrown.errors.length > 0
      ? thrown.errors.map(messageOf).join('\n')
      : messageOf(thrown)
  const lines = text.split('\n').filter((line) => !/^\s+at /.test(line))
  const reasons = lines.flatMap((line) => /\bError: (.+)$/.exec(line)?.[1] ?? [])
  return [...new Set(reasons.length > 0 ? reasons : lines.slice(0, 1))].join('; ')
}

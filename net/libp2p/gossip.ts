// Gossip over gossipsub: one topic per cluster, verdicts mapped, sizes and pending verdicts bounded; and the watchdog
// over its streams. Gossipsub keeps one outbound stream per peer and never reopens it when it dies while another
// connection lives, and it forgets a peer's subscription when any inbound stream of it fails: either leaves a member deaf
// for good. Every second the watchdog looks for that: it runs identify again (which makes gossipsub open a stream), or
// resets the other side's stream (whose watchdog then opens a new one, and subscribes on it).

import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { Connection } from '@libp2p/interface'
import { unreachable } from '../../lib/assert.ts'
import { messageOf } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Log } from '../../lib/log.ts'
import type { GossipVerdict } from '../transport.ts'
import { memberOf } from './admission.ts'
import type { Links } from './links.ts'
import type { PeerNode } from './node.ts'
import { DEAF_TICKS_HOPELESS, DEAF_TICKS_MAX, PROBE_TIMEOUT_MS, VERDICTS_PENDING_MAX } from './wire.ts'

export interface GossipOptions {
  readonly node: PeerNode
  readonly topic: string
  readonly links: Links
  readonly log: Log
  readonly isMember: (id: MemberId) => boolean
  readonly judge: (from: MemberId, bytes: Uint8Array) => Promise<GossipVerdict> | GossipVerdict
}

export class Gossip {
  readonly #options: GossipOptions
  readonly #deafTicks = new Map<MemberId, number>()
  #verdictsPending = 0

  constructor(options: GossipOptions) {
    this.#options = options
  }

  start(): void {
    const { node, topic } = this.#options
    node.services.pubsub.topicValidators.set(topic, (from, message) =>
      this.#validate(memberOf(from), message.data),
    )
    node.services.pubsub.subscribe(topic)
  }

  /** Best effort; never throws. */
  publish(bytes: Uint8Array): void {
    const { node, topic, log } = this.#options
    if (bytes.length > LIMITS.gossipBytesMax) {
      log.log('error', 'a message is too large to be gossiped', { bytes: bytes.length })
      return
    }
    node.services.pubsub.publish(topic, bytes).catch((thrown: unknown) => {
      log.log('debug', 'gossip was not published', { reason: messageOf(thrown) })
    })
  }

  /** One look at every connected member's gossip streams. */
  watch(): void {
    const { links, node, topic } = this.#options
    const subscribers = new Set(node.services.pubsub.getSubscribers(topic).map(memberOf))
    const connected = links.connectedMembers()
    for (const member of this.#deafTicks.keys()) if (!connected.has(member)) this.#deafTicks.delete(member)
    for (const member of connected) {
      const speaks = links
        .connectionsOf(member)
        .some((connection) => meshStreams(connection, 'outbound').length > 0)
      if (speaks && subscribers.has(member)) this.#deafTicks.delete(member)
      else this.#deaf(member, speaks)
    }
  }

  #deaf(member: MemberId, speaks: boolean): void {
    const { links, log, node } = this.#options
    const ticks = (this.#deafTicks.get(member) ?? 0) + 1
    this.#deafTicks.set(member, ticks)
    if (ticks >= DEAF_TICKS_HOPELESS) {
      log.log('warn', 'gossip with a member cannot be repaired; its connections are cut', { member })
      links.cut(member, 'gossip is deaf')
      return
    }
    if (ticks % DEAF_TICKS_MAX !== 0) return
    log.log('info', 'gossip with a member went deaf; repairing', { member, ticks })
    if (speaks) {
      for (const connection of links.connectionsOf(member)) {
        for (const stream of meshStreams(connection, 'inbound')) stream.abort(new Error('gossip is deaf'))
      }
    }
    const connection = links.best(member)
    if (connection === undefined) return
    node.services.identify
      .identify(connection, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
      .catch((thrown: unknown) => {
        log.log('debug', 'identify did not answer', { member, reason: messageOf(thrown) })
      })
  }

  async #validate(from: MemberId, data: Uint8Array): Promise<TopicValidatorResult> {
    if (!this.#options.isMember(from)) return TopicValidatorResult.Ignore
    if (data.length > LIMITS.gossipBytesMax) return TopicValidatorResult.Reject
    if (this.#verdictsPending >= VERDICTS_PENDING_MAX) return TopicValidatorResult.Ignore
    this.#verdictsPending += 1
    try {
      // A copy: the data is a view of the whole RPC's buffer, and would keep it alive.
      return resultOf(await this.#options.judge(from, new Uint8Array(data)))
    } catch (thrown) {
      this.#options.log.log('error', 'judging gossip failed', { from, reason: messageOf(thrown) })
      return TopicValidatorResult.Ignore
    } finally {
      this.#verdictsPending -= 1
    }
  }
}

const meshStreams = (connection: Connection, direction: 'inbound' | 'outbound') =>
  connection.streams.filter(
    (stream) =>
      stream.direction === direction &&
      stream.status === 'open' &&
      // A stream that gossipsub closed stays open until the other side closes it too, and carries nothing any more.
      (direction === 'inbound' || stream.writeStatus === 'writable') &&
      stream.protocol.startsWith('/meshsub/'),
  )

const resultOf = (verdict: GossipVerdict): TopicValidatorResult => {
  switch (verdict) {
    case 'accept':
      return TopicValidatorResult.Accept
    case 'ignore':
      return TopicValidatorResult.Ignore
    case 'reject':
      return TopicValidatorResult.Reject
    default:
      return unreachable(verdict)
  }
}

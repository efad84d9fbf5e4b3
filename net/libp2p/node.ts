// Builds the libp2p node of a peer: TCP, Noise, Yamux, identify, gossipsub and nothing else. Every option that differs
// from libp2p's default says why. Deliberately absent: libp2p's ping and connection monitor (a fresh stream per ping
// costs ten times a heartbeat, and a busy event loop makes it cut healthy connections), its address book and its
// reconnecting (both give up; the caller dials), and everything that discovers or relays.

import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { gossipsub, StrictNoSign, type GossipSub } from '@libp2p/gossipsub'
import { createTopicScoreParams } from '@libp2p/gossipsub/score'
import { identify, type Identify } from '@libp2p/identify'
import type {
  ConnectionGater,
  Libp2p,
  MessageStream,
  ServiceMap,
  StreamMuxerFactory,
} from '@libp2p/interface'
import { quickNoise } from './quick-noise.ts'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2pInit } from 'libp2p'
import { sha256 } from '../../lib/hash.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Admission } from './admission.ts'
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_HOST_MAX,
  DIAL_TIMEOUT_MS,
  JOIN_DIAL_TIMEOUT_MS,
  GOSSIP_BUFFER_BYTES_MAX,
  HANDSHAKES_MAX,
  OPEN_TIMEOUT_MS,
  PROBE_TIMEOUT_MS,
  SOCKET_QUEUED_BYTES,
  STREAM_WINDOW_BYTES_MAX,
} from './wire.ts'

export interface PeerServices extends ServiceMap {
  readonly identify: Identify
  readonly pubsub: GossipSub
}

export type PeerNode = Libp2p<PeerServices>

/**
 * Yamux that drops what it is told to send on a closed connection. Its own sends throw there, one of them in a microtask
 * of its own: a stream opened in the very turn in which its connection ends would take the whole process down.
 */
const carefulYamux = (): StreamMuxerFactory => {
  const factory = yamux({
    // Its pings, one to every connection each half minute, ask what nobody wants to know: beats and anti-entropy use the
    // connections often enough.
    enableKeepAlive: false,
    streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES_MAX },
  })()
  return {
    protocol: factory.protocol,
    createStreamMuxer: (stream: MessageStream) => {
      const send = stream.send.bind(stream)
      stream.send = (data) => {
        try {
          return send(data)
        } catch {
          // Whoever waits for an answer learns of the end by the stream's close event, which comes or has come.
          return true
        }
      }
      const muxer = factory.createStreamMuxer(stream)
      const create = muxer.createStream.bind(muxer)
      muxer.createStream = async (options) => lazily(await create(options))
      // Not by the event: a first listener would be handed the streams that libp2p has yet to ask for.
      const welcome = muxer.onRemoteStream.bind(muxer)
      muxer.onRemoteStream = (arrived) => welcome(lazily(arrived))
      return muxer
    },
  }
}

/** What of js-yamux's stream is private; the version is pinned, and a missing part changes nothing. */
interface YamuxInside {
  readonly state?: number
  readonly recvWindow?: number
  readonly recvWindowCapacity?: number
  sendWindowUpdate?: () => void
}

/** js-yamux's StreamState.Established, which it does not export. */
const ESTABLISHED = 3

/**
 * Makes a stream announce its receive window when half of it is used, as the yamux of Go does; js-yamux announces it after
 * every frame, which doubles the packets of a connection that carries heartbeats.
 */
const lazily = <S extends object>(stream: S): S => {
  const inside = stream as unknown as YamuxInside
  const update = inside.sendWindowUpdate?.bind(stream)
  if (update === undefined) return stream
  inside.sendWindowUpdate = () => {
    const { state, recvWindow = 0, recvWindowCapacity = 0 } = inside
    if (state !== ESTABLISHED || recvWindowCapacity * 2 <= recvWindow) update()
  }
  return stream
}

/** Node.js takes all of them; libp2p's types name the first. */
const SOCKET_OPTIONS = { noDelay: true, highWaterMark: SOCKET_QUEUED_BYTES }

/** What a full peer and a newcomer's short-lived node have in common. */
const baseOptions = async (seed: Uint8Array, gater: ConnectionGater) =>
  ({
    privateKey: await generateKeyPairFromSeed('Ed25519', seed),
    connectionGater: gater,
    transports: [tcp({ dialOpts: SOCKET_OPTIONS, listenOpts: SOCKET_OPTIONS })],
    connectionEncrypters: [quickNoise()],
    streamMuxers: [carefulYamux],
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      maxIncomingPendingConnections: HANDSHAKES_MAX,
      inboundConnectionThreshold: CONNECTIONS_PER_HOST_MAX,
      dialTimeout: DIAL_TIMEOUT_MS,
      // A stranger that connects and says nothing holds a place among the handshakes this long.
      inboundUpgradeTimeout: JOIN_DIAL_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: OPEN_TIMEOUT_MS,
      outboundStreamProtocolNegotiationTimeout: OPEN_TIMEOUT_MS,
      // A graceful close waits this long for a peer that does not take its last bytes.
      connectionCloseTimeout: PROBE_TIMEOUT_MS,
    },
    // Told to members only (identify is guarded); libp2p's default would name its own version.
    nodeInfo: { name: 'tutti', version: '1', userAgent: 'tutti' },
  }) satisfies Libp2pInit

/** A peer's node, not started yet. `listen` are multiaddrs. */
export const createPeerNode = async (options: {
  readonly seed: Uint8Array
  readonly listen: readonly string[]
  readonly topic: string
  /** Of questions between members. */
  readonly askProtocol: string
  readonly admission: Admission
}): Promise<PeerNode> => {
  const { admission } = options
  const node = await createLibp2p<PeerServices>({
    start: false,
    ...(await baseOptions(options.seed, admission.gater())),
    addresses: { listen: [...options.listen] },
    services: {
      // Run by links.ts on connections of members only: gossipsub learns of a peer through identify alone.
      identify: (components) =>
        identify({
          runOnConnectionOpen: false,
          timeout: PROBE_TIMEOUT_MS,
          maxInboundStreams: 4,
          maxOutboundStreams: 4,
        })({
          ...identifyParts(components),
          registrar: admission.guarded(components.registrar),
        }),
      pubsub: (components) =>
        gossipsub(gossipOptions(options.topic, admission))({
          privateKey: components.privateKey,
          peerId: components.peerId,
          peerStore: components.peerStore,
          connectionManager: components.connectionManager,
          logger: components.logger,
          registrar: admission.guarded(components.registrar),
        }),
    },
  })
  forgetQuestions(node, options.askProtocol)
  return node
}

/**
 * libp2p notes the protocol of every stream with its peer, a locked read and write of its address book, on both sides; here a
 * stream is a question, of which a package takes hundreds. So a question's protocol is not noted: nothing asks for it.
 */
const forgetQuestions = ({ peerStore }: PeerNode, protocol: string): void => {
  const merge = peerStore.merge.bind(peerStore)
  peerStore.merge = async (id, news, options) => {
    const { protocols = [], ...others } = news
    const isQuestion = protocols.length === 1 && protocols[0] === protocol && Object.keys(others).length === 0
    if (!isQuestion) return await merge(id, news, options)
    return { id, addresses: [], protocols: [], metadata: new Map(), tags: new Map() }
  }
}

/** A newcomer's node: dials with the key of its ticket, listens nowhere, offers nothing. Not started yet. */
export const createNewcomerNode = async (ticketSeed: Uint8Array): Promise<Libp2p> =>
  createLibp2p({
    start: false,
    ...(await baseOptions(ticketSeed, {
      denyDialMultiaddr: () => false,
      denyInboundConnection: () => true,
    })),
    addresses: { listen: [] },
  })

type IdentifyParts = Parameters<ReturnType<typeof identify>>[0]

// libp2p's component bag is a proxy that cannot be spread.
const identifyParts = (components: IdentifyParts): IdentifyParts => ({
  peerId: components.peerId,
  privateKey: components.privateKey,
  peerStore: components.peerStore,
  registrar: components.registrar,
  addressManager: components.addressManager,
  events: components.events,
  logger: components.logger,
  nodeInfo: components.nodeInfo,
})

const gossipOptions = (
  topic: string,
  admission: Admission,
): NonNullable<Parameters<typeof gossipsub>[0]> => ({
  // Records carry their author's signature; signing each hop's copy again is a third of gossip's CPU.
  globalSignaturePolicy: StrictNoSign,
  // Equal payloads are equal records: one verdict serves all copies.
  msgIdFn: (message) => sha256(message.data),
  allowedTopics: [topic],
  allowPublishToZeroTopicPeers: true,
  ignoreDuplicatePublishError: true,
  fallbackToFloodsub: false,
  // The mesh carries a message to everyone; flooding sends each one to all subscribers at once.
  floodPublish: false,
  // A thinner mesh than the default of 6: every copy costs the receiver a decryption, and anti-entropy covers a gap.
  D: 4,
  Dlo: 3,
  Dhi: 8,
  Dout: 1,
  batchPublish: true,
  // Tags are for libp2p's own pruning and redialling, which are not used.
  tagMeshPeers: false,
  maxOutboundBufferSize: GOSSIP_BUFFER_BYTES_MAX,
  // Not below 4 MiB: a correct peer answers IWANT with RPCs up to that size.
  maxInboundDataLength: 4 * 1024 * 1024,
  scoreParams: {
    // Several peers behind one address (a NAT, one machine) are normal here; the default graylists them all.
    IPColocationFactorWeight: 0,
    // A broken IWANT promise is a busy or a frozen machine, not an enemy.
    behaviourPenaltyWeight: 0,
    // Never met thanks to the guarded registrar; if it is met after all, it gets nothing.
    appSpecificScore: (id) => (admission.isMember(id as MemberId) ? 0 : -1_000_000),
    // Long enough that reconnecting does not launder a member's score, short enough to be bounded.
    retainScore: 60_000,
    topics: {
      [topic]: createTopicScoreParams({
        topicWeight: 1,
        // Squared and forgotten at 10 % a second: ten rejected messages at a stroke silence a member for some seconds
        // (graylist at -80), a single one hardly matters. The only thing that is scored: peers of one cluster are
        // not rivals.
        invalidMessageDeliveriesWeight: -1,
        invalidMessageDeliveriesDecay: 0.9,
        timeInMeshWeight: 0,
        timeInMeshQuantum: 1000,
        firstMessageDeliveriesWeight: 0,
        meshMessageDeliveriesWeight: 0,
        meshFailurePenaltyWeight: 0,
      }),
    },
  },
})

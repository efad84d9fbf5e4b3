// Names and numbers of the wire: protocol ids, the gossip topic, and every limit and deadline of the libp2p transport,
// each with its reason. Limits that the document shares with the wire are in lib/limits.ts. No logic.

import { LIMITS } from '../../lib/limits.ts'
import type { ClusterId } from '../../lib/ids.ts'
import type { Channel } from '../transport.ts'

/** The version of everything below; peers that speak different ones share no stream. */
const WIRE_VERSION = '1'

/** Protocols carry the cluster, so that a machine that once belonged to two clusters never mixes them. */
export const channelProtocol = (cluster: ClusterId, channel: Channel): string =>
  `/tutti/${WIRE_VERSION}/${cluster}/${channel}`

export const askProtocol = (cluster: ClusterId): string => `/tutti/${WIRE_VERSION}/${cluster}/ask`

/** Without the cluster: only a key that this cluster's own ticket holds gets far enough to speak it. */
export const JOIN_PROTOCOL = `/tutti/${WIRE_VERSION}/join`

export const gossipTopic = (cluster: ClusterId): string => `tutti/${WIRE_VERSION}/${cluster}`

export interface ChannelLimits {
  /** One message, in bytes; a longer frame ends the stream it came on. */
  readonly messageBytesMax: number
  /** Waiting messages; `send` returns false beyond them, the newest is the one that is dropped. */
  readonly queuedMax: number
  /** Waiting bytes; the first message is always taken. */
  readonly queuedBytesMax: number
}

export const CHANNEL_LIMITS: Readonly<Record<Channel, ChannelLimits>> = {
  // A heartbeat is some ten bytes. A queue of 64 is over ten seconds of them: older ones say nothing any more.
  beat: { messageBytesMax: 4096, queuedMax: 64, queuedBytesMax: 64 * 1024 },
  // Two of the largest messages may wait, so that one slow member costs at most 8 MiB; a round of anti-entropy that
  // does not fit is repeated anyway.
  sync: {
    messageBytesMax: LIMITS.messageBytesMax,
    queuedMax: 1024,
    queuedBytesMax: 2 * LIMITS.messageBytesMax,
  },
}

/** Inbound streams of one channel on one connection: the live one, one being handed over, and as many again for races. */
export const CHANNEL_STREAMS_MAX = 4

/** Questions that one member may have open here: dashboards and log followers, each a stream. */
export const ASKS_PER_MEMBER_MAX = 32
/** Questions open here in all, so that no fan-out of a fleet can take the memory of one peer (S14). */
export const ASKS_MAX = 256
/** A question: method and body. Answers may be long, questions are short. */
export const ASK_BYTES_MAX = 64 * 1024
/** What a question's reader may lag behind before its stream is paused. */
export const UNREAD_BYTES_MAX = 1024 * 1024

/** Newcomers that are connected at once: a fleet of 200 that a script joins. Each holds a ticket's key already. */
export const GUESTS_MAX = 256
/** A newcomer's connection and handshake. Longer than a member's: a peer that admits a whole fleet at once is busy. */
export const JOIN_DIAL_TIMEOUT_MS = 8000
/** A newcomer's whole stay: one exchange with one durable edit in it, with room for a slow disk. */
export const GUEST_STAY_MS = 10_000
/** A join request: a member id, a name, a signature, labels. */
export const JOIN_REQUEST_BYTES_MAX = 16 * 1024

/** All attempts to reach one member: a LAN answers in milliseconds, and the caller redials endlessly anyway. */
export const DIAL_TIMEOUT_MS = 3000
/** Pause between two addresses tried side by side (RFC 8305 §5, the recommended connection attempt delay). */
export const ADDRESS_STAGGER_MS = 250
/** Addresses of one member that a dial tries: a machine has a few, a longer list is a mistake or an attack. */
export const ADDRESSES_DIALLED_MAX = 16
/** One round trip that proves a connection alive: beyond that, a beat would long have been missed. */
export const PROBE_TIMEOUT_MS = 2000
/** Opening a stream: one round trip. As long as a dial, for the same reason. */
export const OPEN_TIMEOUT_MS = 3000
/** How long a duplicate connection stays after its successor is chosen: what is in flight on it arrives meanwhile. */
export const DUPLICATE_GRACE_MS = 1000

/** How often gossip streams are looked after; a deaf one is repaired after `DEAF_TICKS_MAX` looks. @see watchdog.ts */
export const WATCH_INTERVAL_MS = 1000
/** A stream being opened is not deaf: three looks leave it two to three seconds. */
export const DEAF_TICKS_MAX = 3
/** When four repairs did not help, the connection itself is cut: a fresh one starts from nothing. */
export const DEAF_TICKS_HOPELESS = 15

/** Gossip whose verdict is awaited; more are ignored, anti-entropy brings them. A second's worth of a very busy fleet. */
export const VERDICTS_PENDING_MAX = 512
/** Gossip that waits for one slow member; beyond it its stream is reset, and reopened by the watchdog. One full RPC. */
export const GOSSIP_BUFFER_BYTES_MAX = 4 * 1024 * 1024

/** Connections in all: the members, their duplicates, and guests. */
export const CONNECTIONS_MAX = 2 * LIMITS.membersMax
/** Handshakes under way: a whole fleet that restarts at once, as it looks from one peer. */
export const HANDSHAKES_MAX = 256
/** New connections a second from one address: a fleet behind one NAT, or many peers on one machine. */
export const CONNECTIONS_PER_HOST_MAX = 256
/** Received but unread bytes of one stream: grows with use, and stays below libp2p's 4 MiB read buffer. */
export const STREAM_WINDOW_BYTES_MAX = 2 * 1024 * 1024
/**
 * Waits in the peer for the kernel to take it, of one connection: four of Noise's frames, so that a busy connection writes a few
 * at a time, and no more, since a beat waits behind them.
 */
export const SOCKET_QUEUED_BYTES = 256 * 1024

// The two message channels: one persistent stream per member, channel and direction, opened by its sender when there is
// something to send. A stream that dies is opened anew; when a better connection shows up the sender ends the old stream
// and waits until the receiver has read it all, so that the order holds across the change. Queues are bounded: `send`
// answers false and drops the newest. Deliberately absent: retries. What was on its way when a stream died is lost.

import type { Connection, Stream } from '@libp2p/interface'
import { messageOf } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import { framesOf, sendFrame } from './frames.ts'
import { type ChannelLimits, DUPLICATE_GRACE_MS, OPEN_TIMEOUT_MS } from './wire.ts'

export interface SenderOptions {
  readonly protocol: string
  readonly limits: ChannelLimits
  /** The connection to use now; undefined: there is none. */
  readonly connection: () => Connection | undefined
  readonly log: Log
}

/** Sends one member's messages on one channel. */
export class ChannelSender {
  readonly #options: SenderOptions
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #stream: Stream | null = null
  #over: Connection | null = null
  #pumping = false
  #stopped = false

  constructor(options: SenderOptions) {
    this.#options = options
  }

  /** False when there is no connection, the message is too long, or the queue is full. */
  send(message: Uint8Array): boolean {
    const { limits, connection } = this.#options
    if (this.#stopped || connection() === undefined || message.length > limits.messageBytesMax) return false
    const full =
      this.#queue.length >= limits.queuedMax || this.#queuedBytes + message.length > limits.queuedBytesMax
    if (full && this.#queue.length > 0) return false
    this.#queue.push(message)
    this.#queuedBytes += message.length
    if (!this.#pumping) void this.#pump()
    return true
  }

  /** Drops what waits and ends the stream. */
  stop(): void {
    this.#stopped = true
    this.#clear()
    this.#stream?.abort(new Error('the channel is closed'))
  }

  /** Sends until the queue is empty. One runs at a time; never rejects. */
  async #pump(): Promise<void> {
    this.#pumping = true
    try {
      for (;;) {
        const stream = await this.#ready()
        const message = this.#queue.shift()
        if (message === undefined) break
        this.#queuedBytes -= message.length
        await sendFrame(stream, message)
      }
    } catch (thrown) {
      // The stream or its opening failed. The connection is most likely gone too; what waited is dropped, so that
      // nothing old is delivered whenever it comes back.
      this.#options.log.log('debug', 'channel stream ended', { reason: messageOf(thrown) })
      this.#clear()
    } finally {
      this.#pumping = false
    }
  }

  async #ready(): Promise<Stream> {
    const connection = this.#options.connection()
    if (this.#stopped || connection === undefined) throw new Error('there is no connection')
    const present = this.#stream
    if (present !== null && present.writeStatus === 'writable') {
      if (this.#over === connection) return present
      await drained(present)
    }
    this.#over = connection
    this.#stream = null
    const stream = await connection.newStream(this.#options.protocol, {
      signal: AbortSignal.timeout(OPEN_TIMEOUT_MS),
    })
    this.#stream = stream
    if (this.#stopped) stream.abort(new Error('the channel is closed'))
    return stream
  }

  #clear(): void {
    this.#queue.length = 0
    this.#queuedBytes = 0
  }
}

/** Ends a stream and waits until the receiver has read it to its end and closed its side, for at most a grace. */
const drained = async (stream: Stream): Promise<void> => {
  const signal = AbortSignal.timeout(DUPLICATE_GRACE_MS)
  const closed = new Promise<void>((resolve) => {
    stream.addEventListener('close', () => resolve(), { once: true })
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  try {
    await stream.close({ signal })
    await closed
  } catch {
    // It broke instead of ending: what was on it is lost either way.
  }
  if (stream.status === 'open' || stream.status === 'closing') stream.abort(new Error('the channel moved'))
}

/**
 * Hands a stream's messages over until it ends. A malformed frame ends the stream and nothing else.
 * `admitted` is asked before each message: a removed member's last words are not heard.
 */
export const receiveChannel = async (
  stream: Stream,
  limits: ChannelLimits,
  admitted: () => boolean,
  deliver: (message: Uint8Array) => void,
): Promise<void> => {
  for await (const message of framesOf(stream, limits.messageBytesMax)) {
    if (!admitted()) throw new Error('not a member')
    deliver(message)
  }
  // The sender waits for this when it moves to another connection.
  await stream.close({ signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) })
}

/** A key for maps of senders. */
export const senderKey = (member: MemberId, channel: string): string => `${channel}/${member}`

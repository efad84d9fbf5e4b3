// Frames on a stream: a length (lib/bytes varint) and that many bytes. The decoder takes chunks as they arrive, checks
// a length against its limit before it allocates, and copies, since the chunks may be views of a shared buffer
// pool. Deliberately absent: what a frame means.

import type { Stream } from '@libp2p/interface'
import { assert } from '../../lib/assert.ts'
import { ByteWriter, concatBytes } from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'
import { UNREAD_BYTES_MAX } from './wire.ts'

/** A payload, given in pieces, with its length before it: one allocation, and one copy of each piece. */
export const frameOf = (...pieces: readonly Uint8Array[]): Uint8Array => {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return concatBytes([new ByteWriter().varint(length).finish(), ...pieces])
}

// A length of four seven-bit groups reaches 256 MiB, far above every limit here.
const LENGTH_BYTES_MAX = 4

/** Turns chunks into frames. After a throw it is of no use any more: the stream has lost its place. */
export class FrameDecoder {
  readonly #lengthMax: number
  #length = 0
  #lengthBytes = 0
  #body: Uint8Array | null = null
  #filled = 0

  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax
  }

  /** Whether a frame has begun and not ended: a stream that ends here was cut. */
  get midway(): boolean {
    return this.#body !== null || this.#lengthBytes > 0
  }

  /** The frames that `chunk` completes. @throws TuttiError `invalid` or `too-large`. */
  push(chunk: Uint8Array): Uint8Array[] {
    const frames: Uint8Array[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#body === null) {
        const byte = chunk[at] ?? 0
        at += 1
        this.#header(byte)
      } else {
        const taken = chunk.subarray(at, at + this.#body.length - this.#filled)
        this.#body.set(taken, this.#filled)
        this.#filled += taken.length
        at += taken.length
      }
      if (this.#body !== null && this.#filled === this.#body.length) {
        frames.push(this.#body)
        this.#body = null
      }
    }
    return frames
  }

  #header(byte: number): void {
    this.#length += (byte & 0x7f) * 0x80 ** this.#lengthBytes
    this.#lengthBytes += 1
    if (byte >= 0x80) {
      if (this.#lengthBytes === LENGTH_BYTES_MAX) throw new TuttiError('invalid', 'frame length is too long')
      return
    }
    if (byte === 0 && this.#lengthBytes > 1)
      throw new TuttiError('invalid', 'frame length is not in its shortest form')
    if (this.#length > this.#lengthMax)
      throw new TuttiError('too-large', `frame of ${this.#length} bytes exceeds ${this.#lengthMax}`)
    this.#body = new Uint8Array(this.#length)
    this.#filled = 0
    this.#length = 0
    this.#lengthBytes = 0
  }
}

/**
 * The frames of a stream until the other side ends it. Reading slower than they arrive pauses the stream, so at most a
 * window and `UNREAD_BYTES_MAX` wait in memory. @throws what broke the stream, or TuttiError on a malformed frame.
 */
export async function* framesOf(stream: Stream, lengthMax: number): AsyncGenerator<Uint8Array, void, void> {
  const inbox = new Inbox(stream, lengthMax)
  try {
    for (;;) {
      const frame = inbox.take()
      if (frame !== undefined) yield frame
      else if (inbox.ended) return
      else await inbox.changed()
    }
  } finally {
    inbox.close()
  }
}

/** Sends one frame and waits until the stream takes more. @throws when the stream is closed, or `signal` fires. */
export const sendFrame = async (stream: Stream, payload: Uint8Array, signal?: AbortSignal): Promise<void> =>
  sendPieces(stream, [payload], signal)

/** The same for a frame whose payload is in pieces, which need not be put together first. */
export const sendPieces = async (
  stream: Stream,
  pieces: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<void> => {
  signal?.throwIfAborted()
  if (!stream.send(frameOf(...pieces))) await drained(stream, signal)
}

/**
 * Waits until a stream has given all that was written to the connection. The stream's own `onDrain` waits for the first
 * drain of its life only: from then on it resolves at once, and what a slow reader does not take would pile up here.
 */
const drained = async (stream: Stream, signal?: AbortSignal): Promise<void> => {
  while (stream.writeBufferLength > 0) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const go = (): void => resolve()
    const leave = (): void =>
      reject(new Error('the stream is not waited for any more', { cause: signal?.reason }))
    const broke = (): void => reject(new Error('the stream was closed before all was sent'))
    // A drain lets some of it out, in a microtask that runs before this goes on; idle says that all of it went.
    stream.addEventListener('drain', go)
    stream.addEventListener('idle', go)
    stream.addEventListener('close', broke)
    signal?.addEventListener('abort', leave)
    try {
      if (stream.status !== 'open') broke()
      if (signal?.aborted === true) leave()
      await promise
    } finally {
      stream.removeEventListener('drain', go)
      stream.removeEventListener('idle', go)
      stream.removeEventListener('close', broke)
      signal?.removeEventListener('abort', leave)
    }
  }
}

/** Frames received and not read yet, and what is known of the stream's end. */
class Inbox {
  readonly #stream: Stream
  readonly #decoder: FrameDecoder
  readonly #frames: Uint8Array[] = []
  #bytes = 0
  #over = false
  #resuming = false
  #failure: Error | null = null
  #wake: (() => void) | null = null

  constructor(stream: Stream, lengthMax: number) {
    this.#stream = stream
    this.#decoder = new FrameDecoder(lengthMax)
    stream.addEventListener('message', this.#onMessage)
    stream.addEventListener('end', this.#onEnd)
    stream.addEventListener('close', this.#onClose)
    if (stream.status !== 'open' && stream.readBufferLength === 0) this.#over = true
  }

  get ended(): boolean {
    return this.#over
  }

  /** The next frame; undefined: none yet. @throws what broke the stream, once all frames before it are taken. */
  take(): Uint8Array | undefined {
    const frame = this.#frames.shift()
    if (frame !== undefined) {
      this.#bytes -= frame.length
      if (this.#bytes <= UNREAD_BYTES_MAX / 2 && this.#stream.readStatus === 'paused') this.#resume()
      return frame
    }
    if (this.#failure !== null) throw this.#failure
    if (this.#over && this.#decoder.midway) throw new TuttiError('invalid', 'the stream ended within a frame')
    return undefined
  }

  changed(): Promise<void> {
    assert(this.#wake === null, 'one reader waits for a stream')
    if (this.#over || this.#failure !== null || this.#frames.length > 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  close(): void {
    this.#stream.removeEventListener('message', this.#onMessage)
    this.#stream.removeEventListener('end', this.#onEnd)
    this.#stream.removeEventListener('close', this.#onClose)
  }

  readonly #onMessage = (event: { readonly data: Uint8Array | Iterable<Uint8Array> }): void => {
    if (this.#failure !== null) return
    try {
      for (const piece of event.data instanceof Uint8Array ? [event.data] : event.data) {
        for (const frame of this.#decoder.push(piece)) {
          this.#frames.push(frame)
          this.#bytes += frame.length
        }
      }
    } catch (thrown) {
      this.#failure = thrown instanceof Error ? thrown : new Error(String(thrown))
    }
    this.#pauseWhenFull()
    this.#signal()
  }

  /**
   * A stream that is paused from within its own `resume` goes on granting its sender room, until what it holds breaks its
   * limit and it is reset. So the pause waits until the resumption is over.
   */
  #resume(): void {
    this.#resuming = true
    this.#stream.resume()
    this.#resuming = false
    this.#pauseWhenFull()
  }

  #pauseWhenFull(): void {
    if (this.#resuming || this.#bytes <= UNREAD_BYTES_MAX) return
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  readonly #onEnd = (): void => {
    this.#over = true
    this.#signal()
  }

  readonly #onClose = (event: { readonly error?: Error }): void => {
    if (event.error !== undefined) this.#failure ??= event.error
    // A graceful close may come while the stream is paused with bytes left; `end` follows once they are read.
    else if (this.#stream.readBufferLength === 0) this.#over = true
    this.#signal()
  }

  #signal(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }
}

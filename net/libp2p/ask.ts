// Questions between members: a one-shot stream with one question (method, body) and an answer of any number of parts, an
// end mark, or one sentence of refusal. A stream that ends without a mark was cut. Deliberately absent: an overall
// deadline, since some answers (followed logs) never end; the asker's signal is the deadline.

import type { Connection, Stream } from '@libp2p/interface'
import { ByteReader, ByteWriter, concatBytes, textOf, utf8 } from '../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Log } from '../../lib/log.ts'
import { framesOf, sendFrame } from './frames.ts'
import { ASK_BYTES_MAX, ASKS_MAX, ASKS_PER_MEMBER_MAX, OPEN_TIMEOUT_MS } from './wire.ts'

// The first byte of each frame of an answer, here and in join.ts.
export const PART = 0
const END = 1
export const REFUSED = 2
/** A sentence of refusal is cut at this length: it is shown to a person. */
const SENTENCE_BYTES_MAX = 2000

/** A frame of an answer: a mark and its content. */
export const marked = (mark: number, content: Uint8Array): Uint8Array =>
  concatBytes([Uint8Array.of(mark), content])

/** A refusal's frame, from whatever was thrown. */
export const refusal = (thrown: unknown): Uint8Array =>
  marked(REFUSED, utf8(messageOf(thrown).slice(0, SENTENCE_BYTES_MAX)))

/** The sentence within a refusal's content; text that is no text becomes one that says so. */
export const sentenceOf = (content: Uint8Array): string => {
  try {
    return textOf(content)
  } catch {
    return 'the other side refused without a readable reason'
  }
}

export type Answerer = (
  from: MemberId,
  method: string,
  body: Uint8Array,
  signal: AbortSignal,
) => AsyncIterable<Uint8Array>

/** Answers members' questions, a bounded number of them at once. */
export class AskServer {
  readonly #answer: Answerer
  readonly #log: Log
  readonly #open = new Map<MemberId, number>()
  #openInAll = 0

  constructor(answer: Answerer, log: Log) {
    this.#answer = answer
    this.#log = log
  }

  /** Serves one stream to its end. Never rejects. */
  async serve(from: MemberId, stream: Stream): Promise<void> {
    const own = this.#open.get(from) ?? 0
    const gone = new AbortController()
    stream.addEventListener('close', () => gone.abort(), { once: true })
    this.#open.set(from, own + 1)
    this.#openInAll += 1
    try {
      if (own >= ASKS_PER_MEMBER_MAX || this.#openInAll > ASKS_MAX)
        throw new TuttiError('busy', 'the peer has too many questions open; try again in a moment')
      await this.#converse(from, stream, gone.signal)
    } catch (thrown) {
      this.#log.log('debug', 'a question was not answered', { from, reason: messageOf(thrown) })
      await refuse(stream, thrown)
    } finally {
      gone.abort()
      const left = (this.#open.get(from) ?? 1) - 1
      if (left > 0) this.#open.set(from, left)
      else this.#open.delete(from)
      this.#openInAll -= 1
    }
  }

  async #converse(from: MemberId, stream: Stream, signal: AbortSignal): Promise<void> {
    const question = await firstFrame(stream, ASK_BYTES_MAX)
    const reader = new ByteReader(question)
    const method = reader.text(ASK_BYTES_MAX)
    const body = reader.bytes(ASK_BYTES_MAX)
    reader.end()
    for await (const part of this.#answer(from, method, body, signal)) {
      await sendFrame(stream, marked(PART, part), signal)
    }
    await sendFrame(stream, marked(END, new Uint8Array()), signal)
    await stream.close({ signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) })
  }
}

/** Tells the other side why, and ends the stream. Never rejects. */
export const refuse = async (stream: Stream, thrown: unknown): Promise<void> => {
  try {
    const signal = AbortSignal.timeout(OPEN_TIMEOUT_MS)
    await sendFrame(stream, refusal(thrown), signal)
    await stream.close({ signal })
  } catch {
    stream.abort(new Error('refused'))
  }
}

/** A stream's one and only frame. @throws when it ends first, or does not come in time. */
export const firstFrame = async (stream: Stream, lengthMax: number): Promise<Uint8Array> => {
  const late = AbortSignal.timeout(OPEN_TIMEOUT_MS)
  const cut = (): void => stream.abort(new Error('nothing was asked in time'))
  late.addEventListener('abort', cut, { once: true })
  try {
    for await (const frame of framesOf(stream, lengthMax)) return frame
    throw new TuttiError('invalid', 'the stream ended before anything was asked')
  } finally {
    late.removeEventListener('abort', cut)
  }
}

/**
 * Asks over an open connection and yields the answer's parts. Leaving the iteration early tells the other side.
 * @throws TuttiError `timeout` when the signal fires, `unreachable` when the connection breaks, `refused`.
 */
export async function* askOver(
  connection: Connection,
  protocol: string,
  question: { readonly to: MemberId; readonly method: string; readonly body: Uint8Array },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let stream: Stream | null = null
  const leave = (): void => stream?.abort(new Error('the asker left'))
  signal.addEventListener('abort', leave, { once: true })
  try {
    stream = await connection.newStream(protocol, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)]),
      // Outbound streams of one protocol are limited to 64 by default; the other side's own limit is what counts.
      maxOutboundStreams: ASKS_MAX,
    })
    if (signal.aborted) leave()
    const asked = new ByteWriter().text(question.method).bytes(question.body).finish()
    await sendFrame(stream, asked, signal)
    for await (const frame of framesOf(stream, LIMITS.messageBytesMax + 1)) {
      const content = frame.subarray(1)
      if (frame[0] === END) return
      if (frame[0] === REFUSED) throw new TuttiError('refused', sentenceOf(content))
      yield content
    }
    throw new Error('the answer broke off')
  } catch (thrown) {
    if (signal.aborted)
      throw new TuttiError('timeout', `the peer did not answer '${question.method}' in time`)
    if (thrown instanceof TuttiError && thrown.code === 'refused') throw thrown
    throw new TuttiError('unreachable', `the connection to ${question.to} broke while it was asked`, {
      cause: thrown,
    })
  } finally {
    signal.removeEventListener('abort', leave)
    if (stream !== null && stream.status !== 'closed') stream.abort(new Error('the answer is read'))
  }
}

// Questions between members: a one-shot stream with one question (method, body) and an answer of any number of parts, an
// end mark, or one sentence of refusal. What the asker sends along goes the other way in the same form. A
// stream that ends without a mark was cut. Deliberately absent: an overall deadline, since some answers (followed logs)
// never end; the asker's signal is the deadline.

import type { Connection, Stream } from '@libp2p/interface'
import { ByteReader, ByteWriter, concatBytes, textOf, utf8 } from '../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Log } from '../../lib/log.ts'
import { framesOf, sendFrame, sendPieces } from './frames.ts'
import { ASK_BYTES_MAX, ASKS_MAX, ASKS_PER_MEMBER_MAX, OPEN_TIMEOUT_MS } from './wire.ts'

// The first byte of each frame of an answer, here and in join.ts; of input only the first two.
export const PART = 0
const END = 1
export const REFUSED = 2
/** A sentence of refusal is cut at this length: it is shown to a person. */
const SENTENCE_BYTES_MAX = 2000
const FRAME_BYTES_MAX = LIMITS.messageBytesMax + 1

const PART_MARK = Uint8Array.of(PART)
const END_MARK = Uint8Array.of(END)
/** Why signals here fire: made once, since an error of each question's own costs more than the rest of its end. */
const OVER = new Error('the question is over')

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
  input: AsyncIterable<Uint8Array>,
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
    stream.addEventListener('close', () => gone.abort(OVER), { once: true })
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
      gone.abort(OVER)
      const left = (this.#open.get(from) ?? 1) - 1
      if (left > 0) this.#open.set(from, left)
      else this.#open.delete(from)
      this.#openInAll -= 1
    }
  }

  async #converse(from: MemberId, stream: Stream, signal: AbortSignal): Promise<void> {
    const frames = framesOf(stream, FRAME_BYTES_MAX)
    try {
      const question = await nextInTime(stream, frames)
      if (question.length > ASK_BYTES_MAX) throw new TuttiError('too-large', 'the question is too large')
      const reader = new ByteReader(question)
      const method = reader.text(ASK_BYTES_MAX)
      const body = reader.bytes(ASK_BYTES_MAX)
      reader.end()
      for await (const part of this.#answer(from, method, body, signal, inputOf(frames))) {
        await sendPieces(stream, [PART_MARK, part], signal)
      }
      await sendFrame(stream, END_MARK, signal)
      await stream.close({ signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) })
    } finally {
      // Not awaited: an answer may end while its input is still waited for, which then ends with the stream.
      frames.return().catch(() => undefined)
    }
  }
}

/** What the asker sends along, up to its end mark. @throws when the stream breaks before it. */
async function* inputOf(frames: AsyncGenerator<Uint8Array, void, void>): AsyncGenerator<Uint8Array> {
  for (;;) {
    // Not `for await`: whoever stops taking input must not end the frames.
    const { value, done } = await frames.next()
    if (done === true) throw new TuttiError('unreachable', 'the asker left before its input ended')
    if (value[0] === END) return
    yield value.subarray(1)
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
  const frames = framesOf(stream, lengthMax)
  try {
    return await nextInTime(stream, frames)
  } finally {
    await frames.return()
  }
}

const nextInTime = async (
  stream: Stream,
  frames: AsyncGenerator<Uint8Array, void, void>,
): Promise<Uint8Array> => {
  const late = AbortSignal.timeout(OPEN_TIMEOUT_MS)
  const cut = (): void => stream.abort(new Error('nothing was asked in time'))
  late.addEventListener('abort', cut, { once: true })
  try {
    const { value, done } = await frames.next()
    if (done === true) throw new TuttiError('invalid', 'the stream ended before anything was asked')
    return value
  } finally {
    late.removeEventListener('abort', cut)
  }
}

/** What one member asks of another. */
export interface Question {
  readonly to: MemberId
  readonly method: string
  readonly body: Uint8Array
  /** Null: nothing is sent along. */
  readonly input: AsyncIterable<Uint8Array> | null
}

/**
 * Asks over an open connection and yields the answer's parts. Leaving the iteration early tells the other side.
 * @throws TuttiError `timeout` when the signal fires, `unreachable` when the connection breaks, `refused`.
 */
export async function* askOver(
  connection: Connection,
  protocol: string,
  question: Question,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let stream: Stream | null = null
  const over = new AbortController()
  let isRead = false
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
    if (question.input !== null) void sendInput(stream, question.input, over.signal)
    for await (const frame of framesOf(stream, FRAME_BYTES_MAX)) {
      const content = frame.subarray(1)
      if (frame[0] === END) {
        isRead = question.input === null
        return
      }
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
    over.abort(OVER)
    signal.removeEventListener('abort', leave)
    if (stream !== null && isRead) endGently(stream)
    else if (stream !== null && stream.status !== 'closed') stream.abort(OVER)
  }
}

/** Both sides have said all: a reset would cost each of them an error with its stack, more than a small answer itself. */
const endGently = (stream: Stream): void => {
  // Who says that all is said and does not end its side is reset all the same.
  const late = setTimeout(() => stream.abort(OVER), OPEN_TIMEOUT_MS).unref()
  stream.addEventListener('close', () => clearTimeout(late), { once: true })
  stream.close().catch(() => stream.abort(OVER))
}

/** Sends what goes along, at the other side's pace, until the answer is over. Never rejects. */
const sendInput = async (
  stream: Stream,
  input: AsyncIterable<Uint8Array>,
  over: AbortSignal,
): Promise<void> => {
  try {
    for await (const part of input) {
      if (over.aborted) return
      await sendPieces(stream, [PART_MARK, part], over)
    }
    if (!over.aborted) await sendFrame(stream, END_MARK, over)
  } catch (thrown) {
    // The other side must not take a broken input for a whole one.
    if (!over.aborted) stream.abort(thrown instanceof Error ? thrown : new Error('the input broke'))
  }
}

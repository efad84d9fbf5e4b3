// Streams of JSON lines: batching them so that a burst costs few chunks and a trickle no delay, marking where the past
// ends, and the way back from chunks to checked values. One format serves between peers and towards API clients.
// Deliberately absent: what the values are.

import { textOf, utf8 } from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'
import { LIVE, type Marked } from './fan-in.ts'

/** One chunk: well below a message between peers, large enough that its overhead vanishes. */
const CHUNK_CHARACTERS = 32 * 1024
/** One line of another peer: a log line is cut at 16 kB or so by whoever reads it from the process. */
const LINE_BYTES_MAX = 1024 * 1024
const LIVE_LINE = '{"live":true}'
const NEWLINE = 0x0a

const settled = (promise: Promise<unknown>): Promise<true> =>
  promise.then(
    (): true => true,
    (): true => true,
  )

/** True when it settles before the event loop has nothing else at hand. */
const settlesSoon = (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([settled(promise), new Promise<false>((resolve) => setImmediate(() => resolve(false)))])

/** Lets go of an iterator without waiting for it: it may be stuck in a read that ends with its signal. */
const letGo = (iterator: AsyncIterator<unknown>): void => {
  iterator.return?.().catch(() => undefined)
}

/** Text pieces joined to chunks; what waits is sent as soon as the source has nothing more at hand. */
export async function* inChunks(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  const iterator = pieces[Symbol.asyncIterator]()
  let chunk = ''
  try {
    for (;;) {
      const next = iterator.next()
      if (chunk.length >= CHUNK_CHARACTERS || (chunk !== '' && !(await settlesSoon(next)))) {
        // Handled below; meanwhile it must not count as unhandled.
        void settled(next)
        yield chunk
        chunk = ''
      }
      const result = await next
      if (result.done === true) break
      chunk += result.value
    }
    if (chunk !== '') yield chunk
  } finally {
    letGo(iterator)
  }
}

export async function* toLines<T>(items: AsyncIterable<Marked<T>>): AsyncGenerator<string> {
  for await (const item of items) yield `${item === LIVE ? LIVE_LINE : JSON.stringify(item)}\n`
}

/** Items as the parts of an answer between peers. */
export async function* toParts<T>(items: AsyncIterable<Marked<T>>): AsyncGenerator<Uint8Array> {
  for await (const chunk of inChunks(toLines(items))) yield utf8(chunk)
}

/**
 * The items that parts carry, however they were cut.
 * @throws TuttiError `invalid` on what is not a line of checked JSON, `too-large` on a line without end.
 */
export async function* fromParts<T>(
  parts: AsyncIterable<Uint8Array>,
  isItem: (value: unknown) => value is T,
): AsyncGenerator<Marked<T>> {
  let rest: Uint8Array = new Uint8Array()
  for await (const part of parts) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part])
    let from = 0
    for (let end = bytes.indexOf(NEWLINE, from); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      yield itemOf(bytes.subarray(from, end), isItem)
      from = end + 1
    }
    rest = bytes.subarray(from)
    if (rest.length > LINE_BYTES_MAX)
      throw new TuttiError('too-large', 'the peer sent a line that is too long')
  }
  if (rest.length > 0) throw new TuttiError('invalid', 'the answer ended within a line')
}

const itemOf = <T>(line: Uint8Array, isItem: (value: unknown) => value is T): Marked<T> => {
  const text = textOf(line)
  if (text === LIVE_LINE) return LIVE
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TuttiError('invalid', 'the peer sent a line that is not JSON', { cause })
  }
  if (!isItem(value)) throw new TuttiError('invalid', 'the peer sent a line of another kind')
  return value
}

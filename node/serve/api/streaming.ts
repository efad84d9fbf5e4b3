// Replies without an end: NDJSON and server-sent events. Opens one per request within the gate's limit, sends something
// every so often so that both sides notice a dead connection, and lets go of the source as soon as the client has gone.
// Backpressure is the socket's: a reader that does not read is waited for, and its source with it.

import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { asTuttiError, TuttiError } from '../../../lib/errors.ts'
import { inChunks } from '../lines.ts'
import type { ApiContext, StreamGate } from './context.ts'

export const NDJSON = 'application/x-ndjson'
export const EVENT_STREAM = 'text/event-stream'

/** Below the idle timeout of common proxies (30 to 60 s). */
const KEEP_ALIVE_MS = 15_000
/** Followers of one peer at once: dashboards and terminals of a team, with room. */
const STREAMS_MAX = 128

export const streamGate = (openMax = STREAMS_MAX): StreamGate => {
  let open = 0
  return {
    enter: () => {
      if (open >= openMax) throw new TuttiError('busy', `${openMax} streams are open on this peer; close one`)
      open += 1
      let left = false
      return () => {
        if (!left) open -= 1
        left = true
      }
    },
  }
}

/** The pieces, and `beat` at the start and whenever nothing came for a while. */
async function* withBeats(pieces: AsyncIterable<string>, beat: string): AsyncGenerator<string> {
  const iterator = pieces[Symbol.asyncIterator]()
  let timer: NodeJS.Timeout | undefined
  try {
    // At once: it carries the headers, so that the client knows that it is connected.
    yield beat
    let next = iterator.next()
    for (;;) {
      const idle = new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), KEEP_ALIVE_MS)
      })
      const result = await Promise.race([next, idle])
      clearTimeout(timer)
      if (result === null) yield beat
      else if (result.done === true) return
      else {
        yield result.value
        next = iterator.next()
      }
    }
  } finally {
    clearTimeout(timer)
    // Not awaited: the source may be waiting, and ends with its signal.
    iterator.return?.().catch(() => undefined)
  }
}

export interface StreamOptions {
  readonly contentType: typeof NDJSON | typeof EVENT_STREAM
  /** What is sent when there is nothing to say; null: nothing, it ends by itself. */
  readonly beat: string | null
}

/** Starts the stream and returns what a fastify handler returns. @throws TuttiError `busy`. */
export const stream = (
  context: ApiContext,
  reply: FastifyReply,
  options: StreamOptions,
  open: (signal: AbortSignal) => AsyncIterable<string>,
): FastifyReply => {
  const leave = context.streams.enter()
  const gone = new AbortController()
  const end = (): void => {
    gone.abort()
    leave()
  }
  reply.raw.once('close', end)
  const signal = AbortSignal.any([gone.signal, context.closing])
  const pieces = inChunks(open(signal))
  const source = Readable.from(options.beat === null ? pieces : withBeats(pieces, options.beat), {
    // Two chunks ahead of the socket are enough to keep it busy.
    highWaterMark: 2,
  })
  source.once('error', (thrown) => {
    if (!gone.signal.aborted) context.log.log('warn', 'stream broke off', { error: asTuttiError(thrown) })
  })
  signal.addEventListener('abort', () => source.destroy(), { once: true })
  return reply
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .type(options.contentType)
    .send(source)
}

export async function* ndjson(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const item of items) yield `${JSON.stringify(item)}\n`
}

/** Server-sent events of values that are JSON already. JSON has no line breaks, so one `data:` line is enough. */
export async function* serverSent(texts: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const text of texts) yield `data: ${text}\n\n`
}

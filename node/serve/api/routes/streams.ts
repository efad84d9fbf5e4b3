// Routes without an end, or with a late one: watching, logs, events.

import type { FastifyInstance } from 'fastify'
import { TuttiError } from '../../../../lib/errors.ts'
import { followEvents, gatherEvents } from '../../gathering.ts'
import { gatherLogs } from '../../log-gathering.ts'
import { asOf } from '../../replies/reading.ts'
import type { ApiContext } from '../context.ts'
import { described } from '../described.ts'
import { requireScope, scopeOf } from '../references.ts'
import { EVENT_STREAM, NDJSON, ndjson, serverSent, stream } from '../streaming.ts'
import { ROUTES } from '../contract.ts'
import { EventsQuery, LogsQuery, WatchQuery } from '../contract-queries.ts'
import { EventReply, EventsReply, LogReply, WatchReply } from '../contract-streams.ts'

/** What a person reads without a question; `docker compose logs` drowns its reader in everything. */
const TAIL = 100
/** With `since` or `until`, the reader has said how far back; this only bounds the answer. */
const TAIL_MAX = 100_000

const SSE_BEAT = ': still here\n\n'

const jsonAnyway = (texts: AsyncIterable<unknown>) => serverSent(stringified(texts))
async function* stringified(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const item of items) yield JSON.stringify(item)
}

export const streamRoutes = (app: FastifyInstance, context: ApiContext): void => {
  watchRoute(app, context)
  logsRoute(app, context)
  eventsRoute(app, context)
}

const watchRoute = (app: FastifyInstance, context: ApiContext): void => {
  app.get<{ Querystring: WatchQuery }>(
    ROUTES.watch,
    {
      schema: described({
        summary: 'Every slot and every living peer, at once and whenever something changed',
        description:
          'Server-sent events, each with a whole WatchReply. With `digest`, nothing is sent before the digest is another.',
        tag: 'streams',
        querystring: WatchQuery,
        streams: { [EVENT_STREAM]: WatchReply },
      }),
    },
    ({ query }, reply) =>
      stream(context, reply, { contentType: EVENT_STREAM, beat: SSE_BEAT }, (signal) =>
        serverSent(context.watch.follow(query.digest, signal)),
      ),
  )
}

const logsRoute = (app: FastifyInstance, context: ApiContext): void => {
  app.get<{ Querystring: LogsQuery }>(
    ROUTES.logs,
    {
      schema: described({
        summary: 'Output of a cell, a service or a slot, merged over all living peers by time',
        description:
          'One JSON object a line. Lines of stream `notice` say what could not be read. With `follow` it stays open, over restarts and moves of instances and over the absence of peers; empty lines keep it alive.',
        tag: 'streams',
        querystring: LogsQuery,
        streams: { [NDJSON]: LogReply },
      }),
    },
    ({ query }, reply) => {
      const of = scopeOf(query)
      const { since, until, stream: only, grep } = query
      const follow = query.follow ?? false
      if (follow && until !== undefined)
        throw new TuttiError('invalid', "'until' is for what was, 'follow' for what comes; leave one out")
      const tail = query.tail ?? (since === undefined && until === undefined ? TAIL : TAIL_MAX)
      const resumes = follow && query.resume === true && since !== undefined
      // Output outlives its service, so reading it may succeed without one; following what does not exist cannot.
      if (follow) requireScope(context.agent.snapshot().view, of)
      return stream(context, reply, { contentType: NDJSON, beat: follow ? '\n' : null }, (signal) => {
        const lines = gatherLogs(
          context,
          { of, tail: resumes ? undefined : tail, since, until, stream: only, grep, follow },
          signal,
        )
        return ndjson(orUnknown(context, of, lines))
      })
    },
  )
}

/** The lines; an error where there are none and nothing of that name either, since silence would look like an answer. */
async function* orUnknown(
  context: ApiContext,
  of: string,
  lines: AsyncIterable<LogReply>,
): AsyncGenerator<LogReply> {
  let some = false
  for await (const line of lines) {
    some = true
    yield line
  }
  if (!some) requireScope(context.agent.snapshot().view, of)
}

const eventsRoute = (app: FastifyInstance, context: ApiContext): void => {
  app.get<{ Querystring: EventsQuery }>(
    ROUTES.events,
    {
      schema: described({
        summary: 'What happened, as told by all living peers',
        description:
          'One JSON value; with `follow` a stream, the kept events first: NDJSON, or server-sent events when the request accepts those.',
        tag: 'streams',
        querystring: EventsQuery,
        reply: EventsReply,
        streams: { [NDJSON]: EventReply, [EVENT_STREAM]: EventReply },
      }),
    },
    async (request, reply) => {
      if (request.query.follow !== true) {
        // Ends by itself: each peer has its deadline.
        const events = await gatherEvents(context.agent, context.closing)
        return { asOf: asOf(context.reading()), events }
      }
      const asServerSent = request.headers.accept?.includes(EVENT_STREAM) === true
      return stream(
        context,
        reply,
        asServerSent ? { contentType: EVENT_STREAM, beat: SSE_BEAT } : { contentType: NDJSON, beat: '\n' },
        (signal) => {
          const events = followEvents(context.agent, signal)
          return asServerSent ? jsonAnyway(events) : ndjson(events)
        },
      )
    },
  )
}

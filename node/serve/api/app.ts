// One fastify instance: limits, the token, validation, errors, the OpenAPI document, and all routes. Made once for the
// Unix socket and once for TCP, since only the latter asks for a token. Listens to nothing itself.

import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import swagger from '@fastify/swagger'
import websocket from '@fastify/websocket'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { TuttiError } from '../../../lib/errors.ts'
import type { ApiContext } from './context.ts'
import { MESSAGE_BYTES_MAX } from './exec-wire.ts'
import { buildDutyRoutes } from './routes/build-duties.ts'
import { changeRoutes } from './routes/changes.ts'
import { doctorRoutes } from './routes/doctor.ts'
import { execRoute } from './routes/exec.ts'
import { historyRoutes } from './routes/history.ts'
import { metaRoutes } from './routes/meta.ts'
import { packageRoutes } from './routes/packages.ts'
import { peerRoutes } from './routes/peers.ts'
import { placementRoutes } from './routes/placements.ts'
import { serviceRoutes } from './routes/services.ts'
import { simulationRoutes } from './routes/simulations.ts'
import { streamRoutes } from './routes/streams.ts'
import { voterRoutes } from './routes/voters.ts'
import { outsideError, statusOf, UnauthorizedError } from './statuses.ts'
import { guardFor, suggestion } from './validation.ts'

/** The largest cell file is 1 MiB of YAML; as JSON with every default filled in it is about twice that. */
const BODY_BYTES_MAX = 2 * 1024 * 1024
/** To receive a whole request: two megabytes over a slow line, and no slow loris. */
const REQUEST_MS = 30_000
/** An idle keep-alive connection: longer than a scraper's or a dashboard's usual pause is not worth a descriptor. */
const KEEP_ALIVE_MS = 20_000
/** Connections of one listener; each costs a descriptor that instances' links need too. */
const CONNECTIONS_MAX = 512
/** Requests being answered at once, streams included (their own limit is lower). */
const REQUESTS_MAX = 256

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Reachable without a token. */
    open?: boolean
  }
}

/** Fastify's own compilers, which ours replace: named here, they are not even loaded, some megabytes of every peer. */
const unused = (): never => {
  throw new TuttiError('internal', 'a schema was compiled before its compiler was set')
}

/** @param token what every caller must send; null: nobody is asked. */
export const createApp = async (context: ApiContext, token: string | null): Promise<FastifyInstance> => {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    // Ids are ours: a caller's own could forge lines of the log.
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
    frameworkErrors: (thrown, request, reply) => {
      sendError(context, thrown, request, reply)
    },
    clientErrorHandler: (thrown, socket) => refuseMalformed(thrown, socket),
  })
  app.server.maxConnections = CONNECTIONS_MAX
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => guardFor(schema, httpPart ?? 'body'))
  // What replies are is held by their types. Serializing by schema costs 40 ms to compile a union at the first reply of
  // each route, on a peer that is asked once a day.
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler((thrown, request, reply) => {
    sendError(context, thrown, request, reply)
  })
  await app.register(websocket, { options: { maxPayload: MESSAGE_BYTES_MAX } })
  await app.register(swagger, { openapi: openapi(context.version, token !== null) })
  limitRequests(app)
  if (token !== null) requireToken(app, token)
  logReplies(app, context)
  const paths: string[] = []
  app.addHook('onRoute', ({ url }) => void paths.push(url))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const known = paths.includes(path) ? `${path} takes no ${request.method}` : `there is no ${path}`
    const hint = paths.includes(path) ? '' : suggestion(path, paths)
    sendError(
      context,
      new TuttiError('unknown', `${known}${hint || '; GET /v1 lists what there is'}`),
      request,
      reply,
    )
  })
  for (const routes of [
    peerRoutes,
    voterRoutes,
    serviceRoutes,
    placementRoutes,
    streamRoutes,
    execRoute,
    buildDutyRoutes,
    changeRoutes,
    historyRoutes,
    simulationRoutes,
    packageRoutes,
    doctorRoutes,
    metaRoutes,
  ]) {
    await app.register((scope, _options, done) => {
      routes(scope, context)
      done()
    })
  }
  await app.ready()
  return app
}

const openapi = (version: string, secured: boolean) => ({
  openapi: '3.1.0' as const,
  info: {
    title: 'tutti',
    version,
    description:
      'The HTTP API of one peer. Every peer serves the same one, and answers for the whole cluster as far as it sees it: `asOf` says how far. ' +
      'Errors are `{ error: { code, message, requestId } }`; docs/errors.md lists the codes.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  // Relative: the document describes whichever peer it was fetched from.
  servers: [{ url: '/', description: 'This peer' }],
  tags: [
    { name: 'reads', description: 'Answered from memory, changing nothing' },
    { name: 'streams', description: 'NDJSON and server-sent events' },
    { name: 'writes', description: 'Changes of the cluster document, each atomic' },
    { name: 'peer', description: 'About this peer and this API' },
  ],
  ...(secured
    ? {
        components: { securitySchemes: { token: { type: 'http' as const, scheme: 'bearer' } } },
        security: [{ token: [] }],
      }
    : {}),
})

const sendError = (
  context: ApiContext,
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void => {
  const error = outsideError(thrown)
  const status = statusOf(error)
  const fields = {
    requestId: request.id,
    method: request.method,
    route: request.routeOptions.url,
    error: thrown,
  }
  // Not ready is what a probe asks about while a peer starts, many times a second: an answer, no trouble.
  const level = error.code === 'internal' ? 'error' : error.code === 'not-ready' ? 'debug' : 'warn'
  if (status >= 500) context.log.log(level, 'request failed', fields)
  if (status === 401) void reply.header('www-authenticate', 'Bearer realm="tutti"')
  if (error.code === 'busy') void reply.header('retry-after', '1')
  void reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send({ error: { code: error.code, message: error.message, requestId: request.id } })
}

/** Bytes that are not HTTP at all never reach a route: answered in our form, and the connection is closed. */
const refuseMalformed = (thrown: Error, socket: Socket): void => {
  if (socket.destroyed || !socket.writable) return
  const code = 'code' in thrown ? thrown.code : ''
  const [line, message] =
    code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'the headers are too large']
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'the request did not arrive in time']
        : ['400 Bad Request', 'this is not an HTTP request']
  const body = JSON.stringify({ error: { code: 'invalid', message, requestId: randomUUID() } })
  socket.end(
    `HTTP/1.1 ${line}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

const limitRequests = (app: FastifyInstance): void => {
  let running = 0
  app.addHook('onRequest', (_request, reply, done) => {
    if (running >= REQUESTS_MAX) {
      done(new TuttiError('busy', `${REQUESTS_MAX} requests are being answered; try again in a moment`))
      return
    }
    running += 1
    reply.raw.once('close', () => (running -= 1))
    void reply.header('x-request-id', reply.request.id)
    done()
  })
}

/** Compared as hashes of equal length and in constant time, so that neither length nor content shows in the timing. */
const requireToken = (app: FastifyInstance, token: string): void => {
  const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()
  const expected = digestOf(token)
  app.addHook('onRequest', (request, _reply, done) => {
    const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const valid = timingSafeEqual(digestOf(given), expected)
    done(valid || request.routeOptions.config.open === true ? undefined : new UnauthorizedError())
  })
}

const logReplies = (app: FastifyInstance, context: ApiContext): void => {
  app.addHook('onResponse', (request, reply, done) => {
    context.log.log(request.method === 'POST' ? 'info' : 'debug', 'request', {
      requestId: request.id,
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    })
    done()
  })
}

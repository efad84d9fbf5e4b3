// Routes about this API and this process: the index, the OpenAPI document, metrics, and the two health checks.

import type { FastifyInstance } from 'fastify'
import { TuttiError } from '../../../../lib/errors.ts'
import { nameOf } from '../../replies/reading.ts'
import type { ApiContext } from '../context.ts'
import { described } from '../described.ts'
import { HealthReply, IndexReply } from '../contract.ts'
import { Type } from 'typebox'

interface ListedRoute {
  readonly method: string
  readonly path: string
  readonly summary: string
}

/** What the OpenAPI document lists, as the index shows it. */
const listed = (document: { readonly paths?: object }): ListedRoute[] =>
  Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods as Readonly<Record<string, { readonly summary?: string }>>).map(
      ([method, { summary }]) => ({ method: method.toUpperCase(), path, summary: summary ?? '' }),
    ),
  )

export const metaRoutes = (app: FastifyInstance, context: ApiContext): void => {
  const json = Type.Unsafe<object>({ type: 'object', additionalProperties: true })
  app.get(
    '/v1',
    {
      schema: described({
        summary: 'What answers here, and what it answers',
        tag: 'peer',
        reply: IndexReply,
      }),
    },
    (): IndexReply => {
      const { snapshot } = context.reading()
      return {
        name: 'tutti',
        version: context.version,
        peer: nameOf({ snapshot }, snapshot.self),
        id: snapshot.self,
        cluster: snapshot.view.cluster,
        routes: listed(app.swagger()),
      }
    },
  )
  app.get(
    '/v1/openapi.json',
    { schema: described({ summary: 'This API as an OpenAPI document', tag: 'peer', reply: json }) },
    () => app.swagger(),
  )
  metricsRoute(app, context)
  healthRoutes(app, context)
}

const metricsRoute = (app: FastifyInstance, context: ApiContext): void => {
  app.get(
    '/metrics',
    {
      schema: described({
        summary: 'Metrics of this peer, as Prometheus reads them',
        tag: 'peer',
        streams: { 'text/plain': Type.String() },
      }),
    },
    async (_request, reply) => {
      const { metrics } = context
      if (metrics === undefined || metrics === null)
        throw new TuttiError('unsupported', 'this peer keeps no metrics')
      const text = await metrics.text()
      // Sent as bytes: it is not JSON, and nothing is to serialize it as such.
      return reply.type(metrics.contentType).send(Buffer.from(text))
    },
  )
}

const healthRoutes = (app: FastifyInstance, context: ApiContext): void => {
  const open = { config: { open: true } }
  app.get(
    '/healthz',
    {
      ...open,
      schema: described({ summary: 'Whether this peer lives', tag: 'peer', reply: HealthReply, open: true }),
    },
    (): HealthReply => ({ ok: true, reason: '' }),
  )
  app.get(
    '/readyz',
    {
      ...open,
      schema: {
        ...described({
          summary: 'Whether this peer has started and takes requests; 503 when not',
          tag: 'peer',
          reply: HealthReply,
          open: true,
        }),
      },
    },
    (): HealthReply => {
      const reason = context.ready?.() ?? null
      if (reason === null) return { ok: true, reason: '' }
      throw new TuttiError('not-ready', reason)
    },
  )
}

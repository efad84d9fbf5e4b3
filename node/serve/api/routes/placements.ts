// The route that explains placements.

import type { FastifyInstance } from 'fastify'
import { explainReply } from '../../replies/explain.ts'
import type { ApiContext } from '../context.ts'
import { described } from '../described.ts'
import { serviceOf } from '../../../../crdt/edits.ts'
import { referenceOf } from '../references.ts'
import { ExplainReply, ROUTES } from '../contract.ts'
import { PlacementsQuery } from '../contract-queries.ts'

export const placementRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.get<{ Querystring: PlacementsQuery }>(
    ROUTES.placements,
    {
      schema: described({
        summary: 'Why a slot is where it is, why not elsewhere, and what would change that',
        description:
          'Of one slot or of all slots of a service, by `of`, `service` or `slot`. Any peer answers alike.',
        tag: 'reads',
        querystring: PlacementsQuery,
        reply: ExplainReply,
      }),
    },
    ({ query }) => {
      const { service, slot } = referenceOf(query)
      const reading = context.reading()
      return explainReply(reading, serviceOf(reading.snapshot.view, service).id, slot)
    },
  )
}

// Routes about services: health in full, the short lists, instances, and what was written at the same time.

import type { FastifyInstance } from 'fastify'
import { conflictsReply } from '../../replies/conflicts.ts'
import { instancesReply } from '../../replies/instances.ts'
import { asOf, type Reading } from '../../replies/reading.ts'
import { rolloutRows } from '../../replies/rollouts.ts'
import { cellsReply, servicesReply, statusReply, type Selection } from '../../replies/services.ts'
import type { ApiContext } from '../context.ts'
import { described } from '../described.ts'
import { serviceOf } from '../../../../crdt/edits.ts'
import type { ServiceId } from '../../../../lib/ids.ts'
import { cellNamed } from '../references.ts'
import {
  CellsReply,
  ConflictsReply,
  InstancesReply,
  RolloutsReply,
  ROUTES,
  ServicesReply,
  StatusReply,
} from '../contract.ts'
import { InstancesQuery, StatusQuery } from '../contract-queries.ts'

/** What a query asks for. A name that does not exist is an error: an empty list would look like an answer. */
const selectionOf = ({ snapshot: { view } }: Reading, query: StatusQuery): Selection => ({
  cell: query.cell === undefined ? undefined : cellNamed(view, query.cell),
  service: query.service === undefined ? undefined : serviceOf(view, query.service as ServiceId).id,
})

export const serviceRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.get<{ Querystring: StatusQuery }>(
    ROUTES.status,
    {
      schema: described({
        summary: 'Health in full: what is wanted, what is ready, what is in the way',
        description:
          '`settled` is true when every living peer reports the same digest and has nothing left to do; `waiting` names those that do not.',
        tag: 'reads',
        querystring: StatusQuery,
        reply: StatusReply,
      }),
    },
    ({ query }) => {
      const reading = context.reading()
      return statusReply(reading, selectionOf(reading, query))
    },
  )
  app.get<{ Querystring: StatusQuery }>(
    ROUTES.services,
    {
      schema: described({
        summary: 'The services',
        tag: 'reads',
        querystring: StatusQuery,
        reply: ServicesReply,
      }),
    },
    ({ query }) => {
      const reading = context.reading()
      return servicesReply(reading, selectionOf(reading, query))
    },
  )
  app.get(
    ROUTES.cells,
    { schema: described({ summary: 'The cells, each summed up', tag: 'reads', reply: CellsReply }) },
    () => cellsReply(context.reading()),
  )
  app.get<{ Querystring: InstancesQuery }>(
    ROUTES.instances,
    {
      schema: described({
        summary: 'Every instance, and every wanted slot that has none yet',
        tag: 'reads',
        querystring: InstancesQuery,
        reply: InstancesReply,
      }),
    },
    ({ query }) => {
      const reading = context.reading()
      const { service } = selectionOf(reading, query)
      return instancesReply(reading, service)
    },
  )
  app.get<{ Querystring: InstancesQuery }>(
    ROUTES.rollouts,
    {
      schema: described({
        summary: 'How far each service is with its release, and what its steward says of it',
        tag: 'reads',
        querystring: InstancesQuery,
        reply: RolloutsReply,
      }),
    },
    ({ query }): RolloutsReply => {
      const reading = context.reading()
      const { service } = selectionOf(reading, query)
      return { asOf: asOf(reading), rollouts: rolloutRows(reading, service) }
    },
  )
  app.get(
    ROUTES.conflicts,
    {
      schema: described({
        summary: 'Values that lost to another written at the same time',
        description:
          'With who wrote which, and the command that settles it. Also edits of services that were removed meanwhile.',
        tag: 'reads',
        reply: ConflictsReply,
      }),
    },
    () => conflictsReply(context.reading(), context.agent.past),
  )
}

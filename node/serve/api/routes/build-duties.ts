// The route that lists the branches which the cluster follows.

import type { FastifyInstance } from 'fastify'
import { buildDutiesReply } from '../../replies/build-duties.ts'
import type { ApiContext } from '../context.ts'
import { BuildDutiesReply, ROUTES } from '../contract.ts'
import { described } from '../described.ts'

export const buildDutyRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.get(
    ROUTES.buildDuties,
    {
      schema: described({
        summary: 'The branches that the cluster builds and releases from',
        description:
          'Each with the peer whose duty it is, what it is doing, and how the last commit fared. Changed through `/v1/changes`.',
        tag: 'reads',
        reply: BuildDutiesReply,
      }),
    },
    () => buildDutiesReply(context.reading()),
  )
}

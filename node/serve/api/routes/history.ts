// Routes about what was: the changes, one change, the difference between two moments, and the intent as it was. Each is
// worked out when it is asked for; nothing of it is kept ready.

import type { FastifyInstance } from 'fastify'
import { diffReply, historyReply, intentReply, oneChangeReply } from '../../replies/history.ts'
import { ROUTES } from '../contract.ts'
import {
  DiffQuery,
  DiffReply,
  HistoryQuery,
  HistoryReply,
  IntentQuery,
  IntentReply,
  OneChangeParams,
  OneChangeReply,
} from '../contract-history.ts'
import type { ApiContext } from '../context.ts'
import { described } from '../described.ts'

export const historyRoutes = (app: FastifyInstance, context: ApiContext): void => {
  // Of whichever agent there is then: joining another cluster replaces it.
  const past = () => context.agent.past
  app.get<{ Querystring: HistoryQuery }>(
    ROUTES.changes,
    {
      schema: described({
        summary: 'Who changed what, when and why, newest first',
        description:
          'The changes of the intent, all that this peer holds: no change stands before one that its author knew of, and peers that agree answer alike. Also of services that are gone, and by members that were removed.',
        tag: 'reads',
        querystring: HistoryQuery,
        reply: HistoryReply,
      }),
    },
    ({ query }) => historyReply(context.reading(), past(), query),
  )
  app.get<{ Params: OneChangeParams }>(
    `${ROUTES.changes}/:change`,
    {
      schema: described({
        summary: 'One change with all its edits, by the start of its hash',
        tag: 'reads',
        params: OneChangeParams,
        reply: OneChangeReply,
      }),
    },
    ({ params }) => oneChangeReply(context.reading(), past(), params.change),
  )
  app.get<{ Querystring: DiffQuery }>(
    ROUTES.diff,
    {
      schema: described({
        summary: 'What differs between two moments, field by field',
        description:
          'A moment is `now`, the start of a change’s hash (the intent as its author saw it after it), or either with `~2` for two changes before it.',
        tag: 'reads',
        querystring: DiffQuery,
        reply: DiffReply,
      }),
    },
    ({ query }) => diffReply(context.reading(), past(), query),
  )
  app.get<{ Querystring: IntentQuery }>(
    ROUTES.intent,
    {
      schema: described({
        summary: 'What was wanted at a moment',
        tag: 'reads',
        querystring: IntentQuery,
        reply: IntentReply,
      }),
    },
    ({ query }) => intentReply(context.reading(), past(), query),
  )
}

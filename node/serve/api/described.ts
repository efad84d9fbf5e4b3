// How a route is described: one place that turns a summary and the contract's types into the schema that fastify
// validates requests by and shows in the OpenAPI document. Knows no route.

import type { TSchema } from 'typebox'
import { ErrorReply } from './contract.ts'

export type Tag = 'reads' | 'streams' | 'writes' | 'peer'

export interface Description {
  readonly summary: string
  /** More than the summary says, for the OpenAPI document. */
  readonly description?: string
  readonly tag: Tag
  readonly querystring?: TSchema
  readonly params?: TSchema
  readonly body?: TSchema
  /** The JSON reply with status 200. */
  readonly reply?: TSchema
  /** Other content types with status 200, each with the schema of one item. */
  readonly streams?: Readonly<Record<string, TSchema>>
  /** Reachable without a token. @default false */
  readonly open?: boolean
}

const failure = (description: string) => ({
  description,
  content: { 'application/json': { schema: ErrorReply } },
})

export const described = (route: Description) => ({
  summary: route.summary,
  description: route.description ?? `${route.summary}.`,
  tags: [route.tag],
  ...(route.querystring === undefined ? {} : { querystring: route.querystring }),
  ...(route.params === undefined ? {} : { params: route.params }),
  ...(route.body === undefined ? {} : { body: route.body }),
  ...(route.open === true ? { security: [] } : {}),
  response: {
    200: {
      description: 'The answer.',
      content: Object.fromEntries(
        [
          ...(route.reply === undefined ? [] : [['application/json', route.reply] as const]),
          ...Object.entries(route.streams ?? {}),
        ].map(([type, schema]) => [type, { schema }]),
      ),
    },
    '4xx': failure('The request is wrong, or refused; the sentence says why and what to do.'),
    '5xx': failure('The peer cannot do it now, or not at all; nothing was changed.'),
  },
})

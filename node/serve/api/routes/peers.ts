// Routes about peers: who is a member and how it fares, inviting one, and joining a cluster oneself.

import type { FastifyInstance } from 'fastify'
import { peersReply } from '../../replies/peers.ts'
import type { ApiContext } from '../context.ts'
import { inTime, JOIN_MS, WRITE_MS } from '../deadline.ts'
import { described } from '../described.ts'
import { InviteReply, InviteRequest, JoinReply, JoinRequest, PeersReply, ROUTES } from '../contract.ts'

/** Long enough to walk to the other machine, short enough that a ticket left in a chat is worthless tomorrow. */
const INVITE_EXPIRES_MS = 3_600_000

export const peerRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.get(
    ROUTES.peers,
    { schema: described({ summary: 'The members of the cluster', tag: 'reads', reply: PeersReply }) },
    () => peersReply(context.reading()),
  )
  app.post<{ Body: InviteRequest }>(
    ROUTES.invites,
    {
      schema: described({
        summary: 'Mints a ticket with which a machine joins',
        description:
          'Writes the invite into the document and returns its secret, which is shown this once. Defaults: one hour, one use, role operator.',
        tag: 'writes',
        body: InviteRequest,
        reply: InviteReply,
      }),
    },
    ({ body }) =>
      inTime(
        context.agent.invite({
          expiresMs: body.expiresMs ?? INVITE_EXPIRES_MS,
          uses: body.uses ?? 1,
          role: body.role ?? 'operator',
        }),
        WRITE_MS,
      ),
  )
  app.post<{ Body: JoinRequest }>(
    ROUTES.join,
    {
      schema: described({
        summary: 'Joins this peer to the cluster that a ticket names',
        description: 'Answers when this peer is admitted and in sync.',
        tag: 'writes',
        body: JoinRequest,
        reply: JoinReply,
      }),
    },
    ({ body }) => inTime(context.join(body), JOIN_MS),
  )
}

// Routes about those who vote on leases of quorum slots: who they are, and who they are from now on where they are lost.

import type { FastifyInstance } from 'fastify'
import type { MemberId } from '../../../../lib/ids.ts'
import { votersStanding } from '../../replies/leases.ts'
import { nameOf } from '../../replies/reading.ts'
import { VotersReplaced, VotersStanding } from '../contract-leases.ts'
import { ROUTES } from '../contract.ts'
import type { ApiContext } from '../context.ts'
import { inTime, WRITE_MS } from '../deadline.ts'
import { described } from '../described.ts'

export const voterRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.get(
    ROUTES.voters,
    {
      schema: described({
        summary: 'Who votes on leases of quorum slots, as this peer knows',
        tag: 'reads',
        reply: VotersStanding,
      }),
    },
    () => votersStanding(context.reading()),
  )
  app.post(
    ROUTES.voters,
    {
      schema: described({
        summary: 'Makes all operators the voters, in the place of voters that are lost',
        description:
          'Refused while the voters can still decide, and while an operator is not in sight. Whoever calls it vouches that no peer that was removed runs any more: one that does may run a quorum slot a second time.',
        tag: 'writes',
        reply: VotersReplaced,
      }),
    },
    () => inTime(replace(context), WRITE_MS),
  )
}

const replace = async ({ agent, reading }: ApiContext): Promise<VotersReplaced> => {
  const { present, epoch } = await agent.replaceVoters()
  // Voters are members.
  const names = present.map((member) => nameOf(reading(), member as MemberId)).sort()
  agent.note({
    kind: 'peer',
    subject: 'voters',
    message: `an operator made ${names.join(', ')} the voters on leases`,
  })
  return { present: names, epoch }
}

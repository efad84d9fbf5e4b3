// The routes of what would be: simulations and rebalances. They change nothing. Looking at the loss of every machine is an
// election for each, so between two of them whatever else this peer does has its turn (S15).

import { randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { TuttiError } from '../../../../lib/errors.ts'
import {
  holdersAfter,
  lossReply,
  rebalanceReply,
  simulated,
  simulationReply,
} from '../../replies/simulation.ts'
import { prepareChange } from '../changes.ts'
import { ROUTES } from '../contract.ts'
import { RebalanceReply, SimulationReply, SimulationRequest } from '../contract-simulate.ts'
import type { ApiContext } from '../context.ts'
import { described } from '../described.ts'

/** Losses are looked at for so long: a thousand members would take a minute of a core, which is the fleet's and not the asker's. */
const LOSSES_MS = 10_000

export const simulationRoutes = (app: FastifyInstance, context: ApiContext): void => {
  let running = false
  app.post<{ Body: SimulationRequest }>(
    ROUTES.simulations,
    {
      schema: described({
        summary: 'What would move and what would not fit, and whether any one machine may be lost',
        description:
          'Machines killed, added, cordoned or drained and edits made, all at once, by the same functions that the peers act by; nothing is changed. Then each machine that would hold something is taken away in turn. One simulation at a time.',
        tag: 'reads',
        body: SimulationRequest,
        reply: SimulationReply,
      }),
    },
    async ({ body }): Promise<SimulationReply> => {
      if (running)
        throw new TuttiError('busy', 'this peer simulates for somebody else; try again in a moment')
      running = true
      try {
        return await simulate(context, body)
      } finally {
        running = false
      }
    },
  )
  app.get(
    ROUTES.rebalance,
    {
      schema: described({
        summary: 'Why there is nothing to rebalance, and what an election anew would move',
        description:
          'Placement is computed and not remembered, so a rebalance is a no-op. Says which slots are away from home and why, and what the removal of members that are gone would move.',
        tag: 'reads',
        reply: RebalanceReply,
      }),
    },
    () => rebalanceReply(context.reading(), context.memo),
  )
}

const simulate = async (context: ApiContext, body: SimulationRequest): Promise<SimulationReply> => {
  const reading = context.reading()
  const { operations = [], losses = true } = body
  const makers = { preview: context.preview, token: randomUUID, past: context.agent.past }
  const { edits, described: words } = prepareChange(reading.snapshot, { operations }, makers)
  const view = edits.length === 0 ? reading.snapshot.view : context.preview(edits)
  const situation = simulated(reading, view, body, context.memo)
  const reply = simulationReply(
    reading,
    situation,
    words.map(({ path, from, to }) => ({ path, from, to })),
  )
  if (!losses) return reply
  const until = performance.now() + LOSSES_MS
  const looked: SimulationReply['losses'] = []
  const unchecked: string[] = []
  for (const member of holdersAfter(situation)) {
    if (performance.now() > until || context.closing.aborted) unchecked.push(member.name)
    else looked.push(lossReply(situation, member))
    await turn()
  }
  const survivable = unchecked.length === 0 && looked.every((loss) => loss.survivable)
  return { ...reply, losses: looked, unchecked, survivable }
}

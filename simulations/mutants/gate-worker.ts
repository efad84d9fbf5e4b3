// A worker of the mutation gate: one process, one planted bug. Plays the seeds that it is sent until the invariant that the
// bug breaks is broken, and says which invariants were. Plants the mutant before anything else is loaded.

import { isGateAsk, type GateReply } from './gate-message.ts'
import { mutantOf, plant } from './registry.ts'

const mutant = mutantOf(process.argv[2] ?? '')
const composition = plant(mutant.name)
const { play } = await import('../play.ts')
const { parseArguments } = await import('../arguments.ts')

process.on('message', (message: unknown) => {
  if (!isGateAsk(message)) return
  const { seed, peers, minutes, faults } = parseArguments(message.run, new Uint8Array())
  const options = { seed, peers, minutes, faults, seeks: mutant.breaks }
  void play({ ...options, ...(composition === null ? {} : { composition }) }).then(({ violations }) =>
    process.send?.({ violations } satisfies GateReply),
  )
})

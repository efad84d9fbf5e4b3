// A worker of the swarm: plays the runs that it is sent, shrinks those that fail, and replies. Plants the swarm's mutant
// before anything else is loaded.

import { plant } from './mutants/registry.ts'
import { isSwarmAsk, type SwarmReply } from './swarm-message.ts'

const at = process.argv.indexOf('--mutant')
const composition = plant(at < 0 ? null : (process.argv[at + 1] ?? ''))
const { playOrShrink } = await import('./story.ts')

process.on('message', (message: unknown) => {
  if (!isSwarmAsk(message)) return
  void playOrShrink(message.run, composition).then((reply: SwarmReply) => process.send?.(reply))
})

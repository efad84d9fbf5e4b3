// S10: every living process of a machine is known to the machine's peer, once that runs, and nothing of a process group
// outlives its leader there.

import type { Machine } from '../machine.ts'
import type { Checker } from './checker.ts'

export const orphans = (): Checker => ({
  invariant: 'S10',
  look: ({ world }) => world.machines.flatMap(wrongs),
})

const wrongs = ({ agent, processes, name }: Machine): readonly string[] => {
  if (agent === null) return []
  const held = new Set<string>(agent.snapshot().local.map(({ id }) => id))
  return [
    ...processes
      .processes()
      .filter(({ record, exit }) => exit === null && !held.has(record.instance))
      .map(({ record }) => `${name}: ${record.instance} runs and its peer does not know it`),
    ...processes.strays().map((instance) => `${name}: a child of ${instance} outlives it`),
  ]
}

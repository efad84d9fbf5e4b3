// S10: every living process of a machine is known to the machine's peer, once that runs, nothing of a process group
// outlives its leader there, and nothing is adopted that has ended.

import type { Agent } from '../../node/agent.ts'
import type { LocalInstance } from '../../node/plan/local.ts'
import type { Machine } from '../machine.ts'
import type { Checker } from './checker.ts'

export const orphans = (): Checker => {
  /** When each peer was first looked at, by its machine's clock. */
  const firstMs = new WeakMap<Agent, number>()
  return {
    invariant: 'S10',
    look: ({ world }) =>
      world.machines.flatMap((machine) => {
        if (machine.agent === null) return []
        const { local } = world.sightOf(machine.agent)
        return [...wrongs(machine, local), ...strangers(machine, machine.agent, local, firstMs)]
      }),
  }
}

/** What a peer has adopted although it had ended before. */
const strangers = (
  { processes, name }: Machine,
  agent: Agent,
  local: readonly LocalInstance[],
  firstMs: WeakMap<Agent, number>,
): readonly string[] => {
  const sinceMs = firstMs.get(agent)
  if (sinceMs === undefined) {
    firstMs.set(agent, processes.clock.now())
    return []
  }
  const isRunning = (instance: string): boolean =>
    local.some(({ id, phase }) => id === instance && phase === 'running')
  return processes
    .processes()
    .filter(
      ({ record, endedAtMs }) => endedAtMs !== null && endedAtMs < sinceMs && isRunning(record.instance),
    )
    .map(({ record }) => `${name} has adopted ${record.instance}, which had ended`)
}

const wrongs = ({ processes, name }: Machine, local: readonly LocalInstance[]): readonly string[] => {
  const found: string[] = []
  for (const { record, exit } of processes.processes()) {
    if (exit !== null) continue
    const facts = local.find(({ id }) => id === record.instance)
    if (facts === undefined) found.push(`${name}: ${record.instance} runs and its peer does not know it`)
    else if (facts.phase === 'exited')
      found.push(`${name}: ${record.instance} runs and its peer has it ended`)
  }
  for (const instance of processes.strays()) found.push(`${name}: a child of ${instance} outlives it`)
  return found
}

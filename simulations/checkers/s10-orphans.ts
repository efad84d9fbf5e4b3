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
  const running = new Set<string>(local.flatMap(({ id, phase }) => (phase === 'running' ? [id] : [])))
  return processes
    .processes()
    .filter(
      ({ record, endedAtMs }) => endedAtMs !== null && endedAtMs < sinceMs && running.has(record.instance),
    )
    .map(({ record }) => `${name} has adopted ${record.instance}, which had ended`)
}

const wrongs = ({ processes, name }: Machine, local: readonly LocalInstance[]): readonly string[] => {
  const held = new Set<string>(local.map(({ id }) => id))
  const over = new Set<string>(local.flatMap(({ id, phase }) => (phase === 'exited' ? [id] : [])))
  return [
    ...processes
      .processes()
      .filter(({ record, exit }) => exit === null && !held.has(record.instance))
      .map(({ record }) => `${name}: ${record.instance} runs and its peer does not know it`),
    ...processes
      .processes()
      .filter(({ record, exit }) => exit === null && over.has(record.instance))
      .map(({ record }) => `${name}: ${record.instance} runs and its peer has it ended`),
    ...processes.strays().map((instance) => `${name}: a child of ${instance} outlives it`),
  ]
}

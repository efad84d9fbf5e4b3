// S11: what was removed never comes back without having been created again: on one disk, a service once seen deleted in a
// generation is never seen alive in that or an earlier one.

import type { Checker } from './checker.ts'

export const deletion = (): Checker => {
  const deleted = new Map<string, Map<string, number>>()
  return {
    invariant: 'S11',
    look: ({ world }) =>
      world.machines.flatMap(({ agent, name }) => {
        if (agent === null) return []
        const view = agent.view()
        const known = deleted.get(name) ?? new Map<string, number>()
        deleted.set(name, known)
        const alive = new Map<string, number>(view.services.map(({ id, generation }) => [id, generation]))
        for (const [id, generation] of Object.entries(view.generations ?? {}))
          if (id.includes('/') && !alive.has(id)) known.set(id, Math.max(known.get(id) ?? 0, generation))
        return [...alive]
          .filter(([id, generation]) => generation <= (known.get(id) ?? 0))
          .map(
            ([id, generation]) =>
              `${name}: ${id} was deleted in generation ${known.get(id)} and is alive in ${generation}`,
          )
      }),
    // Another disk is another memory.
    losing: async (_scene, machine) => {
      deleted.delete(machine.name)
      return []
    },
  }
}

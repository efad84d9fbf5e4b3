// S11: what was removed never comes back without having been created again: in one life of a peer, a service once seen
// deleted in a generation is never seen alive in that or an earlier one. A peer acts on what others say before its own disk
// has it (docs/adr/0010-apply-then-write.md), so the next life may begin as one who has not heard yet; what a disk must have
// kept is asked by S2.

import type { View } from '../../crdt/schema/view.ts'
import type { Checker } from './checker.ts'

export const deletion = (): Checker => {
  const deleted = new WeakMap<object, Map<string, number>>()
  /** What each peer had been seen to hold at the last look; views never change. */
  const seen = new WeakMap<object, View>()
  return {
    invariant: 'S11',
    look: ({ world }) =>
      world.machines.flatMap(({ agent, name }) => {
        if (agent === null) return []
        const view = agent.view()
        if (seen.get(agent) === view) return []
        seen.set(agent, view)
        const known = deleted.get(agent) ?? new Map<string, number>()
        deleted.set(agent, known)
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
  }
}

// S2: an acknowledged edit is on the disk of whoever acknowledged it, at that instant, and is in every view when the run
// is over. Excused is only what was on no other disk when the last disk that had it was destroyed.

import { durableChanges } from '../records.ts'
import type { Checker } from './checker.ts'

export const acknowledgedEdits = (): Checker => ({
  invariant: 'S2',
  acknowledged: async (_scene, machine, change) => {
    const durable = await durableChanges(machine)
    if (durable.has(change)) return []
    return [`${machine.name} acknowledged ${change.slice(0, 8)} and does not have it on its disk`]
  },
  losing: async (scene, machine) => {
    const others = scene.world.machines.filter((other) => other !== machine)
    const kept = new Set<string>()
    for (const other of others) for (const change of await durableChanges(other)) kept.add(change)
    for (const edit of scene.acknowledged) if (!kept.has(edit.change)) edit.excused = true
    return []
  },
  atRest: (scene) =>
    scene.acknowledged
      .filter(({ excused }) => !excused)
      .flatMap(({ change, what, by }) =>
        scene.world
          .present()
          .filter(({ agent }) => agent?.holds(change) === false)
          .map(({ name }) => `${by} acknowledged '${what}', and ${name} does not have it`),
      ),
})

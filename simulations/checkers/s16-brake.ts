// S16: a peer that has just seen more than half of the others vanish starts nothing that a vanished one held.
// Judged by counting whom it lately saw alive, not from whether it says that it brakes, nor from how it lost them. Whom a peer never saw alive in
// this run of it, or has believed dead for long, cannot vanish before its eyes.

import type { MemberId } from '../../lib/ids.ts'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import type { Agent } from '../../node/agent.ts'
import type { Checker } from './checker.ts'

const WINDOW_MS = DETECTOR_DEFAULTS.brakeWindowMs

export const brake = (): Checker => {
  /** For each run of a peer, when it last saw each member alive, by its own clock. */
  const sightings = new WeakMap<Agent, Map<MemberId, number>>()
  return {
    invariant: 'S16',
    look: ({ world }) => {
      for (const { agent } of world.machines) {
        if (agent === null) continue
        const { membership, nowMs } = world.sightOf(agent)
        const seen = sightings.get(agent) ?? new Map<MemberId, number>()
        sightings.set(agent, seen)
        for (const { id, state } of membership.members) if (state === 'alive') seen.set(id, nowMs)
      }
      return []
    },
    spawned: (_scene, machine, { slot, runs }) => {
      const { agent } = machine
      // A process that ended here and starts here again is no take-over.
      if (agent === null || runs > 1) return []
      const { membership, statuses, self, nowMs, local } = agent.snapshot()
      const seen = sightings.get(agent)
      // Everybody who was here when they began to vanish: more than half of these.
      const base = membership.members.filter(
        ({ id, state }) =>
          id !== self &&
          state !== 'left' &&
          (state !== 'dead' || nowMs - (seen?.get(id) ?? -Infinity) < 2 * WINDOW_MS),
      )
      const vanished = base.filter(
        ({ id, state }) => state === 'dead' && nowMs - (seen?.get(id) ?? -Infinity) < WINDOW_MS,
      )
      if (vanished.length < 2 || vanished.length * 2 <= base.length) return []
      const heldThere = vanished.some(({ id }) =>
        [...(statuses.get(id)?.instances.values() ?? [])].some(
          (instance) => instance.slot === slot && instance.state === 'ready',
        ),
      )
      const heldHere = local.some((instance) => instance.slot === slot && instance.phase !== 'preparing')
      if (!heldThere || heldHere) return []
      return [
        `${machine.name} takes ${slot} over while ${vanished.length} of ${base.length} others have just vanished`,
      ]
    },
  }
}

// S16: a peer that has just seen more than half of the others vanish starts nothing that a vanished one held.
// Judged by counting whom it lately saw alive, not from whether it says that it brakes, nor from how it lost them. Whom a peer never saw alive in
// this run of it, or has believed dead for long, cannot vanish before its eyes.

import type { MemberId } from '../../lib/ids.ts'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import type { Agent } from '../../node/agent.ts'
import type { AgentSnapshot } from '../../node/ports.ts'
import type { Checker } from './checker.ts'

const WINDOW_MS = DETECTOR_DEFAULTS.brakeWindowMs

interface Sighting {
  /** Whom it saw at the last look; the same list as long as nobody's state changes. */
  members: AgentSnapshot['membership']['members']
  /** When that was, by its own clock. */
  atMs: number
  /** When it last saw each alive, up to that list. */
  readonly lastMs: Map<MemberId, number>
}

/** When each was last seen alive. */
const lastSeen = ({ members, atMs, lastMs }: Sighting): ReadonlyMap<MemberId, number> => {
  for (const { id, state } of members) if (state === 'alive') lastMs.set(id, atMs)
  return lastMs
}

export const brake = (): Checker => {
  /** For each run of a peer. */
  const sightings = new WeakMap<Agent, Sighting>()
  return {
    invariant: 'S16',
    look: ({ world }) => {
      for (const { agent } of world.machines) {
        if (agent === null) continue
        const { membership, nowMs } = world.sightOf(agent)
        const { members } = membership
        const known = sightings.get(agent)
        if (known === undefined) sightings.set(agent, { members, atMs: nowMs, lastMs: new Map() })
        else {
          if (known.members !== members) lastSeen(known)
          known.members = members
          known.atMs = nowMs
        }
      }
      return []
    },
    spawned: (_scene, machine, { slot, runs }) => {
      const { agent } = machine
      // A process that ended here and starts here again is no take-over.
      if (agent === null || runs > 1) return []
      const { membership, statuses, self, nowMs, local } = agent.snapshot()
      const sighting = sightings.get(agent)
      const seen = sighting === undefined ? undefined : lastSeen(sighting)
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

// L4: who toggles faster than the reschedule delay moves nothing. A slot that a dead member held is not started elsewhere
// before the delay of its service is over, on the clock of the peer that starts it. Judged only where nothing else could
// have moved it: no edit lately, and every other member alive for long.

import type { MemberId } from '../../lib/ids.ts'
import type { Agent } from '../../node/agent.ts'
import type { Checker } from './checker.ts'

/** Longer than a rollout's step and a return home. */
const STEADY_MS = 20_000
/** Clocks of one peer are compared with themselves: only rounding is left. */
const ROUNDING_MS = 1

export const takeOver = (): Checker => {
  const views = new WeakMap<Agent, { readonly digest: string; readonly sinceMs: number }>()
  return {
    invariant: 'L4',
    look: ({ world }) => {
      for (const { agent } of world.machines) {
        if (agent === null) continue
        const { view, nowMs } = world.sightOf(agent)
        if (views.get(agent)?.digest !== view.digest)
          views.set(agent, { digest: view.digest, sinceMs: nowMs })
      }
      return []
    },
    spawned: (_scene, machine, { slot, service, runs }) => {
      const { agent } = machine
      if (agent === null || runs > 1) return []
      const { view, membership, statuses, self, nowMs } = agent.snapshot()
      const seen = views.get(agent)
      if (seen?.digest !== view.digest || nowMs - seen.sinceMs < STEADY_MS) return []
      const others = membership.members.filter(({ id }) => id !== self)
      const dead = others.filter(({ state }) => state === 'dead')
      const steady = others.every(
        ({ state, sinceMs }) => state === 'dead' || (state === 'alive' && nowMs - sinceMs >= STEADY_MS),
      )
      const wanted = view.services.find(({ id }) => id === service)
      const [lost] = dead
      if (wanted === undefined || lost === undefined || dead.length !== 1 || !steady) return []
      if (!holds(statuses.get(lost.id), slot) || isAway(view.members, lost.id)) return []
      const forMs = nowMs - lost.sinceMs
      if (wanted.onPartition !== 'stay' && forMs >= wanted.rescheduleAfterMs - ROUNDING_MS) return []
      return [`${machine.name} takes ${slot} over ${forMs.toFixed(0)} ms after the death of its holder`]
    },
  }
}

const holds = (
  status:
    | { readonly instances: ReadonlyMap<string, { readonly slot: string; readonly state: string }> }
    | undefined,
  slot: string,
): boolean =>
  [...(status?.instances.values() ?? [])].some((one) => one.slot === slot && one.state === 'ready')

/** Whoever drains or is cordoned may have been about to lose it anyway. */
const isAway = (
  members: readonly { readonly id: MemberId; readonly cordoned: boolean; readonly draining: boolean }[],
  id: MemberId,
): boolean => members.some((member) => member.id === id && (member.cordoned || member.draining))

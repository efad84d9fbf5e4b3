// L3: a live member clears itself: whoever hears that it is accused says so with a higher incarnation, whatever has become
// of its accuser meanwhile. Asked of what the accused peer itself knows, so no fault between the two is an excuse.

import type { Agent } from '../../node/agent.ts'
import type { AgentSnapshot } from '../../node/ports.ts'
import type { Machine } from '../machine.ts'
import type { Checker } from './checker.ts'

/** A mere suspicion may be taken back by its observer for a second; the rest is the grain of looking. */
const REFUTED_MS = 5000
/** After a refutation the next one may wait for so long (net/refutation.ts). */
const BACKOFF_MS = 65_000

interface Watched {
  readonly agent: Agent
  /** Since when it is in this incarnation, or has been thawed. */
  readonly sinceMs: number
  readonly incarnation: number
  /** Since when it knows of an alert on it; null: of none. */
  readonly accusedMs: number | null
}

export const refutation = (): Checker => {
  const watched = new Map<Machine, Watched>()
  return {
    invariant: 'L3',
    look: (scene) =>
      scene.world.machines.flatMap((machine) => {
        const { nowMs } = scene.world.simulator
        const { agent, name } = machine
        if (agent === null || scene.isBroken(machine)) {
          watched.delete(machine)
          return []
        }
        const { accusers, incarnation } = accusedOf(scene.world.sightOf(agent))
        const before = watched.get(machine)
        const same = before?.agent === agent && before.incarnation === incarnation
        const sinceMs = same ? before.sinceMs : nowMs
        const accusedMs = accusers === 0 ? null : ((same ? before.accusedMs : null) ?? nowMs)
        watched.set(machine, { agent, incarnation, sinceMs, accusedMs })
        if (accusedMs === null || nowMs - accusedMs < REFUTED_MS || nowMs - sinceMs < BACKOFF_MS) return []
        return [`${name} has known for ${REFUTED_MS / 1000} s that it is accused, and has not refuted it`]
      }),
  }
}

/** How many members accuse it at its present incarnation, as far as it knows. */
const accusedOf = ({
  self,
  statuses,
  membership,
}: AgentSnapshot): { readonly accusers: number; readonly incarnation: number } => {
  const incarnation = statuses.get(self)?.incarnation ?? 0
  const accusers = membership.members.filter(({ id, state }) => {
    const alert = id === self || state === 'left' ? undefined : statuses.get(id)?.alerts.get(self)
    return alert !== undefined && alert.incarnation >= incarnation
  })
  return { accusers: accusers.length, incarnation }
}

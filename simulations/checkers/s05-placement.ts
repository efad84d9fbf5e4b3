// S5: same inputs, same placement. A peer's placement is computed again from the same facts in another order: services,
// members and statuses are handed over backwards, to a planner that remembers nothing.

import type { MemberId, SlotId } from '../../lib/ids.ts'
import { place } from '../../node/plan/placement.ts'
import type { PlanInput } from '../../node/plan/plan.ts'
import type { Machine } from '../machine.ts'
import type { Checker } from './checker.ts'

/** Placing costs a millisecond, so one look in so many asks one peer. */
const EVERY_LOOKS = 20

type Places = ReadonlyMap<SlotId, MemberId | null>

export const placementIsPure = (
  placing: (input: PlanInput) => Places = (input) =>
    new Map([...place(input)].map(([slot, { member }]) => [slot, member])),
): Checker => {
  let looks = 0
  return {
    invariant: 'S5',
    look: ({ world }) => {
      looks += 1
      if (looks % EVERY_LOOKS !== 0) return []
      const machine = world.machines[(looks / EVERY_LOOKS) % world.machines.length]
      const input = machine === undefined ? null : inputOf(machine)
      if (machine === undefined || input === null) return []
      const once = placing(input)
      const again = placing(reversed(input))
      const differing = [...once].filter(([slot, member]) => again.get(slot) !== member)
      return differing.map(([slot]) => `${machine.name} places ${slot} by the order of its facts`)
    },
  }
}

const inputOf = ({ agent }: Machine): PlanInput | null => {
  if (agent === null) return null
  const { self, view, statuses, membership, local, nowMs } = agent.snapshot()
  return { self, view, statuses, membership, local, nowMs }
}

const reversed = (input: PlanInput): PlanInput => ({
  ...input,
  statuses: new Map([...input.statuses].reverse()),
  local: [...input.local].reverse(),
})

// S5: same inputs, same placement. A peer's placement is computed again from the same facts in another order, every list
// and map of them handed over backwards, by a planner that remembers nothing; and, where no member keeps what it holds, also
// as another member would compute it: who asks must not matter.

import type { MemberId, SlotId } from '../../lib/ids.ts'
import { place } from '../../node/plan/placement.ts'
import type { PlanInput } from '../../node/plan/plan.ts'
import type { Machine } from '../machine.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'

/** Placing costs a millisecond, so one look in so many asks one peer. */
const EVERY_LOOKS = 5

type Places = ReadonlyMap<SlotId, MemberId | null>

export const placementIsPure = (
  placing: (input: PlanInput) => Places = (input) =>
    new Map([...place(input)].map(([slot, { member }]) => [slot, member])),
): Checker => {
  let looks = 0
  /** What each peer went by when it was asked last. */
  const placed = new WeakMap<Machine, PlanInput>()
  return {
    invariant: 'S5',
    look: ({ world }) => {
      looks += 1
      if (looks % EVERY_LOOKS !== 0) return []
      const machine = world.machines[(looks / EVERY_LOOKS) % world.machines.length]
      const input = machine === undefined ? null : inputOf(world, machine)
      if (machine === undefined || input === null || isAsBefore(placed.get(machine), input)) return []
      placed.set(machine, input)
      const once = placing(input)
      const differing = (again: Places): SlotId[] =>
        [...once].flatMap(([slot, member]) => (again.get(slot) === member ? [] : [slot]))
      const other = asAnother(input)
      return [
        ...differing(placing(reversed(input))).map(
          (slot) => `${machine.name} places ${slot} by the order of its facts`,
        ),
        ...(other === null ? [] : differing(placing(other))).map(
          (slot) => `${machine.name} places ${slot} where another member would not`,
        ),
      ]
    },
  }
}

/** The time alone is another one: it moves slots away from the dead, whatever the order of anything. */
const isAsBefore = (
  before: PlanInput | undefined,
  { view, statuses, membership, local }: PlanInput,
): boolean =>
  before?.view === view &&
  before.statuses === statuses &&
  before.membership.members === membership.members &&
  before.membership.brakedUntilMs === membership.brakedUntilMs &&
  before.local.length === local.length &&
  before.local.every((facts, at) => facts === local[at])

const inputOf = (world: World, { agent }: Machine): PlanInput | null => {
  if (agent === null) return null
  const { self, view, statuses, membership, local, nowMs } = world.sightOf(agent)
  return { self, view, statuses, membership, local, nowMs }
}

const reversed = (input: PlanInput): PlanInput => ({
  ...input,
  view: {
    ...input.view,
    services: input.view.services.toReversed(),
    members: input.view.members.toReversed(),
    removed: input.view.removed.toReversed(),
  },
  membership: { ...input.membership, members: input.membership.members.toReversed() },
  statuses: new Map(
    [...input.statuses]
      .reverse()
      .map(([member, status]) => [
        member,
        { ...status, instances: new Map([...status.instances].reverse()) },
      ]),
  ),
  local: input.local.toReversed(),
})

/** The same facts as the next member has them; null where its own hands would know more than its status. */
const asAnother = (input: PlanInput): PlanInput | null => {
  const { members } = input.view
  if (members.some(({ cordoned }) => cordoned)) return null
  if (input.membership.members.some(({ state }) => state === 'dead')) return null
  const at = members.findIndex(({ id }) => id === input.self)
  const other = members[(at + 1) % members.length]
  return other === undefined || at < 0 ? null : { ...input, self: other.id, local: [] }
}

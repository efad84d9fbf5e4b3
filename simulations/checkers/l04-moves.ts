// L4: after one member's change at most the unavoidable moves and a tenth of them happen. Asked of the placement itself, of
// what a peer knows in a calm cluster: when one member were dead for good, which slots would move that it does not hold?

import type { MemberId, SlotId } from '../../lib/ids.ts'
import { place } from '../../node/plan/placement.ts'
import type { PlanInput } from '../../node/plan/plan.ts'
import type { Checker } from './checker.ts'

/** Placing twice costs two milliseconds, so one look in so many asks one peer about one member. */
const EVERY_LOOKS = 10
/** Avoidable moves for each unavoidable one. */
const AVOIDABLE_SHARE = 0.1

type Places = ReadonlyMap<SlotId, MemberId | null>

export const moves = (
  placing: (input: PlanInput) => Places = (input) =>
    new Map([...place(input)].map(([slot, { member }]) => [slot, member])),
): Checker => {
  let looks = 0
  return {
    invariant: 'L4',
    look: ({ world }) => {
      looks += 1
      if (looks % EVERY_LOOKS !== 0) return []
      const machines = world.present()
      const machine = machines[(looks / EVERY_LOOKS) % machines.length]
      const agent = machine?.agent ?? null
      if (machine === undefined || agent === null) return []
      const { self, view, statuses, membership, local, nowMs } = world.sightOf(agent)
      const input = { self, view, statuses, membership, local, nowMs }
      if (membership.members.some(({ state }) => state !== 'alive')) return []
      if (view.members.some(({ id, cordoned, draining }) => cordoned || draining || !statuses.has(id)))
        return []
      const before = placing(input)
      const others = view.members.filter(({ id }) => id !== self)
      const lost = others[looks % Math.max(1, others.length)]
      if (lost === undefined) return []
      const after = placing(without(input, lost.id))
      const moved = [...before].filter(([slot, member]) => member !== null && after.get(slot) !== member)
      const unavoidable = moved.filter(([, member]) => member === lost.id).length
      const avoidable = moved.length - unavoidable
      if (avoidable <= Math.ceil(unavoidable * AVOIDABLE_SHARE)) return []
      return [
        `${machine.name} would move ${avoidable} slots that ${lost.name} does not hold, were ${lost.name} dead`,
      ]
    },
  }
}

/** A member that died so long ago that it keeps nothing. */
const without = (input: PlanInput, member: MemberId): PlanInput => ({
  ...input,
  membership: {
    ...input.membership,
    brakedUntilMs: null,
    members: input.membership.members.map((one) =>
      one.id === member ? { ...one, state: 'dead', sinceMs: Number.NEGATIVE_INFINITY } : one,
    ),
  },
})

// Stewards: what needs one decider has an owner that rendezvous hashing names among the members that are present. No
// election and no lease: when the steward dies, every peer computes the same next one. During a partition each side has
// its own, so a duty must be idempotent.

import { hash32, mix32 } from '../../lib/hash.ts'
import { compareStrings } from '../../lib/order.ts'
import type { MemberId } from '../../lib/ids.ts'
import { isPresent } from './eligibility.ts'
import type { PlanInput } from './plan.ts'

/** The steward of a duty, a service id for example; null when nobody is present. */
export const stewardOf = (duty: string, input: Pick<PlanInput, 'view' | 'membership'>): MemberId | null =>
  stewardAmong(duty, presentMembers(input))

/** Members of the view that are present, in no particular order. */
export const presentMembers = (
  input: Pick<PlanInput, 'membership'> & { readonly view: Pick<PlanInput['view'], 'members'> },
): readonly MemberId[] => {
  const admitted = new Set(input.view.members.map((member) => member.id))
  return input.membership.members.flatMap(({ id, state }) =>
    admitted.has(id) && isPresent(state) ? [id] : [],
  )
}

/** The steward among some members: the highest hash, and on a tie the lowest id. */
export const stewardAmong = (duty: string, members: readonly MemberId[]): MemberId | null =>
  stewardsAmong(members)(duty)

/** The same for many duties of the same members. */
export const stewardsAmong = (members: readonly MemberId[]): ((duty: string) => MemberId | null) => {
  const hashed = members.map((member) => ({ member, hash: hash32(member) }))
  return (duty) => {
    const dutyHash = hash32(`steward/${duty}`)
    let best: MemberId | null = null
    let bestHash = -1
    for (const { member, hash } of hashed) {
      const mixed = mix32(dutyHash ^ hash)
      if (mixed > bestHash || (mixed === bestHash && best !== null && compareStrings(member, best) < 0)) {
        best = member
        bestHash = mixed
      }
    }
    return best
  }
}

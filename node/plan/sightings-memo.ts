// What passes look up about the other members, kept from one to the next: who holds which slot, who lives, what they are
// called. Of a thousand members a few say something new between two passes, and only those are looked at again. It only
// saves work: the same as made anew from the input, whatever it has seen. Belongs to one caller.

import { changedMembers } from '../../lib/changed-members.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { InstanceStatus } from '../../crdt/schema/status.ts'
import type { MemberView } from '../../crdt/schema/view.ts'
import { compareStrings } from '../../lib/order.ts'
import type { MemberLiveness } from '../../net/membership.ts'
import type { PlanInput } from './plan.ts'

/** An instance of a slot on another member. */
export interface Sighting {
  readonly member: MemberId
  readonly status: InstanceStatus
}

type Instances = ReadonlyMap<string, InstanceStatus>

const NONE: Instances = new Map()

export class SightingsMemo {
  #liveness: ReadonlyMap<MemberId, MemberLiveness> = new Map()
  #livenessOf: readonly MemberLiveness[] | null = null
  #names: ReadonlyMap<MemberId, string> = new Map()
  #namesOf: readonly MemberView[] | null = null
  /** The other members, of whom there is an index of their slots, and what that was made from. */
  #others: ReadonlySet<MemberId> = new Set()
  #othersOf: (Pick<PlanInput, 'self'> & { readonly members: readonly MemberView[] }) | null = null
  #statuses: PlanInput['statuses'] = new Map()
  #bySlot = new Map<string, readonly Sighting[]>()

  liveness({ members }: PlanInput['membership']): ReadonlyMap<MemberId, MemberLiveness> {
    if (this.#livenessOf !== members) this.#liveness = new Map(members.map((member) => [member.id, member]))
    this.#livenessOf = members
    return this.#liveness
  }

  names({ members }: PlanInput['view']): ReadonlyMap<MemberId, string> {
    if (this.#namesOf !== members) this.#names = new Map(members.map(({ id, name }) => [id, name]))
    this.#namesOf = members
    return this.#names
  }

  /** Instances on other members by slot, in order of the members' ids and of their own. True until the next call. */
  slots(input: Pick<PlanInput, 'self' | 'view' | 'statuses'>): ReadonlyMap<string, readonly Sighting[]> {
    const { self, view, statuses } = input
    if (this.#othersOf?.members !== view.members || this.#othersOf.self !== self) {
      this.#othersOf = { self, members: view.members }
      this.#others = new Set(view.members.flatMap(({ id }) => (id === self ? [] : [id])))
      this.#statuses = new Map()
      this.#bySlot = new Map()
    }
    const before = this.#statuses
    for (const member of changedMembers(before, statuses) ?? this.#others) {
      const said = before.get(member)?.instances ?? NONE
      const says = statuses.get(member)?.instances ?? NONE
      if (said !== says && this.#others.has(member)) this.#resight(member, said, says)
    }
    this.#statuses = statuses
    return this.#bySlot
  }

  #resight(member: MemberId, before: Instances, now: Instances): void {
    const seen = new Map<string, Sighting[]>()
    for (const [id, status] of before) if (now.get(id) !== status) seen.set(status.slot, [])
    for (const [id, status] of now) if (before.get(id) !== status) seen.set(status.slot, [])
    if (seen.size === 0) return
    for (const status of now.values()) seen.get(status.slot)?.push({ member, status })
    for (const [slot, own] of seen) {
      const others = this.#bySlot.get(slot) ?? []
      const sightings = [
        ...others.filter((other) => compareStrings(other.member, member) < 0),
        ...own,
        ...others.filter((other) => compareStrings(other.member, member) > 0),
      ]
      if (sightings.length === 0) this.#bySlot.delete(slot)
      else this.#bySlot.set(slot, sightings)
    }
  }
}

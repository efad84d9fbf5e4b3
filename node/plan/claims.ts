// Claims: which of several members that serve one slot goes on serving it. A member gives its instance up only in favour
// of a ready one of a higher claim, and while a member holds a slot its claim to it never falls. So what a status says of
// a claim, however old, is a lower bound, and the claims of those that end rise along the chain "ended in favour of":
// there is no circle in it, and the last of the chain serves (S8). The same view on both sides would prove nothing,
// since two members can change places between two views, each seeing the other where it has just been. Numbers as in
// Lamport, "Time, Clocks, and the Ordering of Events" (1978), section 3: each exceeds all seen before; ties go by id.

import type { MemberId, SlotId } from '../../lib/ids.ts'
import { compareStrings } from '../../lib/order.ts'
import type { PlanInput } from './plan.ts'
import type { Sightings } from './sightings.ts'

/** A member's claim to one slot, as it last said. */
export interface Claim {
  readonly member: MemberId
  /** 0 where it says none: it never had a rival. */
  readonly claim: number
}

/** Positive when `a` outranks `b`; 0 only for one and the same member. */
export const compareClaims = (a: Claim, b: Claim): number =>
  a.claim - b.claim || compareStrings(a.member, b.member)

/**
 * What a member has said of its own claims, by slot: the highest of its entries, for a claim is to the slot, whatever
 * the release. Its own last status holds them; a restart of the peer voids it, and claims begin anew.
 */
export const saidClaims = (input: Pick<PlanInput, 'self' | 'statuses'>): ReadonlyMap<string, number> => {
  const said = new Map<string, number>()
  for (const { slot, claim = 0 } of input.statuses.get(input.self)?.instances.values() ?? [])
    said.set(slot, Math.max(claim, said.get(slot) ?? 0))
  return said
}

export class Claims {
  readonly #self: MemberId
  readonly #sightings: Sightings
  readonly #said: ReadonlyMap<string, number>

  constructor(input: PlanInput, sightings: Sightings) {
    this.#self = input.self
    this.#sightings = sightings
    this.#said = saidClaims(input)
  }

  /** The claim to a slot that is placed elsewhere: it stays what it was. */
  held(slot: SlotId): number {
    return this.#said.get(slot) ?? 0
  }

  /**
   * The claim to a slot that is placed here: above that of every other member that serves it, so that they give way.
   * Those with another view may raise theirs likewise; answering them would be a race, so it waits until they agree.
   */
  owned(slot: SlotId): number {
    return this.#above(slot, true)
  }

  /** The claim of an instance that begins: above that of everybody who serves. It begins once, so nobody races. */
  begun(slot: SlotId): number {
    return this.#above(slot, false)
  }

  /** Who serves the slot with a claim above this peer's, the highest of them; null: nobody. */
  superior(slot: SlotId): MemberId | null {
    const own = { member: this.#self, claim: this.held(slot) }
    const [best] = this.#sightings.servers(slot).toSorted((a, b) => compareClaims(b, a))
    return best !== undefined && compareClaims(best, own) > 0 ? best.member : null
  }

  #above(slot: SlotId, agreeing: boolean): number {
    let own = { member: this.#self, claim: this.held(slot) }
    for (const rival of this.#sightings.servers(slot)) {
      if (agreeing && !this.#sightings.agrees(rival.member)) continue
      if (compareClaims(rival, own) > 0) own = { ...own, claim: rival.claim + 1 }
    }
    return own.claim
  }
}

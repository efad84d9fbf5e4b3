// Observer rings: who watches whom, worked out alike on every peer from the ids alone. As in Rapid (Suresh et al., ATC
// 2018, §4.1) there are K pseudo-random permutations of the members, and in each one a member is observed by its
// predecessor. Unlike Rapid's, the K observers are distinct: a ring whose predecessor is taken already walks on, so
// that five members never watch one with a single pair of eyes. Knows nothing of connections or of who is alive.

import { hash32 } from '../lib/hash.ts'
import type { MemberId } from '../lib/ids.ts'
import { compareStrings } from '../lib/order.ts'

/** Observers per member: three that must agree, and two that may be slow, cut off or dead at the same time. */
export const OBSERVERS_PER_MEMBER = 5

export interface Rings {
  /**
   * The observers of `member`, at most K and all of them when there are fewer, in the order of their rings. `member`
   * itself may be on the rings or not: a member that everybody lost is still watched for its return.
   */
  observersOf(member: MemberId): readonly MemberId[]
  /** Who of the members on the rings is observed by `observer`, sorted. */
  observedBy(observer: MemberId): readonly MemberId[]
}

interface Seat {
  readonly id: MemberId
  readonly key: number
}

const seatOn = (ring: number, id: MemberId): Seat => ({ id, key: hash32(`${ring}/${id}`) })

const compareSeats = (a: Seat, b: Seat): number => a.key - b.key || compareStrings(a.id, b.id)

/** A peer draws rings over who is present and over everybody, mostly the same members; a kept answer is the answer. */
const KEPT_MAX = 2
let latest: readonly { readonly ids: readonly MemberId[]; readonly k: number; readonly rings: Rings }[] = []

/** Rings over `members`. The same set gives the same rings in any order; one member more or less moves few observers. */
export const ringsOf = (members: Iterable<MemberId>, k: number = OBSERVERS_PER_MEMBER): Rings => {
  const ids = [...new Set(members)].sort(compareStrings)
  const known = latest.find((one) => one.k === k && sameIds(one.ids, ids))
  if (known !== undefined) return known.rings
  const rings = draw(ids, k)
  latest = [{ ids, k, rings }, ...latest].slice(0, KEPT_MAX)
  return rings
}

const sameIds = (a: readonly MemberId[], b: readonly MemberId[]): boolean =>
  a.length === b.length && a.every((id, at) => id === b[at])

const draw = (ids: readonly MemberId[], k: number): Rings => {
  const rings = Array.from({ length: k }, (_, ring) => ids.map((id) => seatOn(ring, id)).sort(compareSeats))
  const kept = new Map<MemberId, readonly MemberId[]>()
  const observersOf = (member: MemberId): readonly MemberId[] => {
    const known = kept.get(member)
    if (known !== undefined) return known
    const chosen: MemberId[] = []
    for (const [at, ring] of rings.entries()) {
      const next = predecessor(ring, seatOn(at, member), chosen)
      if (next !== null) chosen.push(next)
    }
    kept.set(member, chosen)
    return chosen
  }
  return {
    observersOf,
    observedBy: (observer) => ids.filter((id) => observersOf(id).includes(observer)),
  }
}

/** The nearest seat before `seat`, going round, that is neither its own nor taken; null when there is none left. */
const predecessor = (ring: readonly Seat[], seat: Seat, taken: readonly MemberId[]): MemberId | null => {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >> 1
    const other = ring[middle]
    if (other !== undefined && compareSeats(other, seat) < 0) low = middle + 1
    else high = middle
  }
  for (let step = 1; step <= ring.length; step += 1) {
    const other = ring[(low - step + ring.length) % ring.length]
    if (other !== undefined && other.id !== seat.id && !taken.includes(other.id)) return other.id
  }
  return null
}

/** The observers of one member among `members`. For many questions about one set, keep `ringsOf`. */
export const observersOf = (
  member: MemberId,
  members: Iterable<MemberId>,
  k: number = OBSERVERS_PER_MEMBER,
): readonly MemberId[] => ringsOf(members, k).observersOf(member)

/** Whom `observer` watches among `members`, sorted. */
export const observedBy = (
  observer: MemberId,
  members: Iterable<MemberId>,
  k: number = OBSERVERS_PER_MEMBER,
): readonly MemberId[] => ringsOf(members, k).observedBy(observer)

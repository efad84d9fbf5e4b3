// Preferences: for every slot the first few members in the hash's order, kept between elections. They depend on ids and
// weights alone, never on load, state or constraints, so one member that joins costs one hash per slot and one that
// leaves costs nothing. An election that finds no answer among them scans all candidates: same answer, only slower.

import { hash32 } from '../../lib/hash.ts'
import { compareStrings } from '../../lib/order.ts'
import { slotIdOf, type ServiceId, type SlotId } from '../../lib/ids.ts'
import type { RosterMember } from './eligibility.ts'
import { pairCost } from './score.ts'

/** Preferences kept per slot. Sixteen miss only for slots that nearly everybody must refuse. */
const KEPT = 16

/** The members known to the memo: one entry for each (id, weight) ever met since it was last rebuilt. */
interface Universe {
  readonly ids: string[]
  readonly hashes: number[]
  readonly weights: number[]
  readonly indexOf: Map<string, number>
}

/** Preferences of one service's slots, row by row. */
interface Rows {
  slots: SlotId[]
  hashes: number[]
  /** Indexes into the universe, best first, KEPT a row; -1 ends a short row. */
  best: Int32Array
  costs: Float64Array
  /** How much of the universe the rows have seen. */
  seen: number
}

export class Preferences {
  readonly #universe: Universe = { ids: [], hashes: [], weights: [], indexOf: new Map() }
  readonly #rows = new Map<ServiceId, Rows>()
  /** Of a universe entry its place in the present roster, or -1. */
  #present = new Int32Array(0)
  /** Of the roster's members their universe entry. */
  #entryOf = new Int32Array(0)

  /** Makes a roster the present one. Call before anything else in an election. */
  enrol(members: readonly RosterMember[]): void {
    // Rebuilt when most of it is gone, so that its size follows the fleet and not its history (S14).
    if (this.#universe.ids.length > 2 * members.length + KEPT) {
      this.#rows.clear()
      Object.assign(this.#universe, { ids: [], hashes: [], weights: [], indexOf: new Map() })
    }
    this.#entryOf = Int32Array.from(members, (member) => this.#entry(member))
    this.#present = new Int32Array(this.#universe.ids.length).fill(-1)
    this.#entryOf.forEach((entry, at) => {
      this.#present[entry] = at
    })
  }

  /** Drops what it holds of services that are gone. */
  retain(services: ReadonlySet<ServiceId>): void {
    for (const id of this.#rows.keys()) if (!services.has(id)) this.#rows.delete(id)
  }

  /** The slots of a replicated service, with their preferences brought up to date. */
  prepare(service: ServiceId, replicas: number): Row {
    let rows = this.#rows.get(service)
    if (rows === undefined) {
      rows = { slots: [], hashes: [], best: new Int32Array(0), costs: new Float64Array(0), seen: 0 }
      this.#rows.set(service, rows)
    }
    this.#resize(service, rows, replicas)
    const { best, slots, hashes } = rows
    return {
      slots,
      hashOf: (seat) => hashes[seat] ?? 0,
      preferred: (seat, rank) => {
        const entry = rank < KEPT ? (best[seat * KEPT + rank] ?? -1) : -1
        return entry < 0 ? -2 : (this.#present[entry] ?? -1)
      },
    }
  }

  /** The cost of a slot on a member of the present roster. */
  cost(slotHash: number, member: number): number {
    return pairCost(slotHash, this.#universe.hashes[this.#entryOf[member] ?? 0] ?? 0)
  }

  #entry(member: RosterMember): number {
    const { ids, hashes, weights, indexOf } = this.#universe
    const key = `${member.id}*${member.weight}`
    const known = indexOf.get(key)
    if (known !== undefined) return known
    indexOf.set(key, ids.length)
    ids.push(member.id)
    hashes.push(hash32(member.id))
    weights.push(member.weight)
    return ids.length - 1
  }

  #resize(service: ServiceId, rows: Rows, replicas: number): void {
    const before = rows.slots.length
    const known = Math.min(before, replicas)
    if (replicas !== before) {
      const best = new Int32Array(replicas * KEPT).fill(-1)
      const costs = new Float64Array(replicas * KEPT)
      best.set(rows.best.subarray(0, known * KEPT))
      costs.set(rows.costs.subarray(0, known * KEPT))
      rows.best = best
      rows.costs = costs
      rows.slots = Array.from({ length: replicas }, (_, seat) => rows.slots[seat] ?? slotIdOf(service, seat))
      rows.hashes = rows.slots.map((slot, seat) => rows.hashes[seat] ?? hash32(slot))
    }
    for (let seat = 0; seat < replicas; seat += 1) this.#rank(rows, seat, seat < known ? rows.seen : 0)
    rows.seen = this.#universe.ids.length
  }

  /** Inserts the universe's entries from `from` on into one row. */
  #rank(rows: Rows, seat: number, from: number): void {
    const { hashes, weights } = this.#universe
    const slotHash = rows.hashes[seat] ?? 0
    const last = seat * KEPT + KEPT - 1
    for (let entry = from; entry < hashes.length; entry += 1) {
      const cost = pairCost(slotHash, hashes[entry] ?? 0)
      const worst = rows.best[last] ?? -1
      if (worst >= 0 && cost * (weights[worst] ?? 1) > (rows.costs[last] ?? 0) * (weights[entry] ?? 1))
        continue
      this.#insert(rows, seat * KEPT, entry, cost)
    }
  }

  #insert(rows: Rows, first: number, entry: number, cost: number): void {
    const { best, costs } = rows
    let at = first + KEPT - 1
    const worst = best[at] ?? -1
    if (worst >= 0 && !this.#precedes(entry, cost, worst, costs[at] ?? 0)) return
    while (at > first) {
      const other = best[at - 1] ?? -1
      if (other >= 0 && !this.#precedes(entry, cost, other, costs[at - 1] ?? 0)) break
      best[at] = other
      costs[at] = costs[at - 1] ?? 0
      at -= 1
    }
    best[at] = entry
    costs[at] = cost
  }

  #precedes(entry: number, cost: number, other: number, otherCost: number): boolean {
    const { ids, weights } = this.#universe
    const left = cost * (weights[other] ?? 1)
    const right = otherCost * (weights[entry] ?? 1)
    return left < right || (left === right && compareStrings(ids[entry] ?? '', ids[other] ?? '') < 0)
  }
}

/** The slots of one service with their preferences. */
export interface Row {
  readonly slots: readonly SlotId[]
  readonly hashOf: (seat: number) => number
  /** The roster's member at a rank: -1 when that one is not in the roster, -2 when no more are kept. */
  readonly preferred: (seat: number, rank: number) => number
}

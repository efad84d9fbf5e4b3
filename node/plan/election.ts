// The election: slot by slot in canonical order, each goes to the best-scored member that the rules admit, and counts
// against that member for the slots after it. Hard rules (eligibility, constraints, reservations, replicas per node)
// are never broken; soft ones are given up in a stated order when nobody is left. explain.ts watches the same run.
//
// Loss of one member: its slots go to their next preference; others move only where such a slot now takes their seat.

import { hash32 } from '../../lib/hash.ts'
import { compareStrings } from '../../lib/order.ts'
import { seatOfSlot, type ServiceId, type SlotId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import { inOrder, type Electorate, type Groups, type Pool } from './electorate.ts'
import type { Preferences } from './preferences.ts'
import { slotsOf } from './slots.ts'

/**
 * How far rules are bent for a slot. 0: not at all. 1: beyond the load bound. 2: also beyond an even spread over
 * members. 3: also beyond an even spread over the label. The operator's own word, the label, is given up last.
 */
export type Leniency = 0 | 1 | 2 | 3

/** What is asked while one slot is being elected. */
export interface Race {
  readonly slot: SlotId
  readonly service: ServiceView
  /** Seat number; in global mode the place in the order of names. */
  readonly seat: number
  readonly hash: number
  readonly pool: Pool
  readonly keepers: readonly number[]
  readonly groups: Groups | null
  /** Members that stand for this service: open ones, and those that keep. */
  readonly candidates: number
  /** Slots of this service that one member may hold before the others have as many. */
  readonly memberShare: number
  readonly groupShare: number
}

/** Seats below this spread over members as evenly as numbers allow: people count the replicas of such services. */
const EVEN_SEATS = 16
/** Further slots a member may take from that seat on: with two, fewer than one choice in ten meets a full member. */
const EVEN_SLACK = 2

/**
 * Slots of one service that a member may hold once a seat of this number is there: the seats before it, shared out
 * evenly, and one. It depends on lower seats only, so that scaling a service never moves what it had. A perfect fit of
 * many seats on as many members would move a chain of slots (its length grows with the logarithm of their number)
 * whenever one member goes; hence the slack for high seats.
 */
export const memberShareOf = (seat: number, candidates: number): number =>
  Math.floor(seat / Math.max(candidates, 1)) + 1 + (seat < EVEN_SEATS ? 0 : EVEN_SLACK)

export interface Outcome {
  /** Place in the roster; -1: nobody. */
  readonly member: number
  readonly leniency: Leniency
}

export class Election {
  readonly electorate: Electorate
  readonly preferences: Preferences
  /** Per member: replicated slots held, reservations held, and slots of the service at hand. */
  readonly loads: Int32Array
  readonly cpus: Float64Array
  readonly memory: Float64Array
  readonly mine: Int32Array
  readonly #cpusMax: Float64Array
  readonly #memoryMax: Float64Array
  #perGroup = new Int32Array(0)

  constructor(electorate: Electorate, preferences: Preferences) {
    const { members } = electorate
    this.electorate = electorate
    this.preferences = preferences
    this.loads = new Int32Array(members.length)
    this.cpus = new Float64Array(members.length)
    this.memory = new Float64Array(members.length)
    this.mine = new Int32Array(members.length)
    this.#cpusMax = Float64Array.from(members, (member) => member.cpusMilli)
    this.#memoryMax = Float64Array.from(members, (member) => member.memoryBytes)
    preferences.enrol(members)
  }

  /**
   * Elects every slot and tells each outcome. `before` sees the state just before a slot is elected; false ends the
   * election there.
   */
  run(elected: (race: Race, outcome: Outcome) => void, before?: (race: Race) => boolean): void {
    const services = inOrder(this.electorate.input.view.services)
    this.preferences.retain(new Set<ServiceId>(services.map((service) => service.id)))
    for (const service of services) {
      if (service.stopped) continue
      this.mine.fill(0)
      const goesOn =
        service.mode === 'global'
          ? this.#runGlobal(service, elected, before)
          : this.#runReplicated(service, elected, before)
      if (!goesOn) return
    }
  }

  /** May the member hold the slot at hand, and how far would rules have to bend? -1: not at all. */
  judge(race: Race, member: number): Leniency | -1 {
    const { service, groups } = race
    if (race.pool.open[member] !== 1 && !this.#keeps(race, member)) return -1
    if (!this.fits(race, member)) return -1
    const mine = this.mine[member] ?? 0
    if (service.replicasPerNodeMax !== null && mine >= service.replicasPerNodeMax) return -1
    if (groups !== null && this.groupLoad(race, member) >= race.groupShare) return 3
    if (mine >= race.memberShare) return 2
    return (this.loads[member] ?? 0) >= (this.electorate.bounds[member] ?? 0) ? 1 : 0
  }

  fits(race: Race, member: number): boolean {
    const { reservedCpusMilli: cpus, reservedMemoryBytes: memory } = race.service
    if (cpus > 0 && (this.cpus[member] ?? 0) + cpus > (this.#cpusMax[member] ?? 0)) return false
    return memory === 0 || (this.memory[member] ?? 0) + memory <= (this.#memoryMax[member] ?? 0)
  }

  /** Slots of the service at hand in the member's group. */
  groupLoad(race: Race, member: number): number {
    return this.#perGroup[race.groups?.of[member] ?? 0] ?? 0
  }

  #keeps(race: Race, member: number): boolean {
    return race.keepers.includes(member) && this.electorate.members[member]?.held.has(race.slot) === true
  }

  #runReplicated(
    service: ServiceView,
    elected: (race: Race, outcome: Outcome) => void,
    before?: (race: Race) => boolean,
  ): boolean {
    const { electorate } = this
    const row = this.preferences.prepare(service.id, service.replicas)
    const pool = electorate.pool(service)
    const keepers = electorate.keepers(service)
    const groups = electorate.groups(service, keepers)
    const candidates = pool.openList.length + keepers.length
    this.#perGroup = new Int32Array(groups?.count ?? 0)
    let hopeless = false
    for (let seat = 0; seat < service.replicas; seat += 1) {
      const slot = row.slots[seat]
      if (slot === undefined) break
      const race: Race = {
        slot,
        service,
        seat,
        hash: row.hashOf(seat),
        pool,
        keepers,
        groups,
        candidates,
        memberShare: memberShareOf(seat, candidates),
        groupShare: Math.floor(seat / Math.max(groups?.count ?? 1, 1)) + 1,
      }
      if (before !== undefined && !before(race)) return false
      // Room only shrinks within a service: once nobody could take a slot, only a keeper can take a later one.
      const outcome: Outcome =
        hopeless && keepers.length === 0 ? { member: -1, leniency: 0 } : this.#choose(race, row.preferred)
      if (outcome.member < 0) hopeless = true
      else this.#seat(race, outcome.member)
      elected(race, outcome)
    }
    return true
  }

  #choose(race: Race, preferred: (seat: number, rank: number) => number): Outcome {
    for (let rank = 0; ; rank += 1) {
      const member = preferred(race.seat, rank)
      if (member === -2) break
      if (member >= 0 && this.judge(race, member) === 0) return { member, leniency: 0 }
    }
    return this.#scan(race)
  }

  /** The best candidate of the least leniency, looking at all of them. */
  #scan(race: Race): Outcome {
    const { members } = this.electorate
    let member = -1
    let leniency: Leniency = 3
    let cost = 0
    const look = (at: number): void => {
      const verdict = this.judge(race, at)
      if (verdict === -1 || (member >= 0 && verdict > leniency)) return
      const own = this.preferences.cost(race.hash, at)
      if (member >= 0 && verdict === leniency) {
        // Cross-multiplied, so that no division rounds; equal scores go to the lower id, which is the earlier place.
        const left = own * (members[member]?.weight ?? 1)
        const right = cost * (members[at]?.weight ?? 1)
        if (left > right || (left === right && at > member)) return
      }
      member = at
      leniency = verdict
      cost = own
    }
    for (const at of race.pool.openList) look(at)
    for (const at of race.keepers) look(at)
    return { member, leniency: member < 0 ? 0 : leniency }
  }

  #runGlobal(
    service: ServiceView,
    elected: (race: Race, outcome: Outcome) => void,
    before?: (race: Race) => boolean,
  ): boolean {
    const { electorate } = this
    const pool = electorate.pool(service)
    const keepers = electorate.keepers(service)
    const byName = new Map<string, number>()
    for (const at of pool.openList) byName.set(electorate.members[at]?.name ?? '', at)
    for (const at of keepers) {
      const member = electorate.members[at]
      if (member?.held.has(`${service.id}/${member.name}` as SlotId) === true) byName.set(member.name, at)
    }
    const names = [...byName.keys()].sort(compareStrings)
    for (const [seat, slot] of slotsOf(service, names).entries()) {
      const race: Race = {
        slot,
        service,
        seat,
        hash: hash32(slot),
        pool,
        keepers,
        groups: null,
        candidates: names.length,
        memberShare: 1,
        groupShare: 1,
      }
      if (before !== undefined && !before(race)) return false
      const member = byName.get(seatOfSlot(slot)) ?? -1
      const fits = member >= 0 && this.fits(race, member)
      if (fits) this.#seat(race, member)
      elected(race, { member: fits ? member : -1, leniency: 0 })
    }
    return true
  }

  #seat(race: Race, member: number): void {
    const { service, groups } = race
    this.mine[member] = (this.mine[member] ?? 0) + 1
    this.cpus[member] = (this.cpus[member] ?? 0) + service.reservedCpusMilli
    this.memory[member] = (this.memory[member] ?? 0) + service.reservedMemoryBytes
    // Global services put the same load on everybody, so the bound leaves them out.
    if (service.mode === 'replicated') this.loads[member] = (this.loads[member] ?? 0) + 1
    const group = groups?.of[member] ?? -1
    if (group >= 0) this.#perGroup[group] = (this.#perGroup[group] ?? 0) + 1
  }
}

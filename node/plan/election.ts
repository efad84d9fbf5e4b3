// The election: slot by slot in canonical order, each goes to the best-scored member that the rules admit, and counts
// against that member for the slots after it. Hard rules (eligibility, constraints, reservations, replicas per node)
// are never broken; soft ones are given up in a stated order when nobody is left. Slots whose home stands are seated
// there before any other is elected (homes.ts). explain.ts watches the same run.

import { hash32 } from '../../lib/hash.ts'
import { compareStrings } from '../../lib/order.ts'
import { seatOfSlot, type ServiceId, type SlotId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import { inOrder, type Electorate, type Groups } from './electorate.ts'
import type { Preferences } from './preferences.ts'
import { groupShareOf, memberShareOf, type Leniency, type Outcome, type Race } from './race.ts'
import { slotsOf } from './slots.ts'

/** Where slots live when everybody is there, for those that somebody can hold then. */
export type Homes = ReadonlyMap<ServiceId, ReadonlyMap<SlotId, Outcome>>

/** Follows an election. */
export interface Watch {
  readonly elected: (race: Race, outcome: Outcome, election: Election) => void
  /** Sees the state just before a slot is elected; not called for slots that are seated at home. */
  readonly look?: ((election: Election, race: Race) => void) | undefined
}

/** One service while its slots are elected. */
interface Ballot extends Omit<Race, 'slot' | 'hash' | 'memberShare' | 'groupShare'> {
  readonly homes: ReadonlyMap<SlotId, Outcome> | undefined
}

const NO_HOMES: Homes = new Map()

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

  /** Seats every slot whose home stands, elects the others, and tells each outcome in canonical order. Runs once. */
  run(watch: Watch, homes: Homes = NO_HOMES): void {
    const services = inOrder(this.electorate.input.view.services)
    this.preferences.retain(new Set<ServiceId>(services.map((service) => service.id)))
    const ballots = services.filter(({ stopped }) => !stopped).map((service) => this.#ballot(service, homes))
    for (const ballot of ballots) this.#seatHomes(ballot)
    for (const ballot of ballots) {
      if (ballot.service.mode === 'global') this.#runGlobal(ballot, watch)
      else this.#runReplicated(ballot, watch)
    }
  }

  /** May the member hold the slot at hand, and how far would rules have to bend? -1: not at all. */
  judge(race: Race, member: number): Leniency | -1 {
    const { service, groups } = race
    if (!this.#stands(race, race.slot, member) || !this.fits(race, member)) return -1
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
  groupLoad(race: Pick<Race, 'groups'>, member: number): number {
    return this.#perGroup[race.groups?.of[member] ?? 0] ?? 0
  }

  #stands({ pool, keepers }: Pick<Race, 'pool' | 'keepers'>, slot: SlotId, member: number): boolean {
    if (pool.open[member] === 1) return true
    return this.electorate.members[member]?.held.has(slot) === true && keepers.includes(member)
  }

  #ballot(service: ServiceView, homes: Homes): Ballot {
    const pool = this.electorate.pool(service)
    const keepers = this.electorate.keepers(service)
    const groups = service.mode === 'global' ? null : this.electorate.groups(service, keepers)
    const candidates = pool.openList.length + keepers.length
    return { service, pool, keepers, groups, candidates, homes: homes.get(service.id) }
  }

  /** The home of a slot, where that can hold it now. What is at home together fits together: it did in the first stage. */
  #atHome(ballot: Ballot, slot: SlotId): Outcome | null {
    const home = ballot.homes?.get(slot)
    return home !== undefined && this.#stands(ballot, slot, home.member) ? home : null
  }

  #seatHomes(ballot: Ballot): void {
    for (const slot of ballot.homes?.keys() ?? []) {
      const home = this.#atHome(ballot, slot)
      if (home !== null) this.#load(ballot.service, home.member)
    }
  }

  #runReplicated(ballot: Ballot, { elected, look }: Watch): void {
    const { service, pool, keepers, groups, candidates, homes } = ballot
    const row = this.preferences.prepare(service.id, service.replicas)
    this.mine.fill(0)
    this.#perGroup = new Int32Array(groups?.count ?? 0)
    const atHome = row.slots.map((slot) => this.#atHome(ballot, slot))
    let seated = 0
    for (const home of atHome) {
      if (home === null) continue
      this.#count(groups, home.member)
      seated += 1
    }
    let hopeless = false
    for (const [seat, slot] of row.slots.entries()) {
      const race: Race = {
        slot,
        service,
        hash: row.hashOf(seat),
        pool,
        keepers,
        groups,
        candidates,
        memberShare: memberShareOf(seated, candidates),
        groupShare: groupShareOf(seated, groups),
      }
      const home = atHome[seat] ?? null
      if (home !== null) {
        elected(race, home, this)
        continue
      }
      look?.(this, race)
      // Room only shrinks within a service: once nobody could take a slot, only a keeper can take a later one.
      const choice = hopeless && keepers.length === 0 ? NOBODY : this.#choose(race, seat, row.preferred)
      if (choice.member < 0) hopeless = true
      else {
        this.#load(service, choice.member)
        this.#count(groups, choice.member)
        seated += 1
      }
      elected(race, { ...choice, candidates, home: homes?.get(slot)?.member ?? choice.member }, this)
    }
  }

  #choose(race: Race, seat: number, preferred: (seat: number, rank: number) => number): Choice {
    for (let rank = 0; ; rank += 1) {
      const member = preferred(seat, rank)
      if (member === -2) break
      if (member >= 0 && this.judge(race, member) === 0) return { member, leniency: 0 }
    }
    return this.#scan(race)
  }

  /** The best candidate of the least leniency, looking at all of them. */
  #scan(race: Race): Choice {
    let best = NOBODY
    const look = (member: number): void => {
      const leniency = this.judge(race, member)
      if (leniency !== -1 && (best.member < 0 || this.#precedes(race, { member, leniency }, best)))
        best = { member, leniency }
    }
    for (const at of race.pool.openList) look(at)
    for (const at of race.keepers) look(at)
    return best
  }

  /** Less leniency first; then, where a spread is given up, whoever keeps it most even; then the hash's order. */
  #precedes(race: Race, a: Choice, b: Choice): boolean {
    if (a.leniency !== b.leniency) return a.leniency < b.leniency
    if (a.leniency === 3) {
      const groupLoads = this.groupLoad(race, a.member) - this.groupLoad(race, b.member)
      if (groupLoads !== 0) return groupLoads < 0
    }
    if (a.leniency >= 2) {
      const mine = (this.mine[a.member] ?? 0) - (this.mine[b.member] ?? 0)
      if (mine !== 0) return mine < 0
    }
    const { members } = this.electorate
    // Cross-multiplied, so that no division rounds; equal scores go to the lower id, which is the earlier place.
    const left = this.preferences.cost(race.hash, a.member) * (members[b.member]?.weight ?? 1)
    const right = this.preferences.cost(race.hash, b.member) * (members[a.member]?.weight ?? 1)
    return left < right || (left === right && a.member < b.member)
  }

  #runGlobal(ballot: Ballot, { elected, look }: Watch): void {
    const { electorate } = this
    const { service, pool, keepers, homes } = ballot
    this.mine.fill(0)
    const byName = new Map<string, number>()
    for (const at of pool.openList) byName.set(electorate.members[at]?.name ?? '', at)
    for (const at of keepers) {
      const member = electorate.members[at]
      if (member?.held.has(`${service.id}/${member.name}` as SlotId) === true) byName.set(member.name, at)
    }
    const names = [...byName.keys()].sort(compareStrings)
    const shares = { candidates: names.length, memberShare: 1, groupShare: 1 }
    for (const slot of slotsOf(service, names)) {
      const race: Race = { slot, service, hash: hash32(slot), pool, keepers, groups: null, ...shares }
      const home = this.#atHome(ballot, slot)
      if (home === null) look?.(this, race)
      const own = byName.get(seatOfSlot(slot)) ?? -1
      const member = home?.member ?? (own >= 0 && this.fits(race, own) ? own : -1)
      if (home === null && member >= 0) this.#load(service, member)
      const outcome = { member, leniency: 0, candidates: names.length } as const
      elected(race, { ...outcome, home: homes?.get(slot)?.member ?? member }, this)
    }
  }

  #load(service: ServiceView, member: number): void {
    this.cpus[member] = (this.cpus[member] ?? 0) + service.reservedCpusMilli
    this.memory[member] = (this.memory[member] ?? 0) + service.reservedMemoryBytes
    // Global services put the same load on everybody, so the bound leaves them out.
    if (service.mode === 'replicated') this.loads[member] = (this.loads[member] ?? 0) + 1
  }

  #count(groups: Groups | null, member: number): void {
    this.mine[member] = (this.mine[member] ?? 0) + 1
    const group = groups?.of[member] ?? -1
    if (group >= 0) this.#perGroup[group] = (this.#perGroup[group] ?? 0) + 1
  }
}

type Choice = Pick<Outcome, 'member' | 'leniency'>

const NOBODY: Choice = { member: -1, leniency: 0 }

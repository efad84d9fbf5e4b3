// The electorate: who can be elected. Per service the members that stand, their groups for the
// spread, and each member's bound of the whole load. Prepared once per election and shared by services with the same
// constraints. Deliberately absent: anything that changes while slots are elected.

import { hash32 } from '../../lib/hash.ts'
import { compareStrings } from '../../lib/order.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import { confinementLack, demandKey } from './confinement.ts'
import { refusalBy } from './constraints.ts'
import {
  asIfThere,
  isPresent,
  keepsUntilMs,
  rosterOf,
  standingOf,
  type RosterMember,
  type Standing,
} from './eligibility.ts'
import type { PlanInput } from './plan.ts'

/**
 * The bound of a member's load, as a multiple of its fair share. Mirrokni, Thorup and Zadimoghaddam ("Consistent Hashing
 * with Bounded Loads", SODA 2018) trade balance for moves. At 1.5 a join moved 14 % more than it had to (100 services of
 * 100 slots, 1,000 members), at 2 below 2 %: hardly a member is at its bound, so a change of one moves none of another.
 */
const BOUND_FACTOR = 2
/** Slots above that bound: small fleets and small loads get room for chance, which would otherwise move slots. */
const BOUND_SLACK = 2

/** Bits of the per-member fraction added before rounding down, so that a changing average moves few bounds at once. */
const FRACTION_BITS = 16

/** Members that meet one set of constraints and can confine in one way. */
export interface Pool {
  /** Why a member does not meet the constraints, in words that follow its name; null: it does. */
  readonly refusal: (member: RosterMember) => string | null
  /** Why a member cannot confine instances as asked, likewise. */
  readonly lack: (member: RosterMember) => string | null
  /** 1 for members that are open and meet the constraints. */
  readonly open: Uint8Array
  /** The same as a list, in roster order. */
  readonly openList: readonly number[]
}

/** Groups of members with one value of the spread label. */
export interface Groups {
  readonly of: Int32Array
  readonly count: number
}

export class Electorate {
  readonly input: PlanInput
  readonly members: readonly RosterMember[]
  /** Slots of all replicated services together: what the load bound shares out. */
  readonly slotsTotal: number
  #bounds: Float64Array | null = null
  /** Members whose standing depends on the service or the slot: cordoned or dead. */
  readonly #special: readonly number[]
  readonly #pools = new Map<string, Pool>()
  readonly #groups = new Map<string, Groups>()

  constructor(input: PlanInput, members: readonly RosterMember[] = rosterOf(input)) {
    this.input = input
    this.members = members
    this.#special = this.members.flatMap((member, at) =>
      member.outReason === null && (member.cordoned || !isPresent(member.state)) ? [at] : [],
    )
    this.slotsTotal = input.view.services.reduce(
      (total, service) =>
        total + (service.stopped || service.mode === 'global' ? 0 : Math.max(service.replicas, 0)),
      0,
    )
  }

  /** By member, how many slots of all services it may hold at most. */
  get bounds(): Float64Array {
    this.#bounds ??= this.#boundsOf()
    return this.#bounds
  }

  /** The same fleet with everybody there: every member open that has said its facts. Null when that is so already. */
  whole(): Electorate | null {
    const everybody = this.members.map(asIfThere)
    return everybody.every((member, at) => member === this.members[at])
      ? null
      : new Electorate(this.input, everybody)
  }

  standing(member: RosterMember, service: ServiceView): Standing {
    return standingOf(member, service, this.input.nowMs, this.input.membership.brakedUntilMs)
  }

  /** Cordoned and dead members that may keep slots of a service, in roster order. */
  keepers(service: ServiceView): readonly number[] {
    if (this.#special.length === 0) return []
    const { refusal, lack } = this.pool(service)
    return this.#special.filter((at) => {
      const member = this.members[at]
      return (
        member !== undefined &&
        this.standing(member, service).kind === 'keeps' &&
        refusal(member) === null &&
        lack(member) === null
      )
    })
  }

  pool(service: ServiceView): Pool {
    const key = poolKey(service)
    const known = this.#pools.get(key)
    if (known !== undefined) return known
    const refusal = refusalBy(service.constraints)
    const lack = (member: RosterMember): string | null => confinementLack(service, member.confinement)
    const open = new Uint8Array(this.members.length)
    const openList: number[] = []
    this.members.forEach((member, at) => {
      if (member.outReason !== null || member.cordoned || !isPresent(member.state)) return
      if (refusal(member) !== null || lack(member) !== null) return
      open[at] = 1
      openList.push(at)
    })
    const pool = { refusal, lack, open, openList }
    this.#pools.set(key, pool)
    return pool
  }

  /** A member without the label is in the group of the empty value, as in Swarm. */
  groups(service: ServiceView, keepers: readonly number[]): Groups | null {
    if (service.spread === null) return null
    const label = service.spread.slice('node.labels.'.length)
    const key = `${service.spread}\n${keepers.join(',')}\n${poolKey(service)}`
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const of = new Int32Array(this.members.length).fill(-1)
    const values = new Map<string, number>()
    const candidates = [...this.pool(service).openList, ...keepers].sort((a, b) => a - b)
    for (const at of candidates) {
      const value = labelOf(this.members[at], label)
      const group = values.get(value) ?? values.size
      values.set(value, group)
      of[at] = group
    }
    const groups = { of, count: values.size }
    this.#groups.set(key, groups)
    return groups
  }

  /** floor(2 × fair share + u) + slack, with u the member's own fraction of one slot. */
  #boundsOf(): Float64Array {
    const counted = this.members.map((member) => (this.#counts(member) ? member.weight : 0))
    const total = Math.max(
      counted.reduce((sum, weight) => sum + weight, 0),
      1,
    )
    const scale = 2 ** FRACTION_BITS
    return Float64Array.from(this.members, (member) => {
      const fraction = hash32(`bound/${member.id}`) >>> (32 - FRACTION_BITS)
      const share = BOUND_FACTOR * this.slotsTotal * member.weight * scale
      return Math.floor((share + fraction * total) / (total * scale)) + BOUND_SLACK
    })
  }

  /** A dead member counts as long as any service waits for it, so that its death alone changes nobody's bound. */
  #counts(member: RosterMember): boolean {
    if (member.outReason !== null) return false
    if (isPresent(member.state)) return true
    const { nowMs, membership, view } = this.input
    return view.services.some(
      (service) =>
        service.onPartition !== 'stay' && keepsUntilMs(member, service, membership.brakedUntilMs) > nowMs,
    )
  }
}

/** Equal for services that the same members can hold. */
const poolKey = (service: ServiceView): string => [demandKey(service), ...service.constraints].join('\n')

export const labelOf = (member: RosterMember | undefined, label: string): string =>
  member !== undefined && Object.hasOwn(member.labels, label) ? (member.labels[label] ?? '') : ''

/** Services in canonical order: by id, in code units. */
export const inOrder = (services: readonly ServiceView[]): readonly ServiceView[] =>
  services.toSorted((a, b) => compareStrings(a.id, b.id))

// Who was an operator, in the causal past of a change: the past is what makes every peer judge it alike (S4). A past is
// the set of changes to members' lives and roles in it. Nearly all changes have the very past of the change before
// them, so pasts are interned and shared, and a question costs a look-up.

import type { MemberId } from '../lib/ids.ts'
import { LIFE, lifeRank, memberOfEntity, parseLife } from './fields.ts'
import { Registers, type PlacedOp, type WriteOrigin } from './registers.ts'

/** One interned set of membership changes. */
export interface MembershipPast {
  /** Indices of the changes, ascending, so that causes come before effects. */
  readonly changes: readonly number[]
}

interface MembershipChange {
  readonly ops: readonly PlacedOp[]
  readonly origin: WriteOrigin
}

/** Whether an op says who is a member, or what a member may do. */
export const touchesMembership = ({ entity, field }: PlacedOp): boolean =>
  entity.startsWith('members/') && (field === LIFE || field === 'role')

export class CausalMembership {
  readonly nobody: MembershipPast = { changes: [] }
  readonly #interned = new Map<string, MembershipPast>([['', this.nobody]])
  readonly #changes = new Map<number, MembershipChange>()
  readonly #operators = new Map<MembershipPast, ReadonlySet<MemberId>>()

  /** The past of a change whose dependencies left these memberships behind. */
  union(pasts: readonly MembershipPast[]): MembershipPast {
    const distinct = [...new Set(pasts)]
    const [first = this.nobody] = distinct
    if (distinct.length < 2) return first
    const changes = new Set(distinct.flatMap((past) => past.changes))
    return this.#intern([...changes].sort((a, b) => a - b))
  }

  /** The past of what comes after a change: its own past, and itself where it touches membership. */
  after(past: MembershipPast, index: number, ops: readonly PlacedOp[], origin: WriteOrigin): MembershipPast {
    const own = ops.filter(touchesMembership)
    if (own.length === 0) return past
    this.#changes.set(index, { ops: own, origin })
    return this.#intern([...past.changes, index])
  }

  /** The live operators of a past. */
  operators(past: MembershipPast): ReadonlySet<MemberId> {
    const kept = this.#operators.get(past)
    if (kept !== undefined) return kept
    const registers = new Registers()
    for (const index of past.changes) {
      const change = this.#changes.get(index)
      if (change !== undefined) registers.apply(change.ops, change.origin)
    }
    const operators = new Set<MemberId>()
    for (const entity of registers.entities()) {
      const fields = registers.entity(entity)
      const lives = (fields?.get(LIFE) ?? []).flatMap(({ value }) => parseLife(value) ?? [])
      const highest = lives.toSorted((a, b) => lifeRank(b) - lifeRank(a))[0]
      const operates = fields?.get('role')?.at(-1)?.value === 'operator'
      if (highest?.gone === false && operates) operators.add(memberOfEntity(entity))
    }
    this.#operators.set(past, operators)
    return operators
  }

  #intern(changes: readonly number[]): MembershipPast {
    const key = changes.join(',')
    const kept = this.#interned.get(key)
    if (kept !== undefined) return kept
    const past: MembershipPast = { changes }
    this.#interned.set(key, past)
    return past
  }
}

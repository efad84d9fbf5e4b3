// What a rebalance would do. Placement is computed from what is wanted and who is there, and remembers nothing, so there
// is nothing that drifts and nothing to put right: a rebalance changes nothing. What can differ from an election of those
// who are there are slots whose home is away, and the shares that members who are gone for good still count for. This file
// says which, and what their removal would move.

import type { MemberId, SlotId } from '../../lib/ids.ts'
import { compareStrings } from '../../lib/order.ts'
import { Electorate } from './electorate.ts'
import { absenceOf, isPresent } from './eligibility.ts'
import { forecastView, type Known, type SlotChange } from './forecast.ts'
import { electAll } from './homes.ts'
import type { PlanInput } from './plan.ts'
import { Preferences } from './preferences.ts'

/** A slot that is not at home. */
export interface Away {
  readonly slot: SlotId
  readonly member: MemberId
  readonly home: MemberId
  /** Why its home cannot hold it now, in words that follow the home's name. */
  readonly reason: string
}

/** What one member holds. */
export interface Share {
  readonly member: MemberId
  readonly slots: number
  readonly reservedCpusMilli: number
  readonly reservedMemoryBytes: number
}

export interface Rebalance {
  /** By member id, those that are present. */
  readonly shares: readonly Share[]
  readonly away: readonly Away[]
  /** Members that are dead or have left and are not removed: they are still the home of their share. */
  readonly gone: readonly MemberId[]
  /** What the removal of all of those would move: the placement of those who are there as if elected anew. */
  readonly anew: readonly SlotChange[]
}

/** Looks; moves nothing. */
export const rebalanceOf = (input: PlanInput, known: Known = {}): Rebalance => {
  const electorate = new Electorate(input)
  const { members } = electorate
  const away: Away[] = []
  const shares = new Map<MemberId, Share>()
  for (const member of members) {
    if (!isPresent(member.state)) continue
    shares.set(member.id, { member: member.id, slots: 0, reservedCpusMilli: 0, reservedMemoryBytes: 0 })
  }
  electAll(electorate, known.memo?.preferences ?? new Preferences(), {
    elected: ({ slot, service }, outcome) => {
      const member = members[outcome.member]
      if (member === undefined) return
      const share = shares.get(member.id)
      if (share !== undefined)
        shares.set(member.id, {
          ...share,
          slots: share.slots + 1,
          reservedCpusMilli: share.reservedCpusMilli + service.reservedCpusMilli,
          reservedMemoryBytes: share.reservedMemoryBytes + service.reservedMemoryBytes,
        })
      const home = members[outcome.home]
      if (home !== undefined && home.id !== member.id && service.mode === 'replicated')
        away.push({ slot, member: member.id, home: home.id, reason: absenceOf(home) })
    },
  })
  const gone = members.filter(({ state }) => !isPresent(state)).map(({ id }) => id)
  const view = { ...input.view, members: input.view.members.filter(({ id }) => !gone.includes(id)) }
  const anew = gone.length === 0 ? [] : forecastView(input, view, known).slots
  return {
    shares: [...shares.values()].sort((a, b) => compareStrings(a.member, b.member)),
    away,
    gone: gone.sort(compareStrings),
    anew,
  }
}

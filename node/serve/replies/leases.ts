// Leases and voters in replies: what this peer knows of them by itself, as a voter and as a holder. Pure. No peer knows
// all: a voter knows what it has promised, and a promise alone is no lease; but where one stands, nobody else holds it.

import type { LeaseReply, VotersReply, VotersStanding } from '../api/contract-leases.ts'
import type { Static } from 'typebox'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { areLost, shortageOf } from '../../plan/lease/terms.ts'
import type { SlotPlacement } from '../../plan/plan.ts'
import type { ServiceReply as ServiceReplySchema } from '../api/contract.ts'
import { nameOf, type Reading } from './reading.ts'

type ServiceReply = Static<typeof ServiceReplySchema>

/** The lease of a slot; undefined: none that this peer knows of. */
export const leaseReply = (reading: Reading, slot: string): LeaseReply | undefined => {
  const { leases, promises = [], nowMs, self } = reading.snapshot
  const own = leases?.get(slot)
  if (own?.kind === 'held')
    return {
      holder: nameOf(reading, self),
      token: own.token,
      leftMs: Math.max(0, Math.floor(own.untilMs - nowMs)),
    }
  const promise = promises.find((one) => one.slot === slot)
  if (promise === undefined) return undefined
  const { holder, token, leftMs } = promise
  // Promises are made to members.
  return { holder: nameOf(reading, holder as MemberId), token, leftMs: Math.floor(leftMs) }
}

/** The leases of a quorum service, slot by slot. */
export const leasesOf = (
  reading: Reading,
  { onPartition }: Pick<ServiceView, 'onPartition'>,
  slots: readonly SlotPlacement[],
): Pick<ServiceReply, 'leases'> => {
  if (onPartition !== 'quorum') return {}
  const leases = slots.flatMap(({ slot }) => {
    const lease = leaseReply(reading, slot)
    return lease === undefined ? [] : [{ slot, ...lease }]
  })
  return leases.length === 0 ? {} : { leases }
}

/** Who votes, by name. */
export const votersReply = (reading: Reading): VotersReply => {
  const { voters = null } = reading.snapshot
  if (voters === null) return null
  const named = (members: readonly string[]): string[] =>
    members.map((member) => nameOf(reading, member as MemberId)).sort()
  return { present: named(voters.present), former: voters.former === null ? null : named(voters.former) }
}

/** Who votes, and whether they can decide anything. */
export const votersStanding = (reading: Reading): VotersStanding => {
  const { voters = null, view, membership, self } = reading.snapshot
  if (voters === null) return { voters: null, lacking: 'this peer has heard of no voters', lost: true }
  const here = membership.members.filter(({ state }) => state === 'alive' || state === 'suspect')
  const operators = view.members.filter(({ role }) => role === 'operator').map(({ id }) => id)
  return {
    voters: votersReply(reading),
    lacking: shortageOf(voters, new Set([self, ...here.map(({ id }) => id)])),
    lost: areLost(voters, operators),
  }
}

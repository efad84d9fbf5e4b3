// Replies about what would be. Builds the situation that a request describes, out of the reading; whoever asks does the
// looking, one machine at a time. Pure.

import { memberOf } from '../../../crdt/edits.ts'
import type { PeerFacts } from '../../../crdt/schema/status.ts'
import type { MemberView, View } from '../../../crdt/schema/view.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { sortedBy } from '../../../lib/order.ts'
import { isPresent } from '../../plan/eligibility.ts'
import { forecast, type Forecast, type SlotChange } from '../../plan/forecast.ts'
import type { PlacementMemo } from '../../plan/placement.ts'
import { PLACEMENT_VERSION } from '../../plan/placement-version.ts'
import type { PlanInput } from '../../plan/plan.ts'
import { rebalanceOf } from '../../plan/rebalance.ts'
import { lossOf, outagesAt, withMember, withoutMembers, withStanding } from '../../plan/what-if.ts'
import type {
  AddedPeer,
  RebalanceReply,
  SimulationReply,
  SimulationRequest,
} from '../api/contract-simulate.ts'
import { asOf, nameOf, type Reading } from './reading.ts'

type LossReply = SimulationReply['losses'][number]

/** More than this part of the members lost at once, and those that are left take nothing over before the hold is over (S16). */
const BRAKE_SHARE = 0.5

/** What a request asks about. */
export interface Simulated {
  readonly after: PlanInput
  readonly lost: ReadonlySet<MemberId>
  readonly forecast: Forecast
  readonly memo: PlacementMemo
}

/** @param view the view with the edits asked for. @throws TuttiError `unknown` for a peer that is none. */
export const simulated = (
  reading: Reading,
  view: View,
  request: SimulationRequest,
  memo: PlacementMemo,
): Simulated => {
  const idsOf = (names: readonly string[] = []): ReadonlySet<MemberId> =>
    new Set(names.map((name) => memberOf(view, name).id))
  const lost = idsOf(request.kill)
  let after: PlanInput = { ...reading.snapshot, view, unreadySinceMs: new Map() }
  after = withStanding(after, idsOf(request.cordon), { cordoned: true })
  after = withStanding(after, idsOf(request.drain), { cordoned: true, draining: true })
  for (const [at, added] of (request.add ?? []).entries()) {
    const name = added.name ?? `new-${at + 1}`
    after = withMember(after, memberNamed(name), factsOf(reading.snapshot.wall, name, added))
  }
  if (lost.size > 0) after = withoutMembers(after, lost)
  return {
    after,
    lost,
    memo,
    forecast: forecast(reading.snapshot, after, { memo, before: reading.placements }),
  }
}

/** An id that no key has: it stands for whatever the machine will draw, so which slots it takes is an example. */
const memberNamed = (name: string): MemberView => ({
  id: `simulated/${name}` as MemberId,
  name,
  role: 'runner',
  addresses: [],
  cordoned: false,
  draining: false,
})

const factsOf = (
  wall: number,
  name: string,
  { cpusMilli, memoryBytes, labels = {} }: AddedPeer,
): PeerFacts => ({
  version: '',
  placementVersionMax: PLACEMENT_VERSION,
  labels,
  cpusMilli,
  memoryBytes,
  addresses: [],
  host: name,
  startedAt: Math.max(0, Math.floor(wall)),
  running: true,
})

/** Machines whose loss is worth a look afterwards: those that would hold something, by name. */
export const holdersAfter = ({ after, lost, forecast }: Simulated): readonly MemberView[] => {
  const holders = new Set([...forecast.placements.values()].map(({ member }) => member))
  const present = new Set(
    after.membership.members.filter(({ state }) => isPresent(state)).map(({ id }) => id),
  )
  return sortedBy(
    after.view.members.filter(({ id }) => holders.has(id) && present.has(id) && !lost.has(id)),
    ({ name }) => name,
  )
}

/** What the loss of one more machine comes to: one election. */
export const lossReply = ({ after, forecast, memo }: Simulated, { id, name }: MemberView): LossReply => {
  const { slots, outages, interrupted } = lossOf(after, new Set([id]), forecast.placements, memo)
  return {
    peer: name,
    survivable: outages.length === 0,
    moves: slots.filter(({ kind }) => kind === 'move').length,
    outages: outages.map((outage) => ({ ...outage })),
    interrupted: [...interrupted],
  }
}

export const simulationReply = (
  reading: Reading,
  { after, lost, forecast }: Simulated,
  edits: SimulationReply['edits'],
): SimulationReply => {
  const unplaced = forecast.slots.filter(({ kind }) => kind === 'unplaceable')
  const outages = [...unplaced, ...outagesAt(forecast.placements, lost)]
  const living = reading.members.filter(({ present }) => present).length
  const brakes = lost.size > living * BRAKE_SHARE
  return {
    asOf: asOf(reading),
    edits,
    slots: slotsReply(after.view, reading, forecast.slots),
    outages: outages.map(({ slot, reason }) => ({ slot, reason })),
    warnings: [
      ...forecast.warnings,
      ...(brakes
        ? ['more than half of the peers are lost: those that are left wait for the isolation hold first']
        : []),
    ],
    survivable: null,
    losses: [],
    unchecked: [],
  }
}

const slotsReply = (
  { members }: View,
  reading: Reading,
  slots: readonly SlotChange[],
): SimulationReply['slots'] => {
  const names = new Map(members.map(({ id, name }) => [id, name]))
  const shown = (id: MemberId | null): string | null =>
    id === null ? null : (names.get(id) ?? nameOf(reading, id))
  return slots.map(({ slot, kind, from, to, reason }) => ({
    slot,
    kind,
    from: shown(from),
    to: shown(to),
    reason,
  }))
}

export const rebalanceReply = (reading: Reading, memo: PlacementMemo): RebalanceReply => {
  const { snapshot } = reading
  const { shares, away, gone, anew } = rebalanceOf(snapshot, { memo, before: reading.placements })
  const name = (id: MemberId): string => nameOf(reading, id)
  return {
    asOf: asOf(reading),
    peers: sortedBy(
      shares.map(({ member, ...share }) => ({ peer: name(member), ...share })),
      ({ peer }) => peer,
    ),
    away: away.map(({ slot, member, home, reason }) => ({
      slot,
      peer: name(member),
      home: name(home),
      reason,
    })),
    gone: gone.map(name).sort(),
    anew: slotsReply(snapshot.view, reading, anew),
  }
}

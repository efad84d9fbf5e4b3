// The reply of `GET /v1/placements`: for each slot why here, why not there, what would change it, and how far the wanted
// release is. Pure; the explanations themselves are node/plan's.

import { TuttiError } from '../../../lib/errors.ts'
import type { ServiceId, SlotId } from '../../../lib/ids.ts'
import { explainService, type Explanation } from '../../plan/explain.ts'
import type { ExplainReply } from '../api/contract.ts'
import { leaseReply } from './leases.ts'
import { asOf, nameOf, type Reading } from './reading.ts'
import { rolloutRows, slotReleaseRow } from './rollouts.ts'
import { unfulfilledOf } from './services.ts'

/** Slots explained in one reply. Each re-runs the election (some ms at 200 members), and nobody reads more. */
const EXPLAINED_MAX = 32

/**
 * Explains one slot, or the slots of a service. A service without slots (stopped, scaled to none) has no explanations.
 * @throws TuttiError `unknown` when the slot is not wanted.
 */
export const explainReply = (reading: Reading, service: ServiceId, slot?: SlotId): ExplainReply => {
  const wanted = [...reading.placements.values()].filter((placement) => placement.service === service)
  const slots = wanted.map((placement) => placement.slot)
  if (slot !== undefined && !slots.includes(slot)) {
    const range = slots.length === 0 ? 'none' : `${slots[0]} to ${slots.at(-1)}`
    throw new TuttiError('unknown', `there is no slot '${slot}'; the slots of ${service}: ${range}`)
  }
  const view = reading.snapshot.view.services.find(({ id }) => id === service)
  const [rollout] = view === undefined || view.stopped ? [] : rolloutRows(reading, service)
  const asked = slot === undefined ? slots.slice(0, EXPLAINED_MAX) : [slot]
  return {
    asOf: asOf(reading),
    slots: explainService(reading.snapshot, asked).map((explanation) => ({
      ...explained(reading, explanation, view?.release),
      ...(view === undefined ? {} : { release: slotReleaseRow(reading, view, explanation.slot, slots) }),
    })),
    ...(rollout === undefined ? {} : { rollout }),
    omitted: slot === undefined ? slots.length - asked.length : 0,
  }
}

const leasedSlot = (reading: Reading, slot: string): Pick<ExplainReply['slots'][number], 'lease'> => {
  const lease = leaseReply(reading, slot)
  return lease === undefined ? {} : { lease }
}

const explained = (
  reading: Reading,
  { slot, member, reason, version, candidates, changes }: Explanation,
  release: string | undefined,
): ExplainReply['slots'][number] => ({
  slot,
  peer: member === null ? null : nameOf(reading, member),
  reason,
  version,
  ...leasedSlot(reading, slot),
  candidates: candidates.map(({ name, eligible, reasons, rank }) => ({
    peer: name,
    eligible,
    reasons: [...reasons],
    rank,
  })),
  changes: [...changes],
  unfulfilled:
    unfulfilledOf(
      reading,
      [...reading.placements.values()].filter((one) => one.slot === slot),
      release,
    )[0] ?? null,
})

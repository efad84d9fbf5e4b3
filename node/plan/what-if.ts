// What if: the same situation with members lost, added, cordoned or drained, and whether it would survive the loss of one
// more. Situations are plain inputs of a plan, so the answer is placement's own, the one that all peers would act on.
// Deliberately absent: time. What is asked is where everything stands once every delay is over.

import type { MemberStatus, PeerFacts } from '../../crdt/schema/status.ts'
import type { MemberView } from '../../crdt/schema/view.ts'
import type { MemberId, ServiceId, SlotId } from '../../lib/ids.ts'
import { isPresent } from './eligibility.ts'
import { forecast, type Known, type SlotChange } from './forecast.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'

/** The same situation with some members dead for so long that nobody waits for them any more. */
export const withoutMembers = (input: PlanInput, gone: ReadonlySet<MemberId>): PlanInput => {
  const delaysMs = input.view.services.map(({ rescheduleAfterMs }) => rescheduleAfterMs)
  // Just over: reasons say how long a member has been dead.
  const sinceMs = input.nowMs - delaysMs.reduce((a, b) => Math.max(a, b), 0) - 1
  return {
    ...input,
    membership: {
      brakedUntilMs: null,
      members: input.membership.members.map((member) =>
        gone.has(member.id) && isPresent(member.state) ? { ...member, state: 'dead', sinceMs } : member,
      ),
    },
  }
}

/** The same situation with one more member, alive and empty. */
export const withMember = (input: PlanInput, member: MemberView, facts: PeerFacts): PlanInput => {
  const status: MemberStatus = {
    incarnation: 0,
    facts,
    report: null,
    instances: new Map(),
    alerts: new Map(),
  }
  const liveness = { id: member.id, state: 'alive', sinceMs: input.nowMs, silent: false } as const
  return {
    ...input,
    view: { ...input.view, members: [...input.view.members, member] },
    statuses: new Map([...input.statuses, [member.id, status]]),
    membership: { ...input.membership, members: [...input.membership.members, liveness] },
  }
}

/** The same situation with operators' word on some members: what they may take and keep. */
export const withStanding = (
  input: PlanInput,
  members: ReadonlySet<MemberId>,
  standing: Partial<Pick<MemberView, 'cordoned' | 'draining'>>,
): PlanInput => ({
  ...input,
  view: {
    ...input.view,
    members: input.view.members.map((member) =>
      members.has(member.id) ? { ...member, ...standing } : member,
    ),
  },
})

/** A slot that would not run. */
export interface Outage {
  readonly slot: SlotId
  readonly reason: string
}

/** What the loss of some members comes to, once nobody waits for them any more. */
export interface Loss {
  readonly slots: readonly SlotChange[]
  /** Slots that ran and would not run any more: nobody can hold them, or they may not leave who is lost. */
  readonly outages: readonly Outage[]
  /** Services all of whose slots were there: they are down until they have started elsewhere. */
  readonly interrupted: readonly ServiceId[]
}

/** @param before where slots are placed in `input`. */
export const lossOf = (
  input: PlanInput,
  gone: ReadonlySet<MemberId>,
  before: ReadonlyMap<SlotId, SlotPlacement>,
  memo?: Known['memo'],
): Loss => {
  const { slots, placements } = forecast(input, withoutMembers(input, gone), { memo, before })
  const stranded = outagesAt(placements, gone)
  const unplaced = slots
    .filter(({ kind, slot }) => kind === 'unplaceable' && before.get(slot)?.member !== null)
    .map(({ slot, reason }) => ({ slot, reason }))
  return { slots, outages: [...unplaced, ...stranded], interrupted: interruptedBy(before, gone) }
}

/** Slots that are bound to who is lost. */
export const outagesAt = (
  placements: ReadonlyMap<SlotId, SlotPlacement>,
  gone: ReadonlySet<MemberId>,
): readonly Outage[] =>
  [...placements.values()].flatMap(({ slot, member }) =>
    member !== null && gone.has(member)
      ? [{ slot, reason: 'its service never moves by itself (on_partition: stay)' }]
      : [],
  )

const interruptedBy = (
  before: ReadonlyMap<SlotId, SlotPlacement>,
  gone: ReadonlySet<MemberId>,
): readonly ServiceId[] => {
  const whole = new Map<ServiceId, boolean>()
  for (const { service, member } of before.values()) {
    if (member === null) continue
    whole.set(service, gone.has(member) && whole.get(service) !== false)
  }
  return [...whole].filter(([, isWhole]) => isWhole).map(([service]) => service)
}

// Replies about rollouts: each service's wanted release, how far it is, and what its steward says of it. Pure. Where nobody
// hands out waves, the slots themselves say how far it is.

import type { ServiceId, SlotId } from '../../../lib/ids.ts'
import type { RolloutStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import { hookKeyOf } from '../../plan/rollout/hooks.ts'
import { isStewarded, policyOf } from '../../plan/rollout/policy.ts'
import { rolloutSteward } from '../../plan/rollout/stewardship.ts'
import type { RolloutReply, SlotReleaseReply } from '../api/contract-rollout.ts'
import { nameOf, slotsByService, type Reading } from './reading.ts'

/** One row for each service that is not stopped, or for one of them. */
export const rolloutRows = (reading: Reading, only?: ServiceId): RolloutReply[] => {
  const slots = slotsByService(reading)
  return reading.snapshot.view.services
    .filter(({ id, stopped }) => (only === undefined ? !stopped : id === only))
    .map((service) => rowOf(reading, service, slots.get(service.id) ?? []))
}

/** Those that somebody judges, and those that have been rejected: what a follower of a change has to know. */
export const judgedRollouts = (reading: Reading): RolloutReply[] =>
  reading.snapshot.view.services.some((service) => isStewarded(service) || service.rejected !== undefined)
    ? rolloutRows(reading).filter(({ steward, rejected }) => steward !== null || rejected.length > 0)
    : []

const rowOf = (
  reading: Reading,
  service: ServiceView,
  slots: readonly { readonly slot: string }[],
): RolloutReply => {
  const ready = slots.filter(({ slot }) =>
    (reading.bySlot.get(slot) ?? []).some(
      ({ member, status }) =>
        member.present &&
        status.release === service.release &&
        (status.state === 'ready' || status.state === 'stopped'),
    ),
  ).length
  const stewarded = isStewarded(service) && !service.stopped
  const steward = stewarded ? rolloutSteward(service.id, reading.snapshot) : null
  const base = {
    service: service.id,
    release: service.release,
    slots: slots.length,
    ready,
    steward: steward === null ? null : nameOf(reading, steward),
    ...hookRows(reading, service),
    rejected: rejectedRows(service),
  }
  const word = stewarded ? wordOf(reading, service) : null
  if (word !== null) {
    const { phase, reason, wave, open, since, good, verified } = word
    return { ...base, phase, reason, wave, open: Math.min(open, slots.length), since, good, verified }
  }
  const phase = stewarded ? 'waiting' : ready >= slots.length ? 'done' : 'rolling'
  const reason = stewarded ? 'its steward has not said anything of this release yet' : ''
  const open = stewarded ? 0 : slots.length
  return { ...base, phase, reason, wave: 0, open, since: 0, good: null, verified: false }
}

/** The steward's word on the wanted release, else that of whoever said it before. */
const wordOf = (reading: Reading, service: ServiceView): RolloutStatus | null => {
  const steward = rolloutSteward(service.id, reading.snapshot)
  const words = reading.members.flatMap(({ view: { id }, present, status }) => {
    const word = status?.rollouts?.get(service.id)
    return present && word?.release === service.release ? [{ id, word }] : []
  })
  return (words.find(({ id }) => id === steward) ?? words[0])?.word ?? null
}

/** What one slot has of the wanted release. */
export const slotReleaseRow = (
  reading: Reading,
  service: ServiceView,
  slot: SlotId,
  slots: readonly SlotId[],
): SlotReleaseReply => {
  const seen = (reading.bySlot.get(slot) ?? []).filter(({ member }) => member.present)
  const wanted = seen.find(({ status }) => status.release === service.release)?.status
  const policy = policyOf(service, slots.length)
  return {
    canary: isStewarded(service) && policy.proves && slots.indexOf(slot) < policy.first,
    state: wanted?.state ?? null,
    others: seen
      .filter(({ status }) => status.release !== service.release)
      .map(({ member, status: { release, state } }) => ({ release, peer: member.view.name, state })),
    reason: wanted === undefined || wanted.state === 'ready' ? '' : wanted.reason,
  }
}

/** Everybody's word on the hook before the wanted release. */
const hookRows = (reading: Reading, service: ServiceView): Pick<RolloutReply, 'preDeploy'> => {
  const key = hookKeyOf(service, service.release)
  const rows = reading.members.flatMap(({ view: { name }, present, status }) => {
    const hook = status?.hooks?.get(key)
    if (hook === undefined) return []
    const { state, attempt = 1 } = hook
    const reason = state === 'running' && !present ? 'its peer is not there' : hook.reason
    return [{ peer: name, state, reason, attempt }]
  })
  return rows.length === 0 ? {} : { preDeploy: rows.sort((a, b) => b.attempt - a.attempt) }
}

const rejectedRows = ({ rejected = {} }: ServiceView): RolloutReply['rejected'] =>
  Object.entries(rejected)
    .map(([release, { reason, at, to }]) => ({ release, reason, at, to }))
    .sort((a, b) => b.at - a.at || (a.release < b.release ? -1 : 1))

// Edits about rollouts, as pure functions of the view: an operator's word on one, and the way back from a release to an
// earlier one. A way back is an ordinary edit of the fields that make the release; whatever else was changed meanwhile
// (replicas, constraints) stays. Deliberately absent: when to go back, which node/plan/rollout judges.

import { TuttiError } from '../lib/errors.ts'
import type { ReleaseId, ServiceId } from '../lib/ids.ts'
import { canonicalJson, sortedBy } from '../lib/order.ts'
import type { Edit, Scalar } from './edit.ts'
import { serviceEdit, serviceOf } from './edits.ts'
import { backToRelease } from './rollback.ts'
import { REJECTED_MAX, type RejectedRelease, type RolloutOrder } from './schema/rollout.ts'
import type { ServiceView, View } from './schema/view.ts'

const editOf = ({ id, generation }: ServiceView, field: string, value: Scalar): Edit =>
  serviceEdit(id, generation, field, value)

/** An operator's word on the rollout of the release that is wanted now. @throws TuttiError `unknown`. */
export const orderRollout = (
  view: View,
  id: ServiceId,
  kind: RolloutOrder['kind'],
  token: string,
): readonly Edit[] => {
  const service = serviceOf(view, id)
  const order: RolloutOrder = { kind, release: service.release, token }
  return [editOf(service, 'rollout', canonicalJson(order))]
}

/**
 * Rejects the wanted release and goes back to `as`, an earlier state of the same service. Nothing to do where another
 * release is wanted by now.
 */
export const rejectRelease = (
  view: View,
  rejected: { readonly service: ServiceId; readonly release: ReleaseId },
  as: ServiceView,
  why: Pick<RejectedRelease, 'reason' | 'at'>,
): readonly Edit[] => {
  const service = view.services.find(({ id }) => id === rejected.service)
  if (service === undefined || service.release !== rejected.release || as.release === rejected.release)
    return []
  const known = service.rejected?.[service.release]
  const record: RejectedRelease = known ?? {
    reason: why.reason.slice(0, REASON_CHARACTERS_MAX),
    at: why.at,
    to: as.release,
  }
  const others = Object.entries(service.rejected ?? {}).filter(([release]) => release !== service.release)
  const oldest = sortedBy(others, ([release]) => release)
    .toSorted(([, a], [, b]) => a.at - b.at)
    .slice(0, Math.max(0, others.length + 1 - REJECTED_MAX))
  return [
    ...backToRelease(view, as),
    editOf(service, `rejected/${service.release}`, canonicalJson({ ...record, to: as.release })),
    // What is gone back to is good again, whatever was said of it.
    ...(others.some(([release]) => release === as.release)
      ? [editOf(service, `rejected/${as.release}`, null)]
      : []),
    ...oldest.map(([release]) => editOf(service, `rejected/${release}`, null)),
  ]
}

/** As the schema bounds it, with room for what JSON escapes. */
const REASON_CHARACTERS_MAX = 500

/** Takes a rejection back. */
const forgive = (view: View, id: ServiceId, release: string): readonly Edit[] => {
  const service = serviceOf(view, id)
  return service.rejected?.[release] === undefined ? [] : [editOf(service, `rejected/${release}`, null)]
}

/** Wants a rejected release once more, whatever was held against it. @throws TuttiError `unknown` service. */
export const retryRelease = (view: View, id: ServiceId, as: ServiceView, token: string): readonly Edit[] => {
  const service = serviceOf(view, id)
  const order: RolloutOrder = { kind: 'resume', release: as.release, token }
  return [
    ...backToRelease(view, as),
    ...forgive(view, id, as.release),
    editOf(service, 'rollout', canonicalJson(order)),
  ]
}

/** @throws TuttiError `refused` where the wanted release of a service was rejected before. */
export const checkNotRejected = (before: View, after: View): void => {
  const earlier = new Map(before.services.map((service) => [service.id, service.release]))
  for (const { id, release, rejected } of after.services) {
    const why = rejected?.[release]
    if (why === undefined || earlier.get(id) === release) continue
    throw new TuttiError(
      'refused',
      `release ${release} of '${id}' was rejected (${why.reason}); change something, or try it again with tutti rollout retry ${id}`,
    )
  }
}

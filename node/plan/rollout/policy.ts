// How a service's rollouts are to go, with every default filled in, and whether they need a steward at all. A plain rolling
// update needs none: peers open their own waves from statuses alone (gates.ts). Whatever waits for a verdict needs one.

import type { ServiceView } from '../../../crdt/schema/view.ts'

export interface RolloutPolicy {
  /** Slots of the first wave. */
  readonly first: number
  /** Slots of each later one. */
  readonly step: number
  /** The first wave must prove itself: it is the canary, or waits for `verify` or an operator. */
  readonly proves: boolean
  /** Every slot has the new release ready before any traffic goes there, and then all of it does. */
  readonly blueGreen: boolean
  readonly monitorMs: number
  readonly delayMs: number
  readonly manual: boolean
  readonly failureAction: 'rollback' | 'pause'
  readonly progressDeadlineMs: number
}

/** As Kubernetes' progressDeadlineSeconds: beyond it nothing comes by waiting. */
const PROGRESS_DEADLINE_MS = 600_000

/** What makes a rollout more than a rolling update. */
const asksForSteward = ({ update, preDeploy, verify }: ServiceView): boolean =>
  (update.canary ?? 0) > 0 ||
  (update.monitorMs ?? 0) > 0 ||
  (update.delayMs ?? 0) > 0 ||
  (update.failureAction ?? null) !== null ||
  (update.progressDeadlineMs ?? null) !== null ||
  update.promote === 'manual' ||
  (preDeploy ?? null) !== null ||
  (verify ?? null) !== null

/** Whether an operator has had a word on the rollout of the wanted release. */
const isOrdered = ({ rollout, release }: ServiceView): boolean => rollout?.release === release

/** Whether a steward hands out the waves of the wanted release. */
export const isStewarded = (service: ServiceView): boolean =>
  asksForSteward(service) ||
  isOrdered(service) ||
  isReturn(service) ||
  service.rejected?.[service.release] !== undefined

/** The wanted release is one that was gone back to: it was good before, so nothing holds it up. */
export const isReturn = ({ release, rejected }: ServiceView): boolean =>
  rejected !== undefined && Object.values(rejected).some(({ to }) => to === release)

/** The policy in force. `slots` is how many the service has. */
export const policyOf = (service: ServiceView, slots: number): RolloutPolicy => {
  const { update, verify } = service
  const step = update.parallelism === 0 ? slots : update.parallelism
  const canary = Math.min(update.canary ?? 0, slots)
  const manual = update.promote === 'manual'
  return {
    first: canary === 0 ? step : canary,
    step,
    proves: canary > 0 || manual || (verify ?? null) !== null,
    blueGreen: isBlueGreen(service),
    monitorMs: update.monitorMs ?? 0,
    delayMs: update.delayMs ?? 0,
    manual,
    // Who asked for no verdict gets none that edits anything.
    failureAction: update.failureAction ?? (asksForSteward(service) ? 'rollback' : 'pause'),
    progressDeadlineMs: update.progressDeadlineMs ?? PROGRESS_DEADLINE_MS,
  }
}

/** All slots at once, start-first, with a steward: the old set serves until the whole new one may. */
export const isBlueGreen = (service: ServiceView): boolean =>
  asksForSteward(service) &&
  !isReturn(service) &&
  service.update.parallelism === 0 &&
  (service.update.canary ?? 0) === 0 &&
  service.update.order === 'start-first'

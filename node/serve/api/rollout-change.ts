// What an operator says of a rollout, as edits. Going back needs an earlier state of the service, which the intent's own
// history has; which one is good, the stewards' words and the instances that run say.

import type { Edit } from '../../../crdt/edit.ts'
import { serviceOf } from '../../../crdt/edits.ts'
import type { Past } from '../../../crdt/past.ts'
import { orderRollout, rejectRelease, retryRelease } from '../../../crdt/rollout-edits.ts'
import type { ServiceView, View } from '../../../crdt/schema/view.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { ServiceId } from '../../../lib/ids.ts'
import { isReturn, isStewarded } from '../../plan/rollout/policy.ts'
import { goodReleaseOf } from '../../plan/rollout/stewardship.ts'
import { wordsOf } from '../../plan/rollout/words.ts'
import type { AgentSnapshot } from '../../ports.ts'
import type { RolloutCommand } from './contract-rollout.ts'

export interface RolloutChangeMakers {
  readonly token: () => string
  readonly past: Pick<Past, 'releasesOf'>
}

/** Releases looked at for the one that was good, or the one to try again. */
const RELEASES_SEARCHED_MAX = 50

/** The service at each release, the latest first. */
const statesOf = (past: RolloutChangeMakers['past'], id: ServiceId): readonly ServiceView[] =>
  past.releasesOf(id, RELEASES_SEARCHED_MAX).map(({ service }) => service)

/** @throws TuttiError `unknown`, or `refused` where there is nothing to say it of. */
export const rolloutEdits = (
  snapshot: AgentSnapshot,
  view: View,
  id: ServiceId,
  order: RolloutCommand,
  makers: RolloutChangeMakers,
): readonly Edit[] => {
  const service = serviceOf(view, id)
  if (order === 'retry') return retry(view, service, makers)
  requireUnderWay(snapshot, view, service, order)
  if (order === 'abort') return abort(snapshot, view, service, makers)
  if (service.stopped) throw new TuttiError('refused', `'${id}' is stopped; start it with tutti start ${id}`)
  if (order === 'promote' && !isStewarded(service))
    throw new TuttiError(
      'refused',
      `the rollout of '${id}' waits for nobody; give it update_config canary or promote: manual`,
    )
  return orderRollout(view, id, order, makers.token())
}

/** A word on a rollout that is over would do nothing; an abort would go further back than anybody meant. */
const requireUnderWay = (
  { statuses }: AgentSnapshot,
  view: View,
  service: ServiceView,
  order: RolloutCommand,
): void => {
  const { id, release } = service
  if (!isStewarded(service)) return
  const words = wordsOf({ view, statuses }, id).filter(({ word }) => word.release === release)
  const back = `go further back with tutti rollback ${id}`
  if (words.some(({ word }) => word.phase === 'done'))
    throw new TuttiError(
      'refused',
      `the rollout of '${id}' to ${release} is done, and there is nothing to ${order}${order === 'abort' ? `; ${back}` : ''}`,
    )
  if (order === 'abort' && isReturn(service))
    throw new TuttiError('refused', `'${id}' goes back to ${release} already; ${back}`)
}

const abort = (
  snapshot: AgentSnapshot,
  view: View,
  service: ServiceView,
  { past }: RolloutChangeMakers,
): readonly Edit[] => {
  const { id, release } = service
  const earlier = statesOf(past, id).filter(
    (each) => each.release !== release && service.rejected?.[each.release] === undefined,
  )
  const good = goodReleaseOf({ ...snapshot, view }, service)
  const as = earlier.find((each) => each.release === good) ?? earlier[0]
  if (as === undefined)
    throw new TuttiError(
      'refused',
      `'${id}' has had no release before ${release} to go back to; stop it with tutti stop ${id}`,
    )
  const at = Math.max(0, Math.floor(snapshot.wall))
  return rejectRelease(view, { service: id, release }, as, { reason: 'an operator aborted it', at })
}

const retry = (view: View, service: ServiceView, { past, token }: RolloutChangeMakers): readonly Edit[] => {
  const { id, rejected = {} } = service
  const [last] = Object.entries(rejected).sort(([, a], [, b]) => b.at - a.at)
  if (last === undefined) throw new TuttiError('refused', `no release of '${id}' was rejected`)
  const [release] = last
  const as = statesOf(past, id).find((each) => each.release === release)
  if (as === undefined)
    throw new TuttiError(
      'refused',
      `release ${release} of '${id}' is not in the history any more; apply its file`,
    )
  return retryRelease(view, id, as, token())
}

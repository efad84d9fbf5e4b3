// A rollout in lines for people, as `tutti rollout status` and `tutti explain` show it.

import { formatDuration } from '../lib/time.ts'
import type { RolloutReply, SlotReleaseReply } from '../node/serve/api/contract.ts'
import { tell, type Context } from './io.ts'
import { harmless, paintFor, type Paint } from './render.ts'

type Colour = Parameters<Paint>[0]

export const PHASE_COLOURS: Readonly<Partial<Record<RolloutReply['phase'], Colour>>> = {
  done: 'green',
  failed: 'red',
  paused: 'yellow',
}

/** One rollout in full. `now`: the wall time of the reply. */
export const showRollout = (context: Context, rollout: RolloutReply, now: number): void => {
  const paint = paintFor(context.io.stdout, context.io.environment)
  const { service, release, phase, reason, wave, ready, slots, open, since, good, steward } = rollout
  const colour = PHASE_COLOURS[phase]
  const shown = colour === undefined ? phase : paint(colour, phase)
  const why = reason === '' ? '' : `: ${reason}`
  tell(context, `${harmless(service)} to release ${release}: ${shown}${harmless(why)}`)
  const age = since === 0 || phase === 'done' ? '' : `, for ${formatDuration(Math.max(0, now - since))}`
  tell(
    context,
    `  ${ready} of ${slots} ready at it, ${open} may have it${wave === 0 ? '' : `, wave ${wave}`}${age}`,
  )
  if (steward !== null) tell(context, `  judged by ${harmless(steward)}`)
  for (const { peer, state, reason: what, attempt } of rollout.preDeploy ?? [])
    tell(
      context,
      `  pre_deploy ${state} on ${harmless(peer)}${attempt > 1 ? `, run ${attempt}` : ''}: ${harmless(what)}`,
    )
  if (good !== null && phase !== 'done') tell(context, `  goes back to ${good} if it fails`)
  for (const { release: bad, reason: what, at, to } of rollout.rejected) {
    const ago = formatDuration(Math.max(0, now - at))
    tell(context, `  ${paint('red', 'rejected')} ${bad} ${ago} ago, back to ${to}: ${harmless(what)}`)
  }
}

/** Whether a rollout says anything: it is on its way, or somebody took a release back. */
export const isTelling = ({ phase, rejected }: RolloutReply): boolean =>
  phase !== 'done' || rejected.length > 0

/** What one slot has of the wanted release, in one line; null: it has it, and nothing else. */
export const slotReleaseText = (
  { canary, state, others, reason }: SlotReleaseReply,
  release: string,
): string | null => {
  if (state === 'ready' && others.length === 0) return null
  const who = canary ? 'canary of ' : ''
  const now = state === null ? 'is not there yet' : `${state}${reason === '' ? '' : `: ${harmless(reason)}`}`
  const still = others.map((one) => `${one.release} on ${harmless(one.peer)} is ${one.state}`)
  return `release: ${who}${release} ${now}${still.length === 0 ? '' : `; ${still.join(', ')}`}`
}

// The hook before a release, which runs once for it wherever anybody can see that it ran. Its steward says that it runs
// before it does, and whoever has begun a run follows it to its end: neither another steward nor a pause nor the next
// release ends a migration half-way. A run whose end nobody knows, since its machine went down or is out of sight, is made
// again: at least once, as a container job or a batch allocation is, and with its number, so that it may find out.
//
//   (said) ─▶ running ─▶ done, failed        its member is out of sight: as an instance it is waited for (reschedule_after,
//                 └─▶ cut off ─▶ (said again)    the brake, on_partition), and then counts as cut off

import { sortedBy } from '../../../lib/order.ts'
import { formatDuration } from '../../../lib/time.ts'
import type { MemberId, ReleaseId } from '../../../lib/ids.ts'
import type { HookStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import { keepsUntilMs } from '../eligibility.ts'
import { isExclusive } from '../exclusive.ts'
import { presentMembers } from '../steward.ts'
import type { SlotEvidence } from './evidence.ts'
import { followHook, startHook, type HookDesk } from './hook-desk.ts'
import { attemptOf, hookInstanceOf, hookKeyOf, hookKindOf } from './hooks.ts'
import { wordsOf } from './words.ts'

/** A hook that is cut off so often takes its machine with it; somebody should look. */
export const CUT_OFF_MAX = 3

/** What one member says of a run. */
interface Run {
  readonly member: MemberId
  readonly hook: HookStatus
}

/** Follows the runs that this peer has begun, whoever is steward by now. */
export const followPreDeploys = (desk: HookDesk): void => {
  const { input } = desk
  for (const instance of input.local) {
    if (hookKindOf(instance.slot) !== 'pre-deploy') continue
    const service = input.view.services.find(({ id }) => id === instance.service)
    const preDeploy = service?.preDeploy ?? null
    // Removed, stopped, aborted, or without a hook by now: its operator wants it to end.
    if (service === undefined || preDeploy === null || service.stopped) continue
    if (service.rejected?.[instance.release] !== undefined) continue
    const key = hookKeyOf(service, instance.release)
    const said = input.statuses.get(input.self)?.hooks?.get(key)
    // It is to run again, or does so: this is the record of the run before.
    if ((said?.attempt ?? 1) > attemptOf(instance)) continue
    const outcome = followHook(desk, { kind: 'pre-deploy', timeoutMs: preDeploy.timeoutMs }, instance)
    desk.hooks.set(key, outcome)
    if (outcome.state === 'running') desk.waiting.push(`${instance.id}: ${outcome.reason}`)
    // The record goes when others have gone on from its end, lest a crash between the two lose it.
    else if (outcome.cutOff === true || !isAwaited(desk, service, instance.release))
      desk.needed.delete(instance.id)
  }
}

const isAwaited = ({ input }: HookDesk, service: ServiceView, release: ReleaseId): boolean => {
  if (service.release !== release) return false
  const words = wordsOf(input, service.id).filter(({ word }) => word.release === release)
  return words.every(({ word }) => word.phase === 'preparing')
}

/**
 * The outcome of the hook before the wanted release, for its steward, which runs it if nobody has; null: it has done, as far
 * as anybody can see. `anew`: what failed so far counts no more.
 */
export const preDeployOf = (
  desk: HookDesk,
  service: ServiceView,
  evidence: readonly SlotEvidence[],
  anew: boolean,
): HookStatus | null => {
  const { preDeploy } = service
  if (preDeploy === undefined || preDeploy === null) return null
  const { input } = desk
  const key = hookKeyOf(service, service.release)
  const runs = runsOf(desk, key)
  const elsewhere = waitElsewhere(desk, service, service.release, runs)
  if (elsewhere !== null) return elsewhere
  const own = desk.hooks.get(key)
  if (own?.state === 'running') return own
  // No slot begins before it has run.
  if (runs.some(({ hook }) => hook.state === 'done') || evidence.some(({ begun }) => begun)) return null
  const [last] = runs.toSorted(byAttempt)
  const isOwnClaim = last?.member === input.self && last.hook.state === 'running'
  const failure = last === undefined || isOwnClaim || anew ? null : failureOf(last)
  if (failure !== null) return failure
  const attempt = last === undefined ? 1 : attemptIn(last) + (isOwnClaim ? 0 : 1)
  // Said first, and begun in a pass that finds it said: nobody begins it beside whoever has announced it.
  const gate = isOwnClaim ? gateOf(desk, service) : null
  const { command, timeoutMs } = preDeploy
  const outcome: HookStatus =
    isOwnClaim && gate === null
      ? startHook(desk, service, { kind: 'pre-deploy', command, timeoutMs, environment: {}, attempt })
      : { state: 'running', reason: gate ?? 'pre_deploy is about to run', attempt }
  if (!isOwnClaim) desk.wakes.push(input.nowMs + 1)
  desk.hooks.set(key, outcome)
  return outcome
}

/** A run that failed is not made again by itself; one that was cut off is, a few times. */
const failureOf = ({ hook }: Run): HookStatus | null => {
  if (hook.state === 'failed' && hook.cutOff !== true) return hook
  const attempt = hook.attempt ?? 1
  if (attempt < CUT_OFF_MAX) return null
  return {
    state: 'failed',
    reason: `pre_deploy was cut off ${attempt} times, nobody saw how it ended`,
    attempt,
  }
}

const attemptIn = ({ hook }: Run): number => hook.attempt ?? 1

/** The last first; of one number, what has ended before what is lost. */
const byAttempt = (a: Run, b: Run): number =>
  attemptIn(b) - attemptIn(a) || Number(a.hook.state === 'running') - Number(b.hook.state === 'running')

/** What is known of the runs for one release: of this peer's own what it is about to say, else what it has said. */
const runsOf = ({ input, hooks }: HookDesk, key: string): readonly Run[] =>
  sortedBy(input.view.members, ({ id }) => id).flatMap(({ id: member }) => {
    const said = input.statuses.get(member)?.hooks?.get(key)
    const hook = member === input.self ? (hooks.get(key) ?? said) : said
    return hook === undefined ? [] : [{ member, hook }]
  })

/** Why the runs of other members are waited for; null: none is, or none any more. */
const waitElsewhere = (
  desk: HookDesk,
  service: ServiceView,
  release: ReleaseId,
  runs: readonly Run[],
): HookStatus | null => {
  const { input, sightings } = desk
  const what = release === service.release ? 'pre_deploy' : `pre_deploy of release ${release}`
  for (const { member, hook } of runs) {
    if (member === input.self || hook.state !== 'running') continue
    const name = sightings.nameOf(member)
    if (sightings.isPresent(member)) return { state: 'running', reason: `${what} runs on ${name}` }
    const liveness = input.membership.members.find(({ id }) => id === member)
    if (liveness === undefined || liveness.state === 'left') continue
    const untilMs = keepsUntilMs(liveness, service, input.membership.brakedUntilMs)
    if (untilMs <= input.nowMs) continue
    if (untilMs < Infinity) desk.wakes.push(untilMs)
    const next =
      untilMs === Infinity
        ? `on_partition is stay; bring it back, or remove it with tutti peers rm ${name}`
        : `it counts as cut off when reschedule_after of ${formatDuration(service.rescheduleAfterMs)} is over`
    return { state: 'running', reason: `${what} began on ${name}, which is dead; ${next}` }
  }
  return null
}

/** Why a run may not begin yet; null: it may. */
const gateOf = (desk: HookDesk, service: ServiceView): string | null => {
  const { input } = desk
  const id = hookInstanceOf(service, 'pre-deploy')
  if (input.local.some((instance) => instance.id === id))
    return 'pre_deploy waits until its last run is cleared away'
  // What must not run twice at once does not begin where the larger half may be at it.
  if (isExclusive(service) && presentMembers(input).length * 2 <= input.view.members.length)
    return 'pre_deploy of a quorum service waits until most members are in sight'
  // Releases come one after the other, and so do their migrations.
  const prefix = hookKeyOf(service, '' as ReleaseId)
  const said = [...input.statuses.values()].flatMap(({ hooks }) => [...(hooks?.keys() ?? [])])
  const others = new Set(
    said.flatMap((key) => (key.startsWith(prefix) ? [key.slice(prefix.length) as ReleaseId] : [])),
  )
  others.delete(service.release)
  for (const release of sortedBy([...others], (one) => one)) {
    const key = hookKeyOf(service, release)
    const wait = waitElsewhere(desk, service, release, runsOf(desk, key))
    if (wait !== null) return `waits: ${wait.reason}`
    if (desk.hooks.get(key)?.state === 'running') return `waits: pre_deploy of release ${release} runs here`
  }
  return null
}

// A peer's stewardship in one pass: judges the rollouts of the services it is steward of, runs their hooks, and keeps or
// drops what it said as steward before. Yields words for its status, actions of hooks, and duties that edit or ask;
// judge.ts knows what they mean. Pure: what it must remember is handed from plan to plan.

import { sortedEntries } from '../../../lib/order.ts'
import type { MemberId, PackageDigest, ReleaseId, ServiceId, SlotId } from '../../../lib/ids.ts'
import type { HookStatus } from '../../../crdt/schema/status.ts'
import type { RejectedRelease } from '../../../crdt/schema/rollout.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import type { Action } from '../action.ts'
import type { InstanceReport, PlanInput, SlotPlacement } from '../plan.ts'
import type { Sightings } from '../sightings.ts'
import { presentMembers, stewardAmong, stewardsAmong } from '../steward.ts'
import { evidenceOf } from './evidence.ts'
import type { HookDesk } from './hook-desk.ts'
import { endHook, hookKeyOf, isHookSlot } from './hooks.ts'
import { freshMemory, judgeRollout, revertOf, type Duty, type Judged, type RolloutMemory } from './judge.ts'
import { isStewarded, policyOf } from './policy.ts'
import { followPreDeploys, preDeployOf } from './pre-deploy.ts'
import { verifyOf } from './verification.ts'
import { wordsOf, type RolloutWord, type SaidWord } from './words.ts'

export interface Stewardship {
  /** All that this peer says of rollouts, by service. */
  readonly words: ReadonlyMap<ServiceId, RolloutWord>
  /** All that it says of hooks, by `<service>@<release>`. */
  readonly hooks: ReadonlyMap<string, HookStatus>
  readonly duties: readonly Duty[]
  /** Of hooks only. */
  readonly actions: readonly Action[]
  readonly waiting: readonly string[]
  readonly wakes: readonly number[]
  readonly memory: ReadonlyMap<ServiceId, RolloutMemory>
  /** What hooks that are about to run are made of. */
  readonly packages: ReadonlySet<PackageDigest>
}

/** What the judgement looks at, as the pass has it. */
export interface StewardshipScene {
  readonly input: PlanInput
  readonly placements: ReadonlyMap<SlotId, SlotPlacement>
  readonly sightings: Sightings
  /** What this peer is about to report of its own instances. */
  readonly reports: readonly InstanceReport[]
}

interface Turn extends StewardshipScene, HookDesk {
  readonly slots: ReadonlyMap<ServiceId, readonly SlotPlacement[]>
  readonly ownReports: ReadonlyMap<string, InstanceReport>
  readonly words: Map<ServiceId, RolloutWord>
  readonly duties: Duty[]
  readonly memory: Map<ServiceId, RolloutMemory>
}

/**
 * Who judges the rollouts of a service: among those who may edit, and else among all, who then can only hold it up.
 * `without`: who would, if that member were not there.
 */
export const rolloutSteward = (
  service: ServiceId,
  input: Pick<PlanInput, 'view' | 'membership'>,
  without?: MemberId,
): MemberId | null => rolloutStewards(input, without)(service)

/** The same for many services. */
const rolloutStewards = (
  input: Pick<PlanInput, 'view' | 'membership'>,
  without?: MemberId,
): ((service: ServiceId) => MemberId | null) => {
  const present = presentMembers(input).filter((id) => id !== without)
  const operators = new Set(input.view.members.flatMap(({ id, role }) => (role === 'operator' ? [id] : [])))
  const among = stewardsAmong(present.filter((id) => operators.has(id)))
  return (service) => among(service) ?? stewardAmong(service, present)
}

/** One pass over every service that has a steward. */
export const steward = (scene: StewardshipScene): Stewardship => {
  const { input } = scene
  const turn: Turn = {
    ...scene,
    slots: slotsByService(scene.placements),
    ownReports: new Map(scene.reports.map((report) => [report.instance, report])),
    words: new Map(),
    hooks: new Map(),
    duties: [],
    actions: [],
    waiting: [],
    wakes: [],
    memory: new Map(),
    packages: new Set(),
    needed: new Set(),
  }
  followPreDeploys(turn)
  const stewardOf = rolloutStewards(input)
  for (const service of input.view.services) {
    if (!isStewarded(service) || service.stopped) continue
    const present = stewardOf(service.id)
    if (present === input.self) judge(turn, service)
    else {
      keepWord(turn, service, present)
      if (present !== null) standIn(turn, service, present)
    }
  }
  keepHooks(turn)
  for (const instance of input.local) {
    if (!isHookSlot(instance.slot) || turn.needed.has(instance.id)) continue
    turn.waiting.push(`${instance.id}: ends`)
    const action = endHook(instance, 'its outcome is known, or its operator wants it no more')
    if (action !== null) turn.actions.push(action)
  }
  return turn
}

const slotsByService = (
  placements: ReadonlyMap<SlotId, SlotPlacement>,
): ReadonlyMap<ServiceId, readonly SlotPlacement[]> => {
  const slots = new Map<ServiceId, SlotPlacement[]>()
  for (const placement of placements.values()) {
    const known = slots.get(placement.service)
    if (known === undefined) slots.set(placement.service, [placement])
    else known.push(placement)
  }
  return slots
}

/** How long a steward may take to write a release back; then it cannot, for its disk is full. */
const STAND_IN_MS = 5000

/** What a steward says has failed, and does not take back, the next one in line takes back: both write the same. */
const standIn = (turn: Turn, service: ServiceView, present: MemberId): void => {
  const { input } = turn
  const word = input.statuses.get(present)?.rollouts?.get(service.id)
  if (word?.release !== service.release || word.phase !== 'failed' || word.good === null) return
  const self = input.view.members.find(({ id }) => id === input.self)
  if (self?.role !== 'operator' || rolloutSteward(service.id, input, present) !== self.id) return
  const memory = freshMemory(input.rollouts?.get(service.id), service.release, 0, input.nowMs)
  turn.memory.set(service.id, memory)
  const dueMs = memory.progressAtMs + STAND_IN_MS
  if (input.nowMs < dueMs) turn.wakes.push(dueMs)
  else turn.duties.push(revertOf(service, word.good as ReleaseId, word.reason))
}

/**
 * A former steward's word stands until the present one has said its own, and as much: slots that change now rest on it. One
 * that comes back says first what it said when it went.
 */
const keepWord = (turn: Turn, service: ServiceView, present: MemberId | null): void => {
  const { input } = turn
  const own = input.statuses.get(input.self)?.rollouts?.get(service.id)
  const theirs = present === null ? undefined : input.statuses.get(present)?.rollouts?.get(service.id)
  if (own === undefined) return
  if (theirs?.release === service.release && !(own.release === service.release && isFurther(own, theirs)))
    return
  const word = withoutTime(own)
  if (word !== null) turn.words.set(service.id, word)
}

/** Outcomes of hooks stay while their release may be wanted again: it is, was the good one, or was taken back. */
const keepHooks = (turn: Turn): void => {
  const { input } = turn
  const kept = new Set<string>()
  for (const service of input.view.services) {
    kept.add(hookKeyOf(service, service.release))
    for (const release of Object.keys(service.rejected ?? {}))
      kept.add(hookKeyOf(service, release as ReleaseId))
    const said = wordsOf(input, service.id).map(({ word }) => word.good)
    // A rollout that begins in this pass names the one before as good, which no status does yet.
    for (const good of [...said, turn.words.get(service.id)?.good ?? null])
      if (good !== null) kept.add(hookKeyOf(service, good as ReleaseId))
  }
  for (const [key, said] of input.statuses.get(input.self)?.hooks ?? [])
    if (kept.has(key) && !turn.hooks.has(key) && said.state !== 'running') turn.hooks.set(key, said)
}

const judge = (turn: Turn, service: ServiceView): void => {
  const { input, sightings, slots, ownReports } = turn
  const placements = slots.get(service.id) ?? []
  if (placements.length === 0) return
  const said = wordsOf(input, service.id)
  const rejection = service.rejected?.[service.release]
  const prior = priorOf(input.self, said, sightings, service, rejection)
  if (prior?.phase === 'done') {
    // Over for good: what happens to the release from now on is no matter of its rollout.
    turn.words.set(service.id, prior)
    return
  }
  const evidence = evidenceOf(input, service, placements, sightings, ownReports)
  const running = releasesRunning(input, service)
  const judged = judgeRollout({
    service,
    policy: policyOf(service, placements.length),
    evidence,
    prior,
    good:
      rejection !== undefined
        ? (rejection.to as ReleaseId)
        : prior === null
          ? goodOf(said, running, service)
          : (prior.good as ReleaseId | null),
    othersRun: running.some(({ release }) => release !== service.release),
    memory: input.rollouts?.get(service.id),
    hooks: {
      preDeploy: (anew) => preDeployOf(turn, service, evidence, anew),
      verify: (attempt) => verifyOf(turn, service, evidence, attempt),
    },
    nowMs: input.nowMs,
  })
  note(turn, service, judged)
}

const note = (turn: Turn, service: ServiceView, { word, memory, duty, waiting, wakeAtMs }: Judged): void => {
  turn.words.set(service.id, word)
  turn.memory.set(service.id, memory)
  if (duty !== null) turn.duties.push(duty)
  if (waiting !== null) turn.waiting.push(`${service.id}: ${waiting}`)
  if (wakeAtMs !== null) turn.wakes.push(wakeAtMs)
}

/**
 * What was said of the wanted release: by this peer, unless another has gone further while this one was away; else by
 * whoever let most slots begin. One that was rejected before,
 * and is wanted again by a stale edit, has failed already.
 */
const priorOf = (
  self: string,
  said: readonly SaidWord[],
  sightings: Sightings,
  { release }: ServiceView,
  rejection: RejectedRelease | undefined,
): RolloutWord | null => {
  const about = said.filter(({ word }) => word.release === release)
  const own = about.find(({ member }) => member === self)
  const present = about.filter(({ member }) => sightings.isPresent(member))
  const best =
    own === undefined
      ? about.toSorted((a, b) => rankOf(b.word) - rankOf(a.word))[0]
      : present.reduce((far, one) => (isFurther(one.word, far.word) ? one : far), own)
  if (rejection === undefined) return withoutTime(best?.word ?? null)
  const before = { open: 0, wave: 1, verified: false, heeded: '', ...withoutTime(best?.word ?? null) }
  return { ...before, release, phase: 'failed', reason: rejection.reason, good: rejection.to }
}

/** The wall time of a status is added by the shell. */
const withoutTime = (word: RolloutWord | null): RolloutWord | null => {
  if (word === null) return null
  const { release, phase, open, wave, reason, good, verified, heeded } = word
  return { release, phase, open, wave, reason, good, verified, heeded }
}

/** Whether one word lets more begin than another of the same release, which holds nothing. */
const isFurther = (one: RolloutWord, other: RolloutWord): boolean => {
  if (other.phase === 'paused' || other.phase === 'failed' || other.phase === 'done') return false
  if (one.phase === 'done') return true
  if (one.phase !== 'rolling' && one.phase !== 'canary') return false
  return (
    one.open > other.open || (one.open === other.open && one.phase === 'rolling' && other.phase !== 'rolling')
  )
}

/** What is final counts more than what is open, and a failure more than a success. */
const rankOf = ({ phase, open }: RolloutWord): number =>
  open + (phase === 'failed' ? 3e6 : phase === 'paused' ? 2e6 : phase === 'done' ? 1e6 : 0)

/** Ready instances by release, most first. */
const releasesRunning = (
  input: Pick<PlanInput, 'statuses'>,
  service: ServiceView,
): readonly { readonly release: ReleaseId; readonly ready: number }[] => {
  const counts = new Map<ReleaseId, number>()
  const prefix = `${service.id}/`
  for (const { instances } of input.statuses.values()) {
    for (const { slot, release, state } of instances.values()) {
      if (!slot.startsWith(prefix) || slot.includes('/', prefix.length)) continue
      if (state === 'pending' || state === 'stopped') continue
      counts.set(release as ReleaseId, (counts.get(release as ReleaseId) ?? 0) + (state === 'ready' ? 1 : 0))
    }
  }
  return sortedEntries(counts)
    .map(([release, ready]) => ({ release, ready }))
    .toSorted((a, b) => b.ready - a.ready)
}

/** The release that an operator who aborts goes back to; null: none is known. */
export const goodReleaseOf = (
  input: Pick<PlanInput, 'view' | 'statuses'>,
  service: ServiceView,
): ReleaseId | null => {
  const said = wordsOf(input, service.id)
  const about = said.find(({ word }) => word.release === service.release && word.good !== null)
  if (about !== undefined) return about.word.good as ReleaseId | null
  return goodOf(said, releasesRunning(input, service), service)
}

/** The release to go back to: the last whose rollout was done, else the one that most slots run ready. */
const goodOf = (
  said: readonly SaidWord[],
  running: readonly { readonly release: ReleaseId; readonly ready: number }[],
  service: ServiceView,
): ReleaseId | null => {
  const isPossible = (release: string | null): release is ReleaseId =>
    release !== null && release !== service.release && service.rejected?.[release] === undefined
  for (const { word } of said.toSorted((a, b) => rankOf(b.word) - rankOf(a.word)))
    if (word.release !== service.release && word.phase === 'done' && isPossible(word.release))
      return word.release
  for (const { word } of said) if (word.release !== service.release && isPossible(word.good)) return word.good
  return running.find(({ release, ready }) => ready > 0 && isPossible(release))?.release ?? null
}

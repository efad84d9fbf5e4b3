// The judgement of one rollout by its steward, pass by pass: which slots may change now, whether the release holds, and what
// follows. All it says goes into its status; a new steward goes on from there and begins windows of time anew, so that it
// skips none (S8, L5). Only a way back is an edit.
//
//   preparing ─▶ canary ─▶ rolling ─▶ done        paused: by an operator, or by a failure; resume and promote end it
//       └──────────┴─────────┴──▶ failed          failed: the wanted release is rejected and an earlier one comes back
//
// Invariants: `open` never falls; no failure opens a slot; a release that is gone back to waits for nothing.

import { unreachable } from '../../../lib/assert.ts'
import { formatDuration } from '../../../lib/time.ts'
import type { ReleaseId, ServiceId } from '../../../lib/ids.ts'
import type { HookStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import type { SlotEvidence } from './evidence.ts'
import { isReturn, type RolloutPolicy } from './policy.ts'
import type { RolloutWord } from './words.ts'

/** What a steward remembers from pass to pass besides what it says: times on its own monotonic clock. */
export interface RolloutMemory {
  readonly release: ReleaseId
  /** Since when every open slot is ready; null: some is not. */
  readonly readySinceMs: number | null
  /** Lapses of its slots' checks that the window began after. */
  readonly lapses: number
  /** The most that was reached, and when. */
  readonly progress: number
  readonly progressAtMs: number
  /** Restarts by slot that are not held against the release: they came before it, or an operator said to go on. */
  readonly forgiven: ReadonlyMap<string, number>
}

/** What an edit or a shell has to do for a rollout; idempotent. */
export type Duty =
  | {
      readonly kind: 'revert'
      readonly service: ServiceId
      readonly release: ReleaseId
      readonly to: ReleaseId
      readonly reason: string
    }
  | {
      readonly kind: 'verify-http'
      readonly service: ServiceId
      readonly release: ReleaseId
      readonly url: string
      readonly timeoutMs: number
      /** The operator's word since which it is asked; another one asks anew. */
      readonly attempt: string
    }

/** How far a hook is, whoever runs it; null: it need not run, or has done. */
export interface HookNeed {
  /** `anew`: a run that failed counts no more. */
  readonly preDeploy: (anew: boolean) => HookStatus | null
  /** `attempt`: the operator's word since which it is asked. */
  readonly verify: (attempt: string) => HookStatus | null
}

export interface RolloutCase {
  readonly service: ServiceView
  readonly policy: RolloutPolicy
  readonly evidence: readonly SlotEvidence[]
  /** What was said of this release by the steward so far, this one or an earlier one; null: nothing. */
  readonly prior: RolloutWord | null
  /** The last release that was good. */
  readonly good: ReleaseId | null
  /** Instances of other releases run somewhere. */
  readonly othersRun: boolean
  readonly memory: RolloutMemory | undefined
  readonly hooks: HookNeed
  readonly nowMs: number
}

export interface Judged {
  readonly word: RolloutWord
  readonly memory: RolloutMemory
  readonly duty: Duty | null
  /** Why the rollout is not over; null: it is. */
  readonly waiting: string | null
  readonly wakeAtMs: number | null
}

/** One pass of the judgement. */
export const judgeRollout = (given: RolloutCase): Judged => {
  const start = given.prior ?? beginning(given)
  const told = heed(given, start, memoryOf(given, start))
  const { word, memory } = told
  switch (word.phase) {
    case 'done':
      return { word, memory, duty: null, waiting: null, wakeAtMs: null }
    case 'failed':
      return given.good === null ? linger(given, word, memory) : failed(given, word, memory)
    case 'paused':
      return { word, memory, duty: null, waiting: `rollout paused: ${word.reason}`, wakeAtMs: null }
    case 'preparing':
    case 'canary':
    case 'rolling':
      return proceed(given, word, memory, word.heeded !== start.heeded)
    default:
      return unreachable(word.phase)
  }
}

const beginning = ({ service, policy, evidence, othersRun, good }: RolloutCase): RolloutWord => {
  const gradual = othersRun && !isReturn(service)
  // Whoever begun before this steward knew of the rollout had leave to.
  const begun = evidence.findLastIndex((slot) => slot.begun) + 1
  const open = gradual ? Math.max(policy.first, begun) : evidence.length
  const prepares = (service.preDeploy ?? null) !== null && !isReturn(service) && begun === 0
  const phase = prepares ? 'preparing' : gradual && policy.proves ? 'canary' : 'rolling'
  return {
    release: service.release,
    phase,
    open: prepares ? 0 : open,
    wave: 1,
    reason: prepares ? 'the pre_deploy hook comes first' : 'begins',
    good,
    verified: false,
    heeded: '',
  }
}

const memoryOf = (
  { service, evidence, memory, prior, nowMs }: RolloutCase,
  word: RolloutWord,
): RolloutMemory => {
  const known = freshMemory(memory, service.release, word.open, nowMs)
  return known === memory || prior !== null ? known : { ...known, forgiven: restartsOf(evidence, 0) }
}

/** What is remembered of a release, or what there is to remember of one that was not looked at before. */
export const freshMemory = (
  memory: RolloutMemory | undefined,
  release: ReleaseId,
  progress: number,
  nowMs: number,
): RolloutMemory =>
  memory?.release === release
    ? memory
    : { release, readySinceMs: null, lapses: 0, progress, progressAtMs: nowMs, forgiven: new Map() }

/** What has been counted so far; with `more`, also the run that is failing now. */
const restartsOf = (evidence: readonly SlotEvidence[], more: number): ReadonlyMap<string, number> =>
  new Map(
    evidence.flatMap(({ slot, restarts, ready, begun }) =>
      begun ? [[slot, restarts + (ready ? 0 : more)] as const] : [],
    ),
  )

/** An operator's word, once each. */
const heed = (
  { service, policy, evidence, nowMs }: RolloutCase,
  word: RolloutWord,
  memory: RolloutMemory,
): { readonly word: RolloutWord; readonly memory: RolloutMemory } => {
  const order = service.rollout?.release === service.release ? service.rollout : undefined
  if (order === undefined || word.phase === 'done' || word.heeded === order.token) return { word, memory }
  const heeded = order.token
  if (order.kind === 'pause')
    return { word: { ...word, heeded, phase: 'paused', reason: 'an operator paused it' }, memory }
  // A set that is to be switched as a whole is never promoted before it is whole.
  const proves = order.kind === 'promote' ? policy.blueGreen : policy.proves
  const isFirst = word.wave === 1 && (word.open < evidence.length || policy.blueGreen)
  const phase = word.open === 0 ? 'preparing' : proves && isFirst ? 'canary' : 'rolling'
  const forgiven = restartsOf(evidence, 1)
  return {
    word: { ...word, heeded, phase, reason: `an operator said ${order.kind}` },
    memory: { ...memory, readySinceMs: null, progressAtMs: nowMs, forgiven },
  }
}

/** Failed with nothing to go back to: it is over once it holds after all. */
const linger = (given: RolloutCase, word: RolloutWord, memory: RolloutMemory): Judged => {
  const { service, evidence } = given
  const verified = word.verified || (service.verify ?? null) === null
  const holds = word.open >= evidence.length && evidence.every(({ ready, attended }) => ready || !attended)
  if (verified && holds) return done(word, memory)
  return { word, memory, duty: null, waiting: `rollout failed: ${word.reason}`, wakeAtMs: null }
}

const failed = ({ service, good }: RolloutCase, word: RolloutWord, memory: RolloutMemory): Judged => ({
  word,
  memory,
  duty: good === null ? null : revertOf(service, good, word.reason),
  waiting: `rollout failed: ${word.reason}`,
  wakeAtMs: null,
})

/** The edit that takes the wanted release of a service back. */
export const revertOf = ({ id, release }: ServiceView, to: ReleaseId, reason: string): Duty => ({
  kind: 'revert',
  service: id,
  release,
  to,
  reason,
})

/** The release has failed: back, or stop where it is. Without anything to go back to it goes on, and says so. */
const fail = (given: RolloutCase, word: RolloutWord, memory: RolloutMemory, reason: string): Judged => {
  const { policy, good } = given
  if (policy.failureAction === 'rollback' && good !== null)
    return failed(given, { ...word, phase: 'failed', reason }, memory)
  if (policy.failureAction === 'rollback') {
    const why = `${reason}; there is no earlier release to go back to`
    const next = { ...word, phase: 'failed' as const, reason: why }
    return { word: next, memory, duty: null, waiting: `rollout failed: ${why}`, wakeAtMs: null }
  }
  return {
    word: { ...word, phase: 'paused', reason: `failed: ${reason}` },
    memory,
    duty: null,
    waiting: `rollout paused: failed: ${reason}`,
    wakeAtMs: null,
  }
}

const proceed = (given: RolloutCase, word: RolloutWord, memory: RolloutMemory, anew: boolean): Judged => {
  const { service, evidence, good } = given
  const returns = isReturn(service)
  if (word.phase === 'preparing') {
    const hook = given.hooks.preDeploy(anew)
    if (hook?.state === 'failed') return fail(given, word, memory, hook.reason)
    if (hook?.state === 'running') return stay(given, word, memory, hook.reason, service.preDeploy?.timeoutMs)
    const { heeded } = word
    const begun = { ...beginning({ ...given, service: { ...service, preDeploy: null } }), heeded, good }
    return proceed(given, begun, memory, false)
  }
  // Without an earlier release a failure changes nothing: every slot goes on trying, and says how it is.
  if (!returns && good !== null) {
    for (const { slot, fault } of evidence) {
      const reason = fault(memory.forgiven.get(slot) ?? 0)
      if (reason !== null) return fail(given, word, memory, reason)
    }
  }
  const open = evidence.slice(0, word.open)
  const proving = word.phase === 'canary'
  // A canary that nobody attends proves nothing. Later slots that nobody can hold hold nobody up.
  const pending = open.filter((slot) => !slot.ready && (proving || slot.attended))
  if (pending.length === 0) return whenReady(given, word, memory)
  const waits = pending.slice(0, 1).map(waitFor).join('')
  const unready = { ...memory, readySinceMs: null }
  if (!returns) return stay(given, word, unready, waits)
  return {
    word: { ...word, reason: waits },
    memory: unready,
    duty: null,
    waiting: `rollout: ${waits}`,
    wakeAtMs: null,
  }
}

const waitFor = ({ slot, member, memberName, attended, reason }: SlotEvidence): string => {
  const why = !attended && member !== null ? `${memberName} is not there` : reason
  return `waits until ${slot}${member === null ? '' : ` on ${memberName}`} is ready${why === '' ? '' : `: ${why}`}`
}

/** Nothing to do but to wait, for as long as there is progress; what has a time of its own may take that besides. */
const stay = (
  given: RolloutCase,
  word: RolloutWord,
  memory: RolloutMemory,
  reason: string,
  ownTimeMs = 0,
): Judged => {
  const { evidence, policy, nowMs } = given
  const reached = word.open + evidence.slice(0, word.open).filter(({ ready }) => ready).length
  const advanced = reached > memory.progress
  const next = advanced ? { ...memory, progress: reached, progressAtMs: nowMs } : memory
  const dueMs = next.progressAtMs + policy.progressDeadlineMs + ownTimeMs
  if (nowMs >= dueMs && word.phase !== 'failed')
    return fail(given, word, next, `no progress for ${formatDuration(policy.progressDeadlineMs)}: ${reason}`)
  const same = word.phase === 'failed' ? word : { ...word, reason }
  return {
    word: same,
    memory: next,
    duty: null,
    waiting: `rollout: ${reason}`,
    wakeAtMs: dueMs > nowMs ? dueMs : null,
  }
}

/** Every open slot is ready: now it must stay so, pass its verification, and please its operator. */
const whenReady = (given: RolloutCase, word: RolloutWord, before: RolloutMemory): Judged => {
  const { service, policy, evidence, nowMs, othersRun } = given
  const isLast = word.open >= evidence.length
  const proving = word.phase === 'canary'
  const promoted = service.rollout?.release === service.release && service.rollout.kind === 'promote'
  // Before the switch a blue-green release has no traffic that could tell anything.
  const switches = policy.blueGreen && proving && othersRun
  const windowMs = switches || (proving && promoted) ? 0 : policy.monitorMs + (isLast ? 0 : policy.delayMs)
  const { memory, lapsed } = afterLapses(evidence.slice(0, word.open), before, windowMs, nowMs)
  const ready = { ...memory, readySinceMs: memory.readySinceMs ?? nowMs }
  if (isReturn(service)) return done(word, ready)
  const verify = word.verified || promoted ? null : given.hooks.verify(word.heeded)
  if (verify?.state === 'failed') return fail(given, word, ready, verify.reason)
  // What an operator has promoted need not prove itself any more, but it must be there.
  if (lapsed !== null && !(proving && promoted)) {
    const reason = `waits until the checks of ${lapsed.slot} on ${lapsed.memberName} pass again`
    return stay(given, word, memory, reason, windowMs)
  }
  if (verify?.state === 'running') return stay(given, word, ready, verify.reason, service.verify?.timeoutMs)
  const verified = { ...word, verified: true }
  const untilMs = (ready.readySinceMs ?? nowMs) + windowMs
  if (nowMs < untilMs) {
    const reason = `all its slots are ready; must stay so for ${formatDuration(windowMs)}`
    const judged = stay(given, verified, ready, reason, windowMs)
    return judged.word.phase === word.phase ? { ...judged, wakeAtMs: untilMs } : judged
  }
  if (proving && policy.manual && !promoted) {
    const reason = `${whoWaits(word.open, evidence.length)} for tutti rollout promote ${service.id}`
    return {
      word: { ...verified, reason },
      memory: ready,
      duty: null,
      waiting: `rollout: ${reason}`,
      wakeAtMs: null,
    }
  }
  if (isLast && !switches && !(proving && policy.blueGreen)) return done(verified, ready)
  return nextWave(given, verified, ready)
}

const whoWaits = (open: number, slots: number): string => {
  if (open >= slots) return slots === 1 ? 'its slot is ready and waits' : 'all its slots are ready and wait'
  return open === 1 ? 'its first slot is ready and waits' : `its first ${open} slots are ready and wait`
}

/** The window begins anew where a check has failed since it began, even where it is not known of any more. */
const afterLapses = (
  open: readonly SlotEvidence[],
  memory: RolloutMemory,
  windowMs: number,
  nowMs: number,
): { readonly memory: RolloutMemory; readonly lapsed: SlotEvidence | null } => {
  const lapsed = open.find((slot) => slot.lapsed && slot.attended) ?? null
  const lapses = open.reduce((sum, slot) => sum + slot.lapses, 0)
  if (lapsed === null && lapses === memory.lapses) return { memory, lapsed }
  // Once it had stayed well for long enough it was others who were waited for, however long.
  const wasProven = memory.readySinceMs !== null && nowMs >= memory.readySinceMs + windowMs
  const progressAtMs = wasProven ? nowMs : memory.progressAtMs
  return { memory: { ...memory, readySinceMs: null, lapses, progressAtMs }, lapsed }
}

const done = (word: RolloutWord, memory: RolloutMemory): Judged => ({
  word: { ...word, phase: 'done', reason: '' },
  memory,
  duty: null,
  waiting: null,
  wakeAtMs: null,
})

const nextWave = (given: RolloutCase, word: RolloutWord, memory: RolloutMemory): Judged => {
  const { policy, evidence, nowMs } = given
  const open = Math.min(evidence.length, word.open + policy.step)
  const reason = `wave ${word.wave + 1} begins`
  return {
    word: { ...word, phase: 'rolling', open, wave: word.wave + 1, reason },
    memory: { ...memory, readySinceMs: null, progress: Math.max(memory.progress, open), progressAtMs: nowMs },
    duty: null,
    waiting: `rollout: ${reason}`,
    // The wave may be there already (slots that nobody attends): look again at once.
    wakeAtMs: nowMs + 1,
  }
}

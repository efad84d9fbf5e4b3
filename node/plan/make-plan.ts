// The plan of one pass: placement, then reconciliation, then what is overdue and when to look again. A function of its
// input alone; the memo only saves work. With nothing to do it returns no actions and no wake-up (L2, L4).

import type { ServiceView } from '../../crdt/schema/view.ts'
import {
  instanceIdOf,
  serviceOfSlot,
  type InstanceId,
  type MemberId,
  type ServiceId,
  type SlotId,
} from '../../lib/ids.ts'
import { formatDuration } from '../../lib/time.ts'
import type { Action } from './action.ts'
import { Claims } from './claims.ts'
import { nextStandingChangeMs } from './eligibility.ts'
import { asPlanned, wishesOf } from './exclusive.ts'
import { Waves } from './gates.ts'
import { thresholdsOf } from './health.ts'
import { packagesHere } from './packages.ts'
import { place } from './placement.ts'
import { PlanMemo } from './plan-memo.ts'
import type { InstanceReport, Plan, PlanInput, SlotPlacement, Unfulfilled } from './plan.ts'
import { reconcile, type Reconciled, type Unready } from './reconcile.ts'
import { isHookSlot } from './rollout/hooks.ts'
import { isStewarded } from './rollout/policy.ts'
import { steward, type Stewardship } from './rollout/stewardship.ts'
import { RolloutWords, type RolloutWord } from './rollout/words.ts'
import { Sightings } from './sightings.ts'
import { presentMembers, stewardAmong } from './steward.ts'

/** How long a slot may take before it is reported as unfulfilled, besides what its probes need: a start from a cold disk. */
const UNREADY_MS = 10_000

const UNSETTLED = 'this peer does not know its own membership and capacity yet'
/** A newcomer's first seconds; or a disk that was wiped, and then somebody has to do something if nobody else is left. */
const WITHOUT_DOCUMENT =
  'this peer has no document of its cluster and waits for a member that has it; if no disk has it any more, end this peer and begin anew with an empty data directory'

const NOWHERE: ReadonlyMap<SlotId, SlotPlacement> = new Map()

/** What this peer does now, what it says of itself, and why it is not done. */
export const makePlan = (input: PlanInput, memo: PlanMemo = new PlanMemo()): Plan =>
  planFor(input, place(input, memo.placement), memo)

/** The same, for a caller that has placed the slots already. */
export const planFor = (
  whole: PlanInput,
  placed: ReadonlyMap<SlotId, SlotPlacement>,
  memo: PlanMemo = new PlanMemo(),
): Plan => {
  if (!isSettledIn(whole)) return idle(whole.view.members.length === 0 ? WITHOUT_DOCUMENT : UNSETTLED)
  // A hook is no slot: stewards alone look at its instance.
  const input = withoutHooks(whole)
  const placements = isRemoved(input) ? NOWHERE : placed
  const sightings = new Sightings(input, memo.sightings)
  const away = memo.away(input, placements)
  const grounds = { input, placements, sightings, away }
  let pass = passOf(grounds, saidBefore(input))
  const scene = { input: whole, placements, sightings, reports: pass.reports }
  const said = input.statuses.get(input.self)
  const speaks = (said?.rollouts?.size ?? 0) + (said?.hooks?.size ?? 0) > 0 || input !== whole
  const own = speaks || input.view.services.some(isStewarded) ? steward(scene) : null
  // What is said in this pass opens and closes gates here at once, as it will everywhere else.
  if (own !== null && opensOtherwise(input, own.words)) pass = passOf(grounds, own.words)
  const { result, overdue, reports, services } = pass
  const starting = new Set(slotsToBegin(input, result.actions))
  const leases = wishesOf(input, placements, services, starting)
  const packages = packagesHere(whole, placements, services, own?.packages)
  const wakes = [...result.wakes, ...overdue.wakes, ...(own?.wakes ?? [])]
  const standing = nextStandingChangeMs(input)
  if (standing !== null) wakes.push(standing)
  const due = wakes.filter((atMs) => atMs > input.nowMs)
  return {
    actions: own === null ? result.actions : [...result.actions, ...own.actions],
    reports,
    unfulfilled: overdue.found,
    witnessed: overdue.witnessed,
    waiting: [...result.waiting, ...overdue.waiting, ...(own?.waiting ?? [])],
    awaitsReports: sightings.askedReports,
    ...(leases.length === 0 ? {} : { leases }),
    wakeAtMs: due.length === 0 ? null : due.reduce((a, b) => Math.min(a, b)),
    unreadySinceMs: overdue.sinceMs,
    ...(packages.length === 0 ? {} : { packages }),
    ...(own === null ? {} : { stewardship: pickSaid(own), rollouts: own.memory }),
  }
}

/** Slots of which a run is about to begin. */
const slotsToBegin = ({ local }: PlanInput, actions: readonly Action[]): readonly SlotId[] => {
  const restarted = new Set(actions.flatMap((one) => (one.kind === 'restart' ? [one.instance] : [])))
  return [
    ...actions.flatMap((one) => (one.kind === 'start' ? [one.slot] : [])),
    ...local.flatMap(({ id, slot }) => (restarted.has(id) ? [slot] : [])),
  ]
}

interface Pass {
  readonly services: ReadonlyMap<ServiceId, ServiceView>
  readonly result: Reconciled
  readonly overdue: Overdue
  readonly reports: readonly InstanceReport[]
}

/** What a pass goes by, whatever is said of rollouts. */
interface Grounds {
  readonly input: PlanInput
  readonly placements: ReadonlyMap<SlotId, SlotPlacement>
  readonly sightings: Sightings
  /** Placements without a member that is present. */
  readonly away: readonly SlotPlacement[]
}

/** Reconciles, given what this peer says of rollouts. */
const passOf = (
  { input, placements, sightings, away }: Grounds,
  words: ReadonlyMap<ServiceId, RolloutWord>,
): Pass => {
  const services = new Map(input.view.services.map((service) => [service.id, asPlanned(service)]))
  const waves = new Waves(input, placements, sightings)
  const rollouts = new RolloutWords(input, placements, sightings, words)
  const claims = new Claims(input, sightings)
  const result = reconcile({ input, placements, services, sightings, claims, waves, rollouts })
  const overdue = new Overdue(input)
  for (const unready of result.unready) if (unready.queued !== true) overdue.own(unready)
  for (const unready of result.unready)
    if (unready.queued === true && (overdue.isOver(unready.service) || sightings.isOverdue(unready.service)))
      overdue.own(unready)
  if (away.length > 0) overdue.unattended(away, services)
  return { services, result, overdue, reports: result.reports.map((report) => overdue.mark(report)) }
}

const withoutHooks = (input: PlanInput): PlanInput =>
  input.local.some(({ slot }) => isHookSlot(slot))
    ? { ...input, local: input.local.filter(({ slot }) => !isHookSlot(slot)) }
    : input

const saidBefore = ({ self, statuses }: PlanInput): ReadonlyMap<ServiceId, RolloutWord> =>
  new Map([...(statuses.get(self)?.rollouts ?? [])].map(([id, word]) => [id as ServiceId, word]))

/** Whether some gate may be another one than by what was said before. */
const opensOtherwise = (input: PlanInput, words: ReadonlyMap<ServiceId, RolloutWord>): boolean => {
  const before = saidBefore(input)
  return (
    before.size !== words.size ||
    [...words].some(([id, { release, phase, open, reason }]) => {
      const was = before.get(id)
      return was?.release !== release || was.phase !== phase || was.open !== open || was.reason !== reason
    })
  )
}

const pickSaid = ({ words, hooks, duties }: Stewardship): NonNullable<Plan['stewardship']> => ({
  words,
  hooks,
  duties,
})

/**
 * A peer that has been removed ends what it runs: the others have taken it over, and it cannot hear of them. One that
 * is not in the view yet, or has not published its own facts, knows too little to touch anything.
 */
const isSettledIn = (input: PlanInput): boolean =>
  isRemoved(input) ||
  (input.view.members.some((member) => member.id === input.self) &&
    (input.statuses.get(input.self)?.facts ?? null) !== null)

const isRemoved = ({ view, self }: PlanInput): boolean =>
  view.removed.includes(self) && !view.members.some((member) => member.id === self)

const idle = (reason: string): Plan => ({
  actions: [],
  reports: [],
  unfulfilled: [],
  waiting: [reason],
  awaitsReports: true,
  wakeAtMs: null,
})

/** How long a slot of a service may take from its start to ready: what the service says, or what its probe needs. */
export const readyDeadlineMs = (service: ServiceView): number => {
  if (service.unfulfilledAfterMs !== null) return service.unfulfilledAfterMs
  const check = service.definition.healthcheck
  const { retries, startPeriodMs } = thresholdsOf(check)
  return UNREADY_MS + startPeriodMs + (check === null ? 0 : retries * (check.intervalMs + check.timeoutMs))
}

/** Collects the slots that have not been as desired for longer than their deadline. */
class Overdue {
  /** Those that this peer answers for. */
  readonly found: Unfulfilled[] = []
  /** Those that another one does. */
  readonly witnessed: Unfulfilled[] = []
  readonly waiting: string[] = []
  readonly wakes: number[] = []
  readonly sinceMs = new Map<InstanceId, number>()
  readonly #input: PlanInput
  readonly #found = new Map<InstanceId, Unfulfilled>()

  constructor(input: PlanInput) {
    this.#input = input
  }

  own({ slot, service, cause, reason, hopeless }: Unready): void {
    this.#note({ slot, cause, reason }, service, hopeless ? 0 : readyDeadlineMs(service), this.found)
  }

  /** Whether a slot of the service was found overdue here. */
  isOver({ id }: ServiceView): boolean {
    return this.found.some(({ slot }) => serviceOfSlot(slot) === id)
  }

  /** Slots that nobody can hold, or whose member is not here, are answered for by one peer: their service's steward. */
  unattended(away: readonly SlotPlacement[], services: ReadonlyMap<ServiceId, ServiceView>): void {
    const present = presentMembers(this.#input)
    const stewards = new Map<string, string | null>()
    for (const placement of away) {
      const { slot, service: id, member } = placement
      const service = services.get(id)
      if (service === undefined) continue
      const steward = stewards.get(id) ?? stewardAmong(id, present)
      stewards.set(id, steward)
      const isMine = steward === this.#input.self
      const reason = member === null ? placement.reason : this.#absence(member, service)
      if (isMine) this.waiting.push(`${slot}: ${reason}`)
      const deadlineMs = service.unfulfilledAfterMs ?? UNREADY_MS
      const cause = member === null ? 'no-member' : 'member-away'
      this.#note({ slot, cause, reason }, service, deadlineMs, isMine ? this.found : this.witnessed)
    }
  }

  /** In words that do not change while it lasts: a countdown would be a new status every second. */
  #absence(member: MemberId, service: ServiceView): string {
    const name = this.#input.view.members.find(({ id }) => id === member)?.name ?? member
    if (service.onPartition === 'stay') {
      return `${name} is dead and on_partition is stay; bring it back, or remove it with tutti peers rm ${name}`
    }
    if (this.#input.membership.brakedUntilMs !== null) return `${name} is dead, and the brake holds`
    return `${name} is dead; moves elsewhere when reschedule_after of ${formatDuration(service.rescheduleAfterMs)} is over`
  }

  /** A slot that is overdue says so in its own report, and shows as unfulfilled where it has nothing else to show. */
  mark(report: InstanceReport): InstanceReport {
    const overdue = this.#found.get(report.instance)
    if (overdue === undefined) return report
    const isWaiting = report.state === 'pending' || report.state === 'fetching'
    const state = isWaiting ? 'unfulfilled' : report.state
    return { ...report, state, unfulfilledSinceMs: overdue.sinceMs }
  }

  #note(
    what: Omit<Unfulfilled, 'sinceMs'>,
    service: ServiceView,
    deadlineMs: number,
    among: Unfulfilled[],
  ): void {
    const { nowMs, unreadySinceMs } = this.#input
    const wanted = instanceIdOf(what.slot, service.release)
    const sinceMs = unreadySinceMs?.get(wanted) ?? nowMs
    this.sinceMs.set(wanted, sinceMs)
    if (nowMs - sinceMs >= deadlineMs) {
      const overdue = { ...what, sinceMs }
      among.push(overdue)
      this.#found.set(wanted, overdue)
    } else this.wakes.push(sinceMs + deadlineMs)
  }
}

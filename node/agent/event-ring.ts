// What happened, for people: a bounded ring of sentences and those who follow it. Filled by comparing one snapshot with
// the one before it, so that no part of the peer has to remember to report. Deliberately absent: anything that decides.

import type { HookStatus, InstanceStatus, RolloutStatus } from '../../crdt/schema/status.ts'
import { formatDuration } from '../../lib/time.ts'
import { sortedEntries } from '../../lib/order.ts'
import { exitText } from '../plan/health.ts'
import type { AgentSnapshot, PeerEvent } from '../ports.ts'
import { nameAmong } from './names.ts'

/** Events kept: a busy day of a small fleet, some 300 kB. */
const EVENTS_MAX = 2000

export type NewEvent = Omit<PeerEvent, 'seq' | 'at' | 'peer'>

export class EventRing {
  readonly #events: PeerEvent[] = []
  readonly #listeners = new Set<(event: PeerEvent) => void>()
  readonly #wall: () => number
  readonly #peer: () => string
  #seq = 0

  constructor(options: { readonly wall: () => number; readonly peer: () => string }) {
    this.#wall = options.wall
    this.#peer = options.peer
  }

  add(event: NewEvent): void {
    this.#seq += 1
    const full: PeerEvent = { seq: this.#seq, at: this.#wall(), peer: this.#peer(), ...event }
    this.#events.push(full)
    if (this.#events.length > EVENTS_MAX) this.#events.shift()
    for (const listener of this.#listeners) listener(full)
  }

  all(): readonly PeerEvent[] {
    return [...this.#events]
  }

  follow(listener: (event: PeerEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/**
 * The events that lie between two snapshots of one peer. Each peer tells only of its own instances; what happened
 * elsewhere is told there, and the reader merges.
 */
export const eventsBetween = (before: AgentSnapshot | null, after: AgentSnapshot): readonly NewEvent[] => [
  ...memberEvents(before, after),
  ...endEvents(before, after),
  ...instanceEvents(before, after),
  ...unfulfilledEvents(before, after),
  ...conflictEvents(before, after),
  ...rolloutEvents(before, after),
]

const nameIn = ({ view }: AgentSnapshot, id: string): string => nameAmong(view.members, id)

const memberEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  // Nobody came, went or was judged otherwise since: they are the same values then, and mostly so.
  const isSame = before?.view === after.view && before.membership.members === after.membership.members
  return [...(isSame ? [] : stateEvents(before, after)), ...brakeEvents(before, after)]
}

const stateEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  const earlier = new Map(before?.membership.members.map(({ id, state }) => [id, state]))
  const events: NewEvent[] = []
  for (const { id, state } of after.membership.members) {
    const was = earlier.get(id)
    if (was === state) continue
    events.push({
      kind: 'member',
      subject: nameIn(after, id),
      message: was === undefined ? `is a member, ${state}` : `is ${state}, was ${was}`,
    })
    earlier.delete(id)
  }
  for (const id of after.view.removed) {
    if (before !== null && !before.view.removed.includes(id)) {
      events.push({ kind: 'member', subject: nameIn(before, id), message: 'was removed from the cluster' })
    }
  }
  return events
}

const brakeEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  const braked = after.membership.brakedUntilMs !== null
  if (braked === ((before?.membership.brakedUntilMs ?? null) !== null)) return []
  const message = braked
    ? 'lost sight of most members at once: takes nothing over until its view is stable'
    : 'sees a stable cluster again: the brake is off'
  return [{ kind: 'peer', subject: nameIn(after, after.self), message }]
}

const instanceEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  const earlier: ReadonlyMap<string, InstanceStatus> =
    before?.statuses.get(before.self)?.instances ?? new Map()
  const now: ReadonlyMap<string, InstanceStatus> = after.statuses.get(after.self)?.instances ?? new Map()
  const events: NewEvent[] = []
  for (const [id, status] of sortedEntries(now)) {
    const was = earlier.get(id)
    if (was?.state === status.state && was.restarts === status.restarts) continue
    const why = status.reason === '' ? '' : `: ${status.reason}`
    events.push({ kind: 'instance', subject: id, message: `${status.state}${why}` })
  }
  for (const [id] of sortedEntries(earlier)) {
    if (!now.has(id)) events.push({ kind: 'instance', subject: id, message: 'gone' })
  }
  return events
}

/**
 * Ends of runs that no state tells of any more, since the instance was started again before anybody looked: above all of
 * those that ended while no peer was there.
 */
const endEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  const earlier = new Map(before?.local.map(({ id, lastExit }) => [id, lastExit]))
  return after.local.flatMap((instance) => {
    const { id, exit, lastExit, definition } = instance
    if (lastExit === undefined || exit !== null || earlier.get(id)?.atMs === lastExit.atMs) return []
    const end = exitText({ exit: lastExit, definition })
    const age = formatDuration(Math.max(0, after.nowMs - lastExit.atMs))
    return [{ kind: 'instance', subject: id, message: `its last run ${end}, ${age} ago` }]
  })
}

const unfulfilledEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  const earlier = new Map(before?.plan?.unfulfilled.map(({ slot, reason }) => [slot, reason]))
  const events: NewEvent[] = []
  for (const { slot, reason } of after.plan?.unfulfilled ?? []) {
    if (earlier.get(slot) !== reason) events.push({ kind: 'unfulfilled', subject: slot, message: reason })
    earlier.delete(slot)
  }
  for (const slot of earlier.keys())
    events.push({ kind: 'unfulfilled', subject: slot, message: 'is no longer unfulfilled' })
  return events
}

const conflictEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  if (before?.view === after.view) return []
  const known = new Set(
    before?.view.services.flatMap(({ conflicts }) =>
      conflicts.map(({ path, change }) => `${path} ${change}`),
    ),
  )
  return after.view.services.flatMap(({ conflicts }) =>
    conflicts
      .filter(({ path, change }) => !known.has(`${path} ${change}`))
      .map(({ path, value, winner, author }) => ({
        kind: 'conflict' as const,
        subject: path,
        message: `${value} by ${nameIn(after, author)} lost to ${winner}, written at the same time`,
      })),
  )
}

/** What this peer says as a steward: each phase, wave and outcome of a hook once. */
const rolloutEvents = (before: AgentSnapshot | null, after: AgentSnapshot): NewEvent[] => {
  const [earlier, now] = [before?.statuses.get(after.self), after.statuses.get(after.self)]
  const rollouts = sortedEntries(now?.rollouts ?? new Map<string, RolloutStatus>()).flatMap(
    ([subject, { release, phase, wave, reason }]): NewEvent[] => {
      const was = earlier?.rollouts?.get(subject)
      if (was?.release === release && was.phase === phase && was.wave === wave) return []
      const why = reason === '' ? '' : `: ${reason}`
      return [{ kind: 'rollout', subject, message: `${release} is ${phase}, wave ${wave}${why}` }]
    },
  )
  const hooks = sortedEntries(now?.hooks ?? new Map<string, HookStatus>()).flatMap(
    ([subject, { state, reason }]): NewEvent[] =>
      earlier?.hooks?.get(subject)?.state === state
        ? []
        : [{ kind: 'rollout', subject, message: `hook ${state}: ${reason}` }],
  )
  return [...rollouts, ...hooks]
}

// When is a change in force? Judges what `/v1/watch` says about some slots: still under way, converged, or failed for
// good. A state machine over (watch, now) with no timers and no network, so that tests own both.

import type { WatchReply } from '../node/serve/api/contract-streams.ts'
import { compareStrings } from '../lib/order.ts'

type WatchedSlot = WatchReply['slots'][number]
type WatchedRollout = NonNullable<WatchReply['rollouts']>[number]

/** How far one service is. */
export interface ServiceProgress {
  readonly service: string
  readonly ready: number
  readonly desired: number
  /** Instances of earlier releases or places that have not ended yet. */
  readonly leaving: number
  /** What is left, in words: `1 starting on b (waiting for its first healthy probe)`; empty when nothing is. */
  readonly rest: string
}

/** A slot that is not as it should be. */
export interface Hindrance {
  readonly slot: string
  readonly peer: string | null
  readonly state: string
  /** Its peer reports that it is beyond its deadline. */
  readonly unfulfilled: boolean
  readonly reason: string
  /** The wanted one. */
  readonly release: string
}

export interface Verdict {
  readonly kind: 'waiting' | 'converged' | 'failed'
  readonly services: readonly ServiceProgress[]
  readonly hindrances: readonly Hindrance[]
  /** Living peers that do not report the watched digest yet. */
  readonly behind: readonly string[]
  /** More than half of all members live and report the watched digest: no loss of fewer than half can undo the change. */
  readonly isHeldByMajority: boolean
  /** Why a release that was asked for will not come: it was rejected, or its rollout stopped. Null: none of it. */
  readonly rejection: string | null
}

// A slot that stays unfulfilled this long will not heal by waiting: the peer itself reports that only after its own
// deadline, and a peer that dies or joins changes the placement within a few seconds.
export const FINAL_MS = 10_000
// Everything asked for runs, and yet some peer is not settled: other services are at work there. Two status rounds of a
// second each would have shown a reason of ours.
export const QUIET_MS = 3000

const ENDED: ReadonlySet<string> = new Set(['stopped', 'crashed', 'unfulfilled'])
/** `stopped` is what a slot of the wanted release is that has run to its good end. */
const isFulfilled = ({ state }: WatchedSlot): boolean => state === 'ready' || state === 'stopped'

/** Judges one change, watch by watch. */
export class Convergence {
  readonly #concerns: (slot: string) => boolean
  readonly #releases: Readonly<Record<string, string>>
  readonly #unfulfilledSinceMs = new Map<string, number>()
  #readySinceMs: number | null = null

  /** `concerns` names the slots that the change is about, `releases` what it made services want. */
  constructor(concerns: (slot: string) => boolean, releases: Readonly<Record<string, string>> = {}) {
    this.#concerns = concerns
    this.#releases = releases
  }

  /** `nowMs` is monotonic. */
  judge(watch: WatchReply, nowMs: number): Verdict {
    const slots = watch.slots.filter(({ slot }) => this.#concerns(slot))
    const hindrances = slots
      .filter((slot) => slot.desired && !isFulfilled(slot))
      .map(({ slot, peer, state, unfulfilled, reason, release }) => ({
        slot,
        peer,
        state,
        unfulfilled: unfulfilled ?? state === 'unfulfilled',
        reason,
        release,
      }))
    const leaving = slots.filter((slot) => !slot.desired && !ENDED.has(slot.state))
    const living = watch.peers.filter(({ state }) => state === 'alive' || state === 'suspect')
    const behind = living.filter(({ digest }) => digest !== watch.digest).map(({ name }) => name)
    const members = watch.peers.filter(({ state }) => state !== 'left')
    const isHeldByMajority = (living.length - behind.length) * 2 > members.length
    const rollouts = (watch.rollouts ?? []).filter(({ service }) => this.#concerns(`${service}/`))
    const isOver = rollouts.every(({ steward, phase }) => steward === null || phase === 'done')
    const isReady = hindrances.length === 0 && leaving.length === 0 && behind.length === 0 && isOver
    this.#readySinceMs = isReady ? (this.#readySinceMs ?? nowMs) : null
    const isQuiet = this.#readySinceMs !== null && nowMs - this.#readySinceMs >= QUIET_MS
    const isConverged = isReady && (isQuiet || living.every(({ settled }) => settled))
    const rejection = this.#rejectionOf(rollouts)
    const isFailed = rejection !== null || this.#isFinal(hindrances, nowMs)
    const kind = isFailed ? 'failed' : isConverged ? 'converged' : 'waiting'
    return { kind, services: progressOf(slots, rollouts), hindrances, behind, isHeldByMajority, rejection }
  }

  #rejectionOf(rollouts: readonly WatchedRollout[]): string | null {
    for (const { service, release, phase, reason, rejected } of rollouts) {
      const wanted = this.#releases[service]
      if (wanted === undefined) continue
      const why = rejected.find((each) => each.release === wanted)
      if (why !== undefined)
        return `rollout of ${service} to ${wanted} failed: ${why.reason}; back to ${why.to}`
      if (release !== wanted) continue
      // One that goes back at once is told above, once it has.
      if (phase === 'paused') return `rollout of ${service} to ${wanted} is paused: ${reason}`
      if (phase === 'failed' && reason.endsWith('to go back to'))
        return `rollout of ${service} to ${wanted} failed: ${reason}`
    }
    return null
  }

  #isFinal(hindrances: readonly Hindrance[], nowMs: number): boolean {
    const now = new Set(hindrances.filter(({ unfulfilled }) => unfulfilled).map(({ slot }) => slot))
    for (const slot of this.#unfulfilledSinceMs.keys())
      if (!now.has(slot)) this.#unfulfilledSinceMs.delete(slot)
    for (const slot of now) if (!this.#unfulfilledSinceMs.has(slot)) this.#unfulfilledSinceMs.set(slot, nowMs)
    return [...this.#unfulfilledSinceMs.values()].some((sinceMs) => nowMs - sinceMs >= FINAL_MS)
  }
}

const serviceOf = (slot: string): string => slot.slice(0, slot.lastIndexOf('/'))

const progressOf = (
  slots: readonly WatchedSlot[],
  rollouts: readonly WatchedRollout[],
): readonly ServiceProgress[] => {
  const names = [...new Set(slots.map(({ slot }) => serviceOf(slot)))].sort(compareStrings)
  return names.map((service) => {
    const own = slots.filter(({ slot }) => serviceOf(slot) === service)
    const desired = own.filter((slot) => slot.desired)
    const leaving = own.filter((slot) => !slot.desired && !ENDED.has(slot.state)).length
    const parts = restOf(desired.filter((slot) => !isFulfilled(slot)))
    const rollout = rollouts.find((each) => each.service === service)
    if (rollout !== undefined && rollout.steward !== null && rollout.phase !== 'done')
      parts.push(`rollout ${rollout.phase}${rollout.reason === '' ? '' : `: ${rollout.reason}`}`)
    if (leaving > 0) parts.push(`${leaving} leaving`)
    return {
      service,
      ready: desired.filter(isFulfilled).length,
      desired: desired.length,
      leaving,
      rest: parts.join(', '),
    }
  })
}

/** `2 starting on a, b (reason)` for each state that some slot is in. */
const restOf = (slots: readonly WatchedSlot[]): string[] => {
  const states = [...new Set(slots.map(({ state }) => state))].sort(compareStrings)
  return states.map((state) => {
    const own = slots.filter((slot) => slot.state === state)
    const peers = [...new Set(own.flatMap(({ peer }) => (peer === null ? [] : [peer])))].sort(compareStrings)
    const reason = own.find((slot) => slot.reason !== '')?.reason ?? ''
    const where = peers.length === 0 ? '' : ` on ${peers.join(', ')}`
    return `${own.length} ${state}${where}${reason === '' ? '' : ` (${reason})`}`
  })
}

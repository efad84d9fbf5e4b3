// The failure detector: who is alive, as this peer sees it. Each member is watched by a few observers, appointed by
// rings (rings.ts), to which it sends its beats. An observer that loses it publishes an alert in its own
// replicated status; enough alerts of living observers make the member dead for everybody (conviction.ts), since all
// read the same statuses. Pieces: watch.ts (one observed member), self-doubt.ts, slowness.ts and mass-doubt.ts (is it us?), refutation.ts
// (alerts on ourselves), brake.ts (S16). It sends and dials nothing itself and knows no clock but its arguments.
//
//   alive --[a valid alert]--> suspect --[enough of them]--> dead
//   suspect, dead --[alerts retracted or voided by a higher incarnation]--> alive
//   any --[its status says that it stopped]--> left --[a status says that it runs]--> alive
//
// Invariants: this peer is always alive to itself. A member is dead only by alerts on its present or a newer incarnation.
// Whoever this peer hears as its observer, it does not accuse. After a late tick it accuses nobody for a silence window.
//
// The caller's duties: setMembers before anything else, and before the transport may connect a new one, since whatever
// concerns an unknown member is ignored; report connections, beats and every change of a member's
// replicated status; call `tick` at `nextTickMs`, which any input may bring nearer; carry out the effects at once.

import { defined } from '../lib/assert.ts'
import type { MemberId } from '../lib/ids.ts'
import { compareStrings, sortedEntries } from '../lib/order.ts'
import { decodeBeat, encodeBeat } from './beat.ts'
import { accusersNeeded } from './conviction.ts'
import { DETECTOR_DEFAULTS } from './detector-options.ts'
import type { DetectorEffect, DetectorOptions, ReportedStatus } from './detector-options.ts'
import { MassDoubt } from './mass-doubt.ts'
import type { Membership } from './membership.ts'
import { Refutation } from './refutation.ts'
import { ringsOf, type Rings } from './rings.ts'
import { Roster, sameReport, type RosterEntry } from './roster.ts'
import { SelfDoubt } from './self-doubt.ts'
import { Slowness } from './slowness.ts'
import { Watch } from './watch.ts'

export class FailureDetector {
  readonly #self: MemberId
  readonly #options: DetectorOptions
  readonly #watches = new Map<MemberId, Watch>()
  #sortedWatches: readonly (readonly [MemberId, Watch])[] | null = null
  readonly #doubt: SelfDoubt
  readonly #slowness: Slowness
  readonly #massDoubt: MassDoubt
  readonly #roster: Roster
  readonly #refutation = new Refutation()
  /** Who is owed a beat at the next tick. */
  readonly #owed = new Set<MemberId>()
  /** Alerts in our own status that nobody stands by any more. */
  readonly #stale = new Set<MemberId>()
  /** Connections given up although we do not watch the member, by when they came up: each once. */
  readonly #givenUp = new Map<MemberId, number>()
  #rings: Rings = ringsOf([])
  /** Over all members, however lost: a member that another one believes lost still sends that one its beats. */
  #fullRings: Rings = ringsOf([])
  /** Whom the two are drawn over, sorted. */
  #onRings: { readonly present: readonly MemberId[]; readonly all: readonly MemberId[] } = {
    present: [],
    all: [],
  }
  /** The roster's judgements when they were drawn last. */
  #drawnAt = -1
  /** Who expects our beats, by the rings as drawn now and by the rings of a peer that still believes in everybody. */
  #observers: ReadonlySet<MemberId> = new Set()
  #neighbours: readonly MemberId[] = []
  /** Who watches whom may be another since the neighbours were listed. */
  #pairsChanged = false
  #nextBeatMs = Number.NEGATIVE_INFINITY
  #sparedUntilMs: number | null = null
  #dueMs = Number.POSITIVE_INFINITY
  #changed = false

  constructor(self: MemberId, options: Partial<DetectorOptions> = {}) {
    this.#self = self
    this.#options = { ...DETECTOR_DEFAULTS, ...options }
    this.#doubt = new SelfDoubt(this.#options)
    this.#slowness = new Slowness(this.#options)
    this.#massDoubt = new MassDoubt(this.#options)
    this.#roster = new Roster(self, this.#options, (member) => this.#watches.get(member)?.alert ?? null)
  }

  /** When `tick` is due, monotonic milliseconds. Read it after every call of another method. */
  get nextTickMs(): number {
    return this.#dueMs
  }

  /** The admitted members; self is added where it is missing. */
  setMembers(ids: Iterable<MemberId>, nowMs: number): void {
    this.#roster.admit(ids, nowMs)
    for (const id of this.#givenUp.keys()) {
      if (this.#roster.get(id) === undefined) this.#givenUp.delete(id)
    }
    this.#drawRings(nowMs)
    this.#wake(nowMs)
  }

  /** The first connection to a member came up. */
  connected(id: MemberId, nowMs: number): void {
    const member = this.#roster.get(id)
    if (member === undefined || member.connectedSinceMs !== null) return
    this.#roster.connect(member, nowMs)
    this.#watches.get(id)?.connected(nowMs)
    this.#roster.heardOf(id)
    // At once, whoever it is: its observer need not wait for the interval to see that the connection carries beats.
    this.#owed.add(id)
    this.#wake(nowMs)
  }

  /** The last connection to a member went; `silent` when no end of it arrived. */
  disconnected(id: MemberId, silent: boolean, nowMs: number): void {
    const member = this.#roster.get(id)
    if (member === undefined || member.connectedSinceMs === null) return
    this.#roster.connect(member, null)
    this.#watches.get(id)?.disconnected(silent, nowMs)
    this.#wake(nowMs)
  }

  /** Bytes on the `beat` channel. */
  beat(from: MemberId, bytes: Uint8Array, nowMs: number): void {
    if (this.#roster.get(from) === undefined) return
    const { kind, extraMs } = decodeBeat(bytes)
    if (kind === 'probe') {
      this.#owed.add(from)
      this.#wake(nowMs)
    }
    if (this.#watches.get(from)?.heard(nowMs, extraMs) === true) {
      this.#stale.add(from)
      this.#wake(nowMs)
    }
  }

  /** What is replicated of a member's status, own status included. Statuses of unknown members are ignored. */
  setStatus(id: MemberId, status: ReportedStatus, nowMs: number): void {
    const member = this.#roster.get(id)
    if (member === undefined) return
    const before = member.status
    member.status = status
    if (before === null ? this.#isUneventful(member, status) : sameReport(before, status)) return
    if (before !== null) this.#roster.restated(member, before, status, nowMs)
    if (id === this.#self) {
      for (const accused of status.alerts.keys()) {
        const other = accused as MemberId
        if ((this.#watches.get(other)?.alert ?? null) === null) this.#stale.add(other)
      }
    } else if (before !== null && status.incarnation > before.incarnation) {
      this.#answerRefutation(id, status.incarnation, nowMs)
    } else if (before?.running === false && status.running) {
      this.#watches.get(id)?.postpone(nowMs)
    }
    this.#wake(nowMs)
  }

  /**
   * Whether a member's first word changes no verdict: it accuses nobody, and nobody accuses it. Of a thousand members
   * that start at once each has such a word, and to judge means to look at all of them.
   */
  #isUneventful(member: RosterEntry, { running, alerts }: ReportedStatus): boolean {
    const isUnjudged = this.#changed || member.id === this.#self
    return (
      !isUnjudged && running && alerts.size === 0 && member.state === 'alive' && member.accusers.size === 0
    )
  }

  /** Whom this peer watches and who watches it, sorted: connections to these are never surplus. The same array until it changes. */
  neighbours(): readonly MemberId[] {
    if (!this.#pairsChanged) return this.#neighbours
    this.#pairsChanged = false
    const ids = new Set([...this.#watches.keys(), ...this.#observers])
    const known = this.#neighbours
    if (ids.size !== known.length || known.some((id) => !ids.has(id)))
      this.#neighbours = [...ids].sort(compareStrings)
    return this.#neighbours
  }

  /** Every admitted member with its state, as of `nowMs`. */
  membership(nowMs: number): Membership {
    this.#judge(nowMs)
    return this.#roster.membership(nowMs)
  }

  /** Does what is due. `coreWaitMs`: how long this peer has stood in line for a core since its start, if it is known. */
  tick(nowMs: number, coreWaitMs = 0): readonly DetectorEffect[] {
    this.#slowness.ticked(nowMs - this.#dueMs, coreWaitMs, nowMs)
    const late = this.#doubt.ticked(this.#dueMs, nowMs)
    if (late) for (const watch of this.#watches.values()) watch.postpone(nowMs)
    this.#judge(nowMs)
    this.#drawRings(nowMs)
    const effects: DetectorEffect[] = []
    this.#sendBeats(nowMs, effects)
    this.#retract(nowMs, effects)
    this.#accuse(nowMs, effects)
    this.#giveUpConnections(nowMs, effects)
    this.#judge(nowMs)
    // A tick that came late may have found alerts on us that were true; we answer them with the next one.
    if (!late) this.#refute(nowMs, effects)
    this.#dueMs = this.#nextDueMs(nowMs)
    return effects
  }

  #wake(nowMs: number): void {
    this.#changed = true
    this.#dueMs = Math.min(this.#dueMs, nowMs)
  }

  // ------------------------------------------------------------------------------------------------ who watches whom

  #drawRings(nowMs: number): void {
    // Who is on the rings follows from the states, and from how long somebody has been lost.
    if (this.#drawnAt === this.#roster.judgements && !this.#roster.anyLost) return
    this.#drawnAt = this.#roster.judgements
    const present: MemberId[] = []
    const all: MemberId[] = []
    // In the order of ids.
    for (const member of this.#roster.entries()) {
      if (member.state === 'left') continue
      all.push(member.id)
      const lostMs = member.lostSinceMs === null ? 0 : nowMs - member.lostSinceMs
      if (lostMs < this.#options.settleMs) present.push(member.id)
    }
    const samePresent = sameIds(present, this.#onRings.present)
    const sameAll = sameIds(all, this.#onRings.all)
    if (samePresent && sameAll) return
    this.#onRings = { present, all }
    if (!samePresent) this.#rings = ringsOf(present)
    if (!sameAll) this.#fullRings = ringsOf(all)
    this.#observers = new Set([
      ...this.#rings.observersOf(this.#self),
      ...this.#fullRings.observersOf(this.#self),
    ])
    this.#pairsChanged = true
    this.#changed = true
    const watched = all.filter((id) => id !== this.#self && this.#rings.observersOf(id).includes(this.#self))
    for (const id of watched) {
      if (this.#watches.has(id)) continue
      this.#watches.set(id, this.#newWatch(id, nowMs))
      this.#watchesChanged()
    }
    for (const [id, watch] of this.#watches) {
      // An alert outlives the appointment: new observers take the case over before it is closed (see #retract).
      if (!watched.includes(id) && watch.alert === null) this.#unwatch(id)
    }
  }

  #unwatch(id: MemberId): void {
    this.#watches.delete(id)
    this.#watchesChanged()
  }

  #watchesChanged(): void {
    this.#sortedWatches = null
    this.#pairsChanged = true
  }

  #watchesInOrder(): readonly (readonly [MemberId, Watch])[] {
    this.#sortedWatches ??= sortedEntries(this.#watches)
    return this.#sortedWatches
  }

  #newWatch(id: MemberId, nowMs: number): Watch {
    const { silenceMs, startGraceMs, joinGraceMs } = this.#options
    const member = defined(this.#roster.get(id), 'watched member')
    const isConnected = member.connectedSinceMs !== null
    let deadlineMs = nowMs + silenceMs
    if (!isConnected) {
      if (member.state === 'dead') deadlineMs = nowMs
      else if (member.original) deadlineMs = Math.max(deadlineMs, member.admittedMs + startGraceMs)
      else if (member.status === null) deadlineMs = Math.max(deadlineMs, member.admittedMs + joinGraceMs)
    }
    return new Watch(this.#options, isConnected, deadlineMs, nowMs)
  }

  // ----------------------------------------------------------------------------------------------------- what is due

  #sendBeats(nowMs: number, effects: DetectorEffect[]): void {
    if (nowMs >= this.#nextBeatMs) {
      this.#nextBeatMs = nowMs + this.#options.beatIntervalMs
      for (const id of this.#observers) this.#owed.add(id)
    }
    const extraMs = this.#slowness.extraMs(nowMs)
    for (const id of drained(this.#owed)) {
      if (this.#roster.isConnected(id))
        effects.push({ kind: 'beat', to: id, bytes: encodeBeat('beat', extraMs) })
    }
    for (const [id, watch] of this.#watchesInOrder()) {
      if (watch.probe(nowMs)) effects.push({ kind: 'beat', to: id, bytes: encodeBeat('probe', extraMs) })
    }
  }

  #retract(nowMs: number, effects: DetectorEffect[]): void {
    for (const [id, watch] of this.#watchesInOrder()) {
      const member = this.#roster.get(id)
      const gone = member === undefined || member.state === 'left'
      if (!gone && watch.alert !== null && this.#roster.incarnationOf(id) > watch.alert.incarnation) {
        this.#stale.add(id)
        watch.refuted(nowMs)
      }
      const appointed = !gone && this.#rings.observersOf(id).includes(this.#self)
      const over = gone || (!appointed && (this.#roster.isConnected(id) || member.state !== 'dead'))
      if (!over) continue
      if (watch.alert !== null) this.#stale.add(id)
      this.#unwatch(id)
    }
    for (const id of drained(this.#stale)) {
      const stands = (this.#watches.get(id)?.alert ?? null) !== null
      if (!stands) effects.push({ kind: 'retract', member: id })
      this.#changed = true
    }
  }

  #accuse(nowMs: number, effects: DetectorEffect[]): void {
    if (nowMs < this.#doubt.doubtUntilMs) return
    const patienceMs = this.#patienceMs(nowMs)
    this.#sparedUntilMs = this.#massDoubt.untilMs(this.#watches.values(), patienceMs, nowMs)
    for (const [id, watch] of this.#watchesInOrder()) {
      if (watch.alert !== null || nowMs < watch.overdueAtMs(patienceMs)) continue
      if (this.#sparedUntilMs !== null && watch.nearlySilent(nowMs)) continue
      const { incarnation, silent } = watch.accuse(this.#roster.incarnationOf(id))
      effects.push({ kind: 'alert', member: id, incarnation, silent })
      this.#changed = true
    }
  }

  #giveUpConnections(nowMs: number, effects: DetectorEffect[]): void {
    const unansweredMs = this.#options.cutAfterMs - this.#options.silenceMs
    for (const { id, connectedSinceMs, state, sinceMs, silent } of this.#roster.connected()) {
      if (connectedSinceMs === null) continue
      const watch = this.#watches.get(id)
      if (watch?.cut(nowMs) === true) effects.push({ kind: 'reconnect', member: id })
      // A connection to a member that others watch and found silent is as dead as theirs; nothing else would notice.
      const older = state === 'dead' && silent && connectedSinceMs < sinceMs
      if (watch !== undefined || !older || nowMs - sinceMs < unansweredMs) continue
      if (this.#givenUp.get(id) === connectedSinceMs) continue
      this.#givenUp.set(id, connectedSinceMs)
      effects.push({ kind: 'reconnect', member: id })
    }
  }

  #refute(nowMs: number, effects: DetectorEffect[]): void {
    const self = this.#roster.get(this.#self)
    const own = self?.status ?? null
    if (own === null) return
    // As judged a moment ago: hardly ever anybody, and looking for them would mean looking at every member.
    const accusers = self?.accusers.size === 0 ? [] : this.#roster.accusersOf(this.#self)
    const convicted = accusers.length >= accusersNeeded(this.#rings.observersOf(this.#self).length)
    if (!this.#refutation.due(accusers.length > 0, convicted, nowMs)) return
    let above = own.incarnation
    for (const accuser of accusers) {
      above = Math.max(above, this.#roster.alertOf(accuser, this.#self)?.incarnation ?? 0)
    }
    effects.push({ kind: 'refute', above })
  }

  #nextDueMs(nowMs: number): number {
    const { beatIntervalMs } = this.#options
    // Who is lost is settled, and the brake let go, at times of their own: two looks for each beat are near enough.
    const isCalm = !this.#roster.anyLost && this.#roster.brakedUntilMs(nowMs) === null
    let dueMs = Math.min(this.#nextBeatMs, nowMs + (isCalm ? beatIntervalMs : beatIntervalMs / 2))
    if (this.#roster.heldUntilMs !== null) dueMs = Math.min(dueMs, this.#roster.heldUntilMs)
    const sparedMs = this.#sparedUntilMs ?? nowMs
    const patienceMs = this.#patienceMs(nowMs)
    for (const watch of this.#watches.values()) {
      dueMs = Math.min(dueMs, watch.probeDueMs(nowMs))
      if (watch.alert !== null) continue
      const overdueMs = Math.max(watch.overdueAtMs(patienceMs), this.#doubt.doubtUntilMs)
      // Overdue and not accused a moment ago: it is held back with the rest.
      dueMs = Math.min(dueMs, overdueMs <= nowMs ? sparedMs : overdueMs)
    }
    return Math.max(dueMs, nowMs)
  }

  #answerRefutation(id: MemberId, incarnation: number, nowMs: number): void {
    const watch = this.#watches.get(id)
    if (watch === undefined || watch.alert === null || watch.alert.incarnation >= incarnation) return
    watch.refuted(nowMs)
    this.#stale.add(id)
  }

  /** What we grant to those we watch while we are slow ourselves. */
  #patienceMs(nowMs: number): number {
    return Math.max(this.#doubt.patienceMs, this.#slowness.extraMs(nowMs))
  }

  #judge(nowMs: number): void {
    const { heldUntilMs } = this.#roster
    if (!this.#changed && (heldUntilMs === null || nowMs < heldUntilMs)) return
    this.#changed = false
    this.#roster.judge(this.#rings, this.#slowness.extraMs(nowMs), nowMs)
  }
}

const sameIds = (a: readonly MemberId[], b: readonly MemberId[]): boolean =>
  a.length === b.length && a.every((id, at) => id === b[at])

const NOBODY: readonly MemberId[] = []

/** What the set held, in order; it is empty afterwards, and mostly was before. */
const drained = (ids: Set<MemberId>): readonly MemberId[] => {
  if (ids.size === 0) return NOBODY
  const all = [...ids].sort(compareStrings)
  ids.clear()
  return all
}

// The roster: every admitted member with what this peer knows of it, and the judgement over all of them. It turns
// replicated alerts into states (conviction.ts) and feeds the brake; it raises no alert and has no deadline of its own.
//
// Invariants: self is alive; a member's state follows from statuses, own alerts and the rings alone; a member that is
// dead keeps the observers that it had when it died, so that drawing new rings never reopens its case.
//
// An observer that starts anew has no alerts yet, and needs seconds to see for itself. What it said of the dead before
// stands meanwhile, else a machine that is long gone would be a suspect again, and a place for its slots, whenever its
// observers are restarted. For the same reason nobody who comes back from the dead speaks for the others by silence, unless
// it has lived meanwhile, on the other side of a cut.
//
// A peer that lives behind real time reads alerts long before the retractions that follow them. It therefore holds the
// conviction of a silent member for as long as it is slow; the others, and it too when it is well, convict at once.

import type { MemberId } from '../lib/ids.ts'
import { compareStrings } from '../lib/order.ts'
import { Brake } from './brake.ts'
import { convict } from './conviction.ts'
import type { DetectorOptions, ReportedAlert, ReportedStatus } from './detector-options.ts'
import type { Membership, MemberState } from './membership.ts'
import type { Rings } from './rings.ts'

export interface RosterEntry {
  readonly id: MemberId
  readonly admittedMs: number
  /** A member when this peer started, so perhaps starting as well. */
  readonly original: boolean
  connectedSinceMs: number | null
  status: ReportedStatus | null
  /** When its process started, as it said last; a refutation raises the incarnation of one that runs on, and forgets nothing. */
  startedAt: number | null
  state: MemberState
  sinceMs: number
  silent: boolean
  /** Since when it would be dead but for the hold of a slow peer; null: it would not. */
  convictedSinceMs: number | null
  /** Since when it is suspect or dead; null: neither. */
  lostSinceMs: number | null
  observersAtDeath: readonly MemberId[]
  accusers: ReadonlySet<MemberId>
  /** Alerts that it raised before it began anew, by accused member; they stand until `untilMs`. */
  outlived: ReadonlyMap<MemberId, OutlivedAlert>
  /** It has begun anew, or come back from the dead: that it accuses nobody says nothing before then. */
  undecidedUntilMs: number
}

interface OutlivedAlert {
  readonly alert: ReportedAlert
  readonly untilMs: number
}

/** From the first beat of a member that was lost to its status, which tells whether it has begun anew: a round or two. */
const WORD_MS = 250

/** Our own alert on a member, raised a moment ago perhaps and not yet in our replicated status. */
export type OwnAlertOf = (member: MemberId) => ReportedAlert | null

export class Roster {
  readonly #self: MemberId
  readonly #options: DetectorOptions
  readonly #ownAlertOf: OwnAlertOf
  readonly #brake: Brake
  readonly #entries = new Map<MemberId, RosterEntry>()
  #sorted: readonly RosterEntry[] | null = null
  #connected: readonly RosterEntry[] | null = null
  #judgements = 0
  #anyLost = false
  #started = false
  #heldUntilMs: number | null = null
  /** As last told; the same values are told again while they hold. */
  #members: Membership['members'] = []
  #isTold = false

  constructor(self: MemberId, options: DetectorOptions, ownAlertOf: OwnAlertOf) {
    this.#self = self
    this.#options = options
    this.#ownAlertOf = ownAlertOf
    this.#brake = new Brake(self, options)
  }

  /** Makes the roster exactly these members, and self. */
  admit(ids: Iterable<MemberId>, nowMs: number): void {
    const admitted = new Set([...ids, this.#self])
    for (const id of this.#entries.keys()) if (!admitted.has(id)) this.#entries.delete(id)
    for (const id of [...admitted].sort(compareStrings)) {
      if (!this.#entries.has(id)) this.#entries.set(id, newEntry(id, !this.#started, nowMs))
    }
    this.#started = true
    this.#sorted = null
    this.#connected = null
    this.#judgements += 1
    this.#isTold = false
  }

  get(id: MemberId): RosterEntry | undefined {
    return this.#entries.get(id)
  }

  /** All entries, sorted by id. */
  entries(): readonly RosterEntry[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => compareStrings(a.id, b.id))
    return this.#sorted
  }

  /** Entries with a connection, sorted by id: few of many. */
  connected(): readonly RosterEntry[] {
    this.#connected ??= this.entries().filter(({ connectedSinceMs }) => connectedSinceMs !== null)
    return this.#connected
  }

  /** A connection came up at that time, or (null) went. */
  connect(entry: RosterEntry, sinceMs: number | null): void {
    entry.connectedSinceMs = sinceMs
    this.#connected = null
  }

  /** Rises with every judgement and every admission: whoever has seen this number has seen all there is. */
  get judgements(): number {
    return this.#judgements
  }

  /** Whether anybody is suspect or dead, as last judged. */
  get anyLost(): boolean {
    return this.#anyLost
  }

  isConnected(id: MemberId): boolean {
    return (this.#entries.get(id)?.connectedSinceMs ?? null) !== null
  }

  /** 0 while nothing was heard of it. */
  incarnationOf(id: MemberId): number {
    return this.#entries.get(id)?.status?.incarnation ?? 0
  }

  /** The alert of one member on another, void or not. */
  alertOf(accuser: RosterEntry, accused: MemberId): ReportedAlert | null {
    if (accuser.id === this.#self) return this.#ownAlertOf(accused)
    return accuser.status?.alerts.get(accused) ?? accuser.outlived.get(accused)?.alert ?? null
  }

  /**
   * A member's status follows `before`. Where it began anew, what it said of the dead, and of self, stands for as long
   * as an observer needs to raise an alert after its start; what it says or takes back itself counts at once, also
   * where it refutes an alert on itself meanwhile.
   */
  restated(entry: RosterEntry, before: ReportedStatus, status: ReportedStatus, nowMs: number): void {
    entry.startedAt = before.startedAt ?? entry.startedAt
    const isSameLife = status.startedAt !== null && status.startedAt === entry.startedAt
    if (isSameLife && before.startedAt === null) {
      // What came first of its new incarnation did not say so yet.
      entry.undecidedUntilMs = -Infinity
      entry.outlived = NONE_OUTLIVED
    }
    // Where the new incarnation came before what it restates, all but its number was of the life before.
    const isLater = before.startedAt !== null && status.startedAt !== null
    if ((isLater || status.incarnation > before.incarnation) && !isSameLife && entry.id !== this.#self) {
      entry.undecidedUntilMs = nowMs + this.#sightMs
      this.#outlive(entry, before, nowMs)
    } else
      for (const accused of before.alerts.keys())
        if (!status.alerts.has(accused)) this.heardOf(accused as MemberId)
    for (const accused of status.alerts.keys()) entry.outlived = without(entry.outlived, accused as MemberId)
  }

  /** A member shows that it lives, to this peer or to another: whoever forgot its alert need not see for itself. */
  heardOf(id: MemberId): void {
    for (const entry of this.#entries.values()) entry.outlived = without(entry.outlived, id)
  }

  #outlive(entry: RosterEntry, { alerts }: ReportedStatus, nowMs: number): void {
    if (alerts.size === 0 && entry.outlived.size === 0) return
    const untilMs = nowMs + this.#sightMs
    // Restarted once more before it could see: it needs as long again.
    const outlived = new Map([...entry.outlived].map(([accused, { alert }]) => [accused, { alert, untilMs }]))
    for (const [id, alert] of alerts) {
      const accused = id as MemberId
      if (accused === this.#self || this.#entries.get(accused)?.state === 'dead')
        outlived.set(accused, { alert, untilMs })
    }
    entry.outlived = outlived
  }

  /** How long an observer needs after its start to raise an alert. */
  get #sightMs(): number {
    const { startGraceMs, silenceMs, massDoubtMs } = this.#options
    return startGraceMs + silenceMs + massDoubtMs
  }

  /** Members that have not left and whose alert on `id` is not void, sorted. */
  accusersOf(id: MemberId, among: readonly RosterEntry[] = this.#accusing()): readonly RosterEntry[] {
    const incarnation = this.incarnationOf(id)
    return among.filter((other) => {
      if (other.id === id || hasLeft(other)) return false
      const alert = this.alertOf(other, id)
      return alert !== null && alert.incarnation >= incarnation
    })
  }

  /** Hardly anybody accuses anyone: looking for that once keeps the judgement of many members cheap. */
  #accusing(): readonly RosterEntry[] {
    return this.entries().filter(
      ({ id, status, outlived }) => id === this.#self || (status?.alerts.size ?? 0) > 0 || outlived.size > 0,
    )
  }

  /** When to judge again although nothing changed: a conviction is held, or an alert stands, until then. Null: never. */
  get heldUntilMs(): number | null {
    return this.#heldUntilMs
  }

  /**
   * Brings every state, and the brake, up to what is known. `slownessMs`: how far behind real time this peer lives; for so
   * long, one silence window at most, alerts of silence must stand before they convict.
   */
  judge(rings: Rings, slownessMs: number, nowMs: number): void {
    this.#isTold = false
    this.#judgements += 1
    const holdMs = Math.min(slownessMs, this.#options.silenceMs)
    this.#heldUntilMs = null
    const entries = this.entries()
    for (const entry of entries) if (entry.outlived.size > 0) this.#expire(entry, nowMs)
    const population = new Set<MemberId>([this.#self])
    const accusers = new Map<MemberId, ReadonlySet<MemberId>>()
    const dead = new Set<MemberId>()
    const undecided = new Set<MemberId>()
    const accusing = this.#accusing()
    for (const entry of entries) {
      if (!hasLeft(entry)) population.add(entry.id)
      if (entry.state === 'dead') dead.add(entry.id)
      if (entry.state === 'dead' || entry.undecidedUntilMs > nowMs) undecided.add(entry.id)
      const found = this.accusersOf(entry.id, accusing)
      if (found.length > 0) accusers.set(entry.id, new Set(found.map((accuser) => accuser.id)))
    }
    const observersOf = (id: MemberId): readonly MemberId[] => {
      const entry = this.#entries.get(id)
      return entry?.state === 'dead' ? entry.observersAtDeath : rings.observersOf(id)
    }
    const convicted = convict({ self: this.#self, population, accusers, observersOf, dead, undecided })
    for (const entry of entries) {
      entry.accusers = accusers.get(entry.id) ?? NO_ACCUSERS
      if (entry.id === this.#self) continue
      let state: MemberState = entry.accusers.size > 0 ? 'suspect' : 'alive'
      if (convicted.has(entry.id) && !this.#held(entry, holdMs, nowMs)) state = 'dead'
      else if (!convicted.has(entry.id)) entry.convictedSinceMs = null
      if (!population.has(entry.id)) state = 'left'
      if (state === 'dead' && entry.state !== 'dead') entry.observersAtDeath = rings.observersOf(entry.id)
      this.#enter(entry, state, nowMs)
    }
    // Who is dead only because these have said nothing yet is looked at again once they could have.
    if (entries.some(({ state }) => state === 'dead'))
      for (const { undecidedUntilMs } of entries)
        if (undecidedUntilMs > nowMs) this.#judgeAgainAt(undecidedUntilMs)
    this.#anyLost = entries.some(({ lostSinceMs }) => lostSinceMs !== null)
    const others = entries.filter((entry) => entry.id !== this.#self && entry.state !== 'left')
    this.#brake.update(
      others.map(({ id, state, lostSinceMs, accusers: by }) => ({
        id,
        dead: state === 'dead',
        lostSinceMs,
        accusers: by,
      })),
      nowMs,
    )
  }

  /** Until when this peer takes nothing over; null: it is free. */
  brakedUntilMs(nowMs: number): number | null {
    return this.#brake.untilMs(nowMs)
  }

  /** The states as last judged. */
  membership(nowMs: number): Membership {
    if (!this.#isTold) this.#members = this.#liveness()
    this.#isTold = true
    return { members: this.#members, brakedUntilMs: this.brakedUntilMs(nowMs) }
  }

  #liveness(): Membership['members'] {
    const before = this.#members
    const entries = this.entries()
    const members = entries.map(({ id, state, sinceMs, silent }, at) => {
      const was = before[at]
      const isSame = was?.id === id && was.state === state && was.sinceMs === sinceMs && was.silent === silent
      return isSame ? was : { id, state, sinceMs, silent }
    })
    return members.length === before.length && members.every((member, at) => member === before[at])
      ? before
      : members
  }

  /** Whether its conviction waits, since more may be in our sockets already. */
  #held(entry: RosterEntry, holdMs: number, nowMs: number): boolean {
    entry.convictedSinceMs ??= nowMs
    if (entry.state === 'dead' || !this.#isSilent(entry)) return false
    const untilMs = entry.convictedSinceMs + holdMs
    if (nowMs >= untilMs) return false
    this.#judgeAgainAt(untilMs)
    return true
  }

  #judgeAgainAt(atMs: number): void {
    this.#heldUntilMs = Math.min(this.#heldUntilMs ?? atMs, atMs)
  }

  #expire(entry: RosterEntry, nowMs: number): void {
    for (const [accused, { untilMs }] of entry.outlived) {
      if (nowMs >= untilMs) entry.outlived = without(entry.outlived, accused)
      else this.#judgeAgainAt(untilMs)
    }
  }

  /** One close proves that the machine was in sight; silence is the word of all its accusers or it is none. */
  #isSilent(entry: RosterEntry): boolean {
    return this.accusersOf(entry.id).every((accuser) => this.#saysSilent(accuser, entry.id))
  }

  #enter(entry: RosterEntry, state: MemberState, nowMs: number): void {
    const lost = state === 'suspect' || state === 'dead'
    entry.silent = lost && this.#isSilent(entry)
    entry.lostSinceMs = lost ? (entry.lostSinceMs ?? nowMs) : null
    if (entry.state === state) return
    if (entry.state === 'dead') entry.undecidedUntilMs = Math.max(entry.undecidedUntilMs, nowMs + WORD_MS)
    entry.state = state
    entry.sinceMs = nowMs
  }

  #saysSilent(accuser: RosterEntry, accused: MemberId): boolean {
    return this.alertOf(accuser, accused)?.silent ?? true
  }
}

const hasLeft = (entry: RosterEntry): boolean => entry.status?.running === false

// A thousand members in each of a thousand rosters: nearly all of them are accused of nothing.
const NO_ACCUSERS: ReadonlySet<MemberId> = new Set()
const NONE_OUTLIVED: ReadonlyMap<MemberId, OutlivedAlert> = new Map()

const without = (
  outlived: ReadonlyMap<MemberId, OutlivedAlert>,
  id: MemberId,
): ReadonlyMap<MemberId, OutlivedAlert> => {
  if (!outlived.has(id)) return outlived
  const rest = [...outlived].filter(([accused]) => accused !== id)
  return rest.length === 0 ? NONE_OUTLIVED : new Map(rest)
}

const newEntry = (id: MemberId, original: boolean, nowMs: number): RosterEntry => ({
  id,
  admittedMs: nowMs,
  original,
  connectedSinceMs: null,
  status: null,
  startedAt: null,
  state: 'alive',
  sinceMs: nowMs,
  silent: false,
  convictedSinceMs: null,
  lostSinceMs: null,
  observersAtDeath: [],
  accusers: NO_ACCUSERS,
  outlived: NONE_OUTLIVED,
  undecidedUntilMs: -Infinity,
})

/** Whether two statuses say the same to the detector: they change with every instance, which it need not know. */
export const sameReport = (a: ReportedStatus, b: ReportedStatus): boolean => {
  if (a.incarnation !== b.incarnation || a.running !== b.running || a.startedAt !== b.startedAt) return false
  if (a.alerts.size !== b.alerts.size) return false
  for (const [accused, alert] of a.alerts) {
    const other = b.alerts.get(accused)
    if (other?.incarnation !== alert.incarnation || other.silent !== alert.silent) return false
  }
  return true
}

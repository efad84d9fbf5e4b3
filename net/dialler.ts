// The dialler: which members to hold a connection to, and when to try again. Up to a dozen members form a full mesh;
// above that a peer holds its ring neighbours and a few random others, which keeps gossip's graph connected. It redials
// for ever, because libp2p gives up (facts: five tries, then never), and it dials lost members too: that is how two
// halves of a partition find each other. It dials nothing itself and judges nobody's life.
//
//   idle --[wanted, its time has come, a place is free]--> dialling --[connected]--> connected
//   dialling --[failed, or connected and soon lost]--> idle, with backoff
//   connected --[lost after a while]--> idle, to be dialled at once
//
// Invariants: at most one dial per member and `dialsMax` at a time; members that failed often never take the places kept
// for the others, and wait in order of their time, so nobody starves; a backoff ends within `backoffMaxMs`.

import type { MemberId } from '../lib/ids.ts'
import { compareStrings } from '../lib/order.ts'
import type { Random } from '../lib/random.ts'

export interface DialTarget {
  readonly id: MemberId
  /** All that are known, best first; see `mergeAddresses`. */
  readonly addresses: readonly string[]
  /** The failure detector holds it for dead: it is dialled for healing, but never as one of the random others. */
  readonly lost: boolean
}

export type DialEffect =
  /** `Transport.dial`; report the outcome with `dialled`. */
  | { readonly kind: 'dial'; readonly member: MemberId; readonly addresses: readonly string[] }
  /** `Transport.disconnect`: a surplus connection. */
  | { readonly kind: 'disconnect'; readonly member: MemberId }

export interface DiallerOptions {
  /** Members up to which everybody holds a connection to everybody. @default 12 */
  readonly fullMeshMax: number
  /** Random others beyond the ring neighbours, in larger clusters. @default 8 */
  readonly randomOthers: number
  /** First wait after a failed dial. @default 250 */
  readonly backoffMinMs: number
  /** Longest wait: with the dial's own timeout it bounds how long a healed partition stays unseen. @default 1500 */
  readonly backoffMaxMs: number
  /** How long the larger of two ids lets the smaller one dial first, so that they do not dial each other at once. @default 400 */
  readonly yieldMs: number
  /** A connection shorter than this was a refusal: a gater lets the dialler in for a moment. @default 3000 */
  readonly stableMs: number
  /** Dials at a time: forty-eight silent addresses at three seconds each are sixteen dials a second. @default 48 */
  readonly dialsMax: number
  /** A dial of which nothing was heard for this long is forgotten. @default 10000 */
  readonly dialLostMs: number
}

export const DIALLER_DEFAULTS: DiallerOptions = {
  fullMeshMax: 12,
  randomOthers: 8,
  backoffMinMs: 250,
  backoffMaxMs: 1500,
  yieldMs: 400,
  stableMs: 3000,
  dialsMax: 48,
  dialLostMs: 10_000,
}

/** From so many failures on, a member is dialled from the places that the others leave. */
const STUBBORN_FAILURES = 3
/** Places kept for members that did not fail often. */
const KEPT_SHARE = 1 / 4
/** Connections beyond the wanted ones that are left alone: other peers picked us, about as many as we pick, give or take. */
const SURPLUS_PER_OTHER = 2
/** One surplus connection at a time, and none that is young: whoever made it may be about to need it. */
const PRUNE_INTERVAL_MS = 5000
const PRUNE_AGE_MS = 30_000

interface Line {
  readonly id: MemberId
  addresses: readonly string[]
  lost: boolean
  failures: number
  dialAtMs: number
  diallingSinceMs: number | null
  connectedSinceMs: number | null
  /** The lower, the sooner it is one of the random others. */
  rank: number
}

export class Dialler {
  readonly #self: MemberId
  readonly #random: Random
  readonly #options: DiallerOptions
  readonly #lines = new Map<MemberId, Line>()
  /** Of small clusters; null: to be listed anew. */
  #everybody: ReadonlySet<MemberId> | null = null
  #neighbours: ReadonlySet<MemberId> = new Set()
  /** Null: to be worked out anew, since what it depends on has changed. */
  #wantedNow: ReadonlySet<MemberId> | null = null
  #pruneAtMs = 0
  #dueMs = Number.POSITIVE_INFINITY

  constructor(self: MemberId, random: Random, options: Partial<DiallerOptions> = {}) {
    this.#self = self
    this.#random = random.fork('dialler')
    this.#options = { ...DIALLER_DEFAULTS, ...options }
  }

  /** When `tick` is due, monotonic milliseconds. Read it after every call of another method. */
  get nextTickMs(): number {
    return this.#dueMs
  }

  /** The other admitted members that have not left; self is ignored. Call when any of them or its addresses change. */
  setMembers(members: readonly DialTarget[], nowMs: number): void {
    const present = new Set(members.map((member) => member.id))
    this.#wantedNow = null
    for (const id of this.#lines.keys()) if (!present.has(id)) this.#lines.delete(id)
    for (const { id, addresses, lost } of [...members].sort((a, b) => compareStrings(a.id, b.id))) {
      if (id === this.#self) continue
      const line = this.#lines.get(id) ?? this.#newLine(id, nowMs)
      this.#reach(line, addresses, nowMs)
      line.lost = lost
      this.#lines.set(id, line)
    }
    this.#everybody = null
    this.#dueMs = Math.min(this.#dueMs, nowMs)
  }

  /** Where one of them is reached from now on; what is not one of them is ignored. */
  setAddresses(id: MemberId, addresses: readonly string[], nowMs: number): void {
    const line = this.#lines.get(id)
    if (line === undefined) return
    this.#reach(line, addresses, nowMs)
    if (this.#wantedNow === null || this.#wantedNow.has(id)) this.#dueMs = Math.min(this.#dueMs, nowMs)
  }

  /** Whom the rings pair with this peer (`FailureDetector.neighbours`): always wanted. */
  setNeighbours(neighbours: Iterable<MemberId>, nowMs: number): void {
    this.#neighbours = new Set(neighbours)
    this.#wantedNow = null
    this.#dueMs = Math.min(this.#dueMs, nowMs)
  }

  connected(id: MemberId, nowMs: number): void {
    const line = this.#lines.get(id)
    if (line === undefined) return
    line.connectedSinceMs ??= nowMs
    if (line.failures >= STUBBORN_FAILURES) this.#wantedNow = null
  }

  disconnected(id: MemberId, nowMs: number): void {
    const line = this.#lines.get(id)
    if (line === undefined || line.connectedSinceMs === null) return
    const lived = nowMs - line.connectedSinceMs >= this.#options.stableMs
    line.connectedSinceMs = null
    this.#wantedNow = null
    if (lived) {
      line.failures = 0
      line.dialAtMs = nowMs + this.#headStartMs(id)
    } else {
      this.#failed(line, nowMs)
    }
    // If the other side let go of us as surplus, someone else is the better choice.
    line.rank = this.#random.next()
    this.#dueMs = Math.min(this.#dueMs, nowMs)
  }

  /** The outcome of a `dial` effect. Success alone proves nothing: a refused dialler is connected for a moment. */
  dialled(id: MemberId, ok: boolean, nowMs: number): void {
    const line = this.#lines.get(id)
    if (line === undefined || line.diallingSinceMs === null) return
    line.diallingSinceMs = null
    if (!ok) this.#failed(line, nowMs)
    else if (line.connectedSinceMs === null)
      line.dialAtMs = Math.max(line.dialAtMs, nowMs + this.#options.backoffMinMs)
    this.#dueMs = Math.min(this.#dueMs, nowMs)
  }

  tick(nowMs: number): readonly DialEffect[] {
    const { dialLostMs } = this.#options
    for (const line of this.#lines.values()) {
      if (line.diallingSinceMs === null || nowMs - line.diallingSinceMs < dialLostMs) continue
      line.diallingSinceMs = null
      this.#failed(line, nowMs)
    }
    const wanted = this.#wanted()
    const effects: DialEffect[] = this.#dials(wanted, nowMs)
    const surplus = this.#surplus(wanted, nowMs)
    if (surplus !== null) effects.push({ kind: 'disconnect', member: surplus })
    this.#dueMs = this.#nextDueMs(wanted, nowMs)
    return effects
  }

  #newLine(id: MemberId, nowMs: number): Line {
    return {
      id,
      addresses: [],
      lost: false,
      failures: 0,
      dialAtMs: nowMs + this.#headStartMs(id),
      diallingSinceMs: null,
      connectedSinceMs: null,
      rank: this.#random.next(),
    }
  }

  #reach(line: Line, addresses: readonly string[], nowMs: number): void {
    // A new address deserves a try now: its machine may have moved while the old one was hopeless.
    const news = addresses.some((address) => !line.addresses.includes(address))
    if (news && line.failures > 0) {
      line.failures = 0
      this.#wantedNow = null
      line.dialAtMs = Math.min(line.dialAtMs, nowMs + this.#headStartMs(line.id))
    }
    line.addresses = addresses
  }

  /** Zero to the smaller id; a jittered pause to the larger one. */
  #headStartMs(id: MemberId): number {
    if (compareStrings(this.#self, id) < 0) return 0
    return this.#options.yieldMs * (1 + this.#random.next() / 2)
  }

  #failed(line: Line, nowMs: number): void {
    const { backoffMinMs, backoffMaxMs } = this.#options
    const backoffMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(line.failures, 16))
    line.failures += 1
    this.#wantedNow = null
    // Between half and all of it: peers that lost one another at the same instant must not meet in step for ever.
    line.dialAtMs = nowMs + backoffMs * (0.5 + this.#random.next() / 2)
  }

  /** To whom a connection is to be held, or made. */
  #wanted(): ReadonlySet<MemberId> {
    this.#wantedNow ??= this.#chooseWanted()
    return this.#wantedNow
  }

  #chooseWanted(): ReadonlySet<MemberId> {
    const { fullMeshMax, randomOthers } = this.#options
    if (this.#lines.size + 1 <= fullMeshMax) return (this.#everybody ??= new Set(this.#lines.keys()))
    const lines = [...this.#lines.values()]
    const wanted = new Set<MemberId>()
    for (const line of lines) if (this.#neighbours.has(line.id) || line.lost) wanted.add(line.id)
    let places = randomOthers
    for (const line of lines.sort((a, b) => a.rank - b.rank || compareStrings(a.id, b.id))) {
      if (places === 0) break
      if (wanted.has(line.id)) continue
      wanted.add(line.id)
      // One that cannot be reached is tried on, but fills no place.
      if (line.connectedSinceMs !== null || line.failures < STUBBORN_FAILURES) places -= 1
    }
    return wanted
  }

  #dials(wanted: ReadonlySet<MemberId>, nowMs: number): DialEffect[] {
    let free = this.#options.dialsMax
    for (const line of this.#lines.values()) if (line.diallingSinceMs !== null) free -= 1
    const keptFree = Math.ceil(this.#options.dialsMax * KEPT_SHARE)
    const stubborn = (line: Line): boolean => line.failures >= STUBBORN_FAILURES
    const due = this.#linesOf(wanted)
      .filter((line) => isIdle(line) && line.dialAtMs <= nowMs)
      .sort(
        (a, b) =>
          Number(stubborn(a)) - Number(stubborn(b)) || a.dialAtMs - b.dialAtMs || compareStrings(a.id, b.id),
      )
    const effects: DialEffect[] = []
    for (const line of due) {
      if (free <= (stubborn(line) ? keptFree : 0)) break
      free -= 1
      line.diallingSinceMs = nowMs
      effects.push({ kind: 'dial', member: line.id, addresses: line.addresses })
    }
    return effects
  }

  /** The one connection to let go of now, if there are far too many: the oldest that we do not want ourselves. */
  #surplus(wanted: ReadonlySet<MemberId>, nowMs: number): MemberId | null {
    if (nowMs < this.#pruneAtMs) return null
    const sinceMs = (line: Line): number => line.connectedSinceMs ?? nowMs
    const unwanted = [...this.#lines.values()]
      .filter((line) => line.connectedSinceMs !== null && !wanted.has(line.id))
      .sort((a, b) => sinceMs(a) - sinceMs(b) || compareStrings(a.id, b.id))
    const oldest = unwanted[0]
    if (oldest === undefined || nowMs - sinceMs(oldest) < PRUNE_AGE_MS) return null
    if (unwanted.length <= SURPLUS_PER_OTHER * this.#options.randomOthers) return null
    this.#pruneAtMs = nowMs + PRUNE_INTERVAL_MS
    return oldest.id
  }

  #nextDueMs(wanted: ReadonlySet<MemberId>, nowMs: number): number {
    // Without anything due it looks for connections to let go of.
    let dueMs = nowMs + PRUNE_INTERVAL_MS
    for (const { diallingSinceMs } of this.#lines.values())
      if (diallingSinceMs !== null) dueMs = Math.min(dueMs, diallingSinceMs + this.#options.dialLostMs)
    for (const line of this.#linesOf(wanted)) {
      // One that is due and was not dialled waits for a place; `dialled` will wake us.
      if (isIdle(line) && line.dialAtMs > nowMs) dueMs = Math.min(dueMs, line.dialAtMs)
    }
    return dueMs
  }

  #linesOf(ids: ReadonlySet<MemberId>): readonly Line[] {
    const lines: Line[] = []
    for (const id of ids) {
      const line = this.#lines.get(id)
      if (line !== undefined) lines.push(line)
    }
    return lines
  }
}

/** Neither connected nor being dialled, and there is something to dial. */
const isIdle = (line: Line): boolean =>
  line.connectedSinceMs === null && line.diallingSinceMs === null && line.addresses.length > 0

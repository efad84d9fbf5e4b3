// The holder: one peer's side of the leases that it wants. Sans-IO: `tick` says whom to ask for what, `receive` takes the
// answers. Each round asks all voters in sight for the slot under a new token; a majority makes the lease.
//
//   wanted ─ask▶ asked ─majority▶ held ─at a third▶ asked again, held meanwhile ─no majority in time▶ wanted
//                  └─no majority▶ what was promised is given back, and asked anew a little later
//
// Invariants. A lease counts from before its round was asked, never from an answer (S9). Answers count for the round they
// belong to only. A token is used for one round; a lease has the token of its last successful round, of which what runs is
// told: no later run begins with it.

import type { Ask, LeaseAnswer, VoterSet } from '../../../crdt/schema/lease.ts'
import { sortedEntries } from '../../../lib/order.ts'
import type { Random } from '../../../lib/random.ts'
import {
  ANSWER_MS,
  HOLD_MS,
  isQuorum,
  RENEW_MS,
  shortageOf,
  TOKENS_PER_EPOCH,
  votersOf,
  WALL_TOKEN_MAX,
  type HeldLease,
  type LeaseStanding,
  type LeaseWish,
} from './terms.ts'

/** Between two tries, with as much again at random, so that rivals do not meet again and again. */
const RETRY_MS = 500

/**
 * A renewal is asked for so much earlier where another one is due: half of the time between two, so that all leases of a
 * holder come to be renewed together, and each voter hears of it once in that time, however many it holds.
 */
const EARLY_MS = RENEW_MS / 2

/** What one voter is to be asked: asks and releases of many slots together. */
export interface HolderEffect {
  readonly to: string
  readonly asks: Ask[]
  readonly releases: Ask[]
}

/** What a tick looks at. */
export interface HolderScene {
  readonly nowMs: number
  readonly wall: number
  readonly voters: VoterSet | null
  /** Members in sight, this one included. */
  readonly inSight: ReadonlySet<string>
  readonly nameOf: (member: string) => string
}

interface Round {
  readonly token: number
  readonly epoch: number
  readonly sentMs: number
  readonly asked: ReadonlySet<string>
  readonly granted: Set<string>
  readonly answered: Set<string>
}

interface Seat {
  /** At least every token that a run here was given: at its start, or when its lease was renewed. */
  above: number
  /** Something of the slot runs here, or may: then nothing is given back. */
  running: boolean
  /** As wished for. */
  stopAheadMs: number
  /** It was told that the lease comes to its end. */
  isEnding: boolean
  /** At least every token that any voter has named. */
  seen: number
  lease: (HeldLease & { readonly sentMs: number }) | null
  round: Round | null
  askAtMs: number
  reason: string
}

/** So many that two starts of one peer draw the same one as good as never. */
const SESSIONS = 2 ** 32

const WAITING = 'waits for the lease of its slot'

export class Holder {
  /** Of this start: promises to an earlier one are not this one's to give back. */
  readonly session: number
  readonly #random: Random
  readonly #seats = new Map<string, Seat>()
  /** At least every token of a slot that was given back: what comes after is not given back by an older word. */
  #floor = 0
  /** To be told to all voters at the next tick. */
  #releases: Ask[] = []

  constructor(random: Random) {
    this.#random = random
    this.session = random.fork('session').below(SESSIONS)
  }

  /** The slots that this peer is to hold from now on; what is not among them is given back. */
  want(wishes: readonly LeaseWish[], nowMs: number): void {
    const wanted = new Map(wishes.map((wish) => [wish.slot, wish]))
    for (const [slot, seat] of sortedEntries(this.#seats)) {
      if (wanted.has(slot)) continue
      this.#giveBack(slot, seat)
      this.#seats.delete(slot)
    }
    for (const [slot, { above, running, stopAheadMs }] of sortedEntries(wanted)) {
      const seat = this.#seats.get(slot) ?? this.#seat(slot, nowMs)
      seat.stopAheadMs = stopAheadMs
      const isOver = seat.running && !running
      seat.running = running
      if (above <= seat.above && !isOver) continue
      seat.above = Math.max(seat.above, above)
      // The next run needs a token that no run before it had.
      if (seat.round === null && seat.lease !== null && seat.lease.token <= seat.above) seat.askAtMs = nowMs
    }
  }

  /** How every wanted slot stands. */
  standings(nowMs: number): ReadonlyMap<string, LeaseStanding> {
    return new Map(
      sortedEntries(this.#seats).map(([slot, { above, lease, reason }]): [string, LeaseStanding] => [
        slot,
        lease !== null && lease.untilMs > nowMs
          ? { kind: 'held', token: lease.token, untilMs: lease.untilMs, fresh: lease.token > above }
          : { kind: 'none', reason },
      ]),
    )
  }

  /** Whether there is anything to do as time goes by. */
  get idle(): boolean {
    return this.#seats.size === 0 && this.#releases.length === 0
  }

  /** When the next tick is due, monotonic milliseconds; infinite: not before something happens. */
  get dueMs(): number {
    let dueMs = this.#releases.length > 0 ? -Infinity : Infinity
    for (const seat of this.#seats.values()) {
      const { round, askAtMs } = seat
      dueMs = Math.min(dueMs, nextEndMs(seat), round === null ? askAtMs : round.sentMs + ANSWER_MS)
    }
    return dueMs
  }

  /**
   * Ends what is over and begins what is due. All voters are asked the same. `changed`: a lease was not renewed, and is at
   * its end or so near it that what runs is to be stopped.
   */
  tick(scene: HolderScene): { readonly effects: readonly HolderEffect[]; readonly changed: boolean } {
    const { nowMs, voters, inSight } = scene
    const asks: Ask[] = []
    let changed = false
    let renews = false
    const seats = sortedEntries(this.#seats)
    for (const [slot, seat] of seats) {
      if (this.#expire(slot, seat, scene)) changed = true
      if (seat.round !== null || seat.askAtMs > nowMs) continue
      const shortage = voters === null ? 'who votes is not known yet' : shortageOf(voters, inSight)
      if (voters === null || shortage !== null) {
        seat.reason = `waits for the lease of its slot: ${shortage ?? ''}`
        seat.askAtMs = nowMs + this.#retryMs()
        continue
      }
      renews ||= seat.lease !== null
      asks.push({ slot, token: this.#ask(seat, voters, scene) })
    }
    if (voters !== null && renews)
      for (const [slot, seat] of seats)
        if (isRenewable(seat, nowMs)) asks.push({ slot, token: this.#ask(seat, voters, scene) })
    const releases = this.#releases
    if (voters !== null) this.#releases = []
    if (voters === null || (asks.length === 0 && releases.length === 0)) return { effects: [], changed }
    const asked = votersOf(voters).filter((to) => inSight.has(to))
    return { effects: asked.map((to) => ({ to, asks, releases })), changed }
  }

  /** An answer. `renewed`: slots with a new or longer lease; `changed`: one of them may be used only now. */
  receive(
    from: string,
    { grants, voters }: LeaseAnswer,
    scene: HolderScene,
  ): { readonly renewed: readonly string[]; readonly changed: boolean } {
    const renewed: string[] = []
    let changed = false
    for (const { slot, token, refusal, seen, holder } of grants) {
      const seat = this.#seats.get(slot)
      if (seat === undefined) continue
      seat.seen = Math.max(seat.seen, seen)
      const { round } = seat
      if (round?.token !== token || !round.asked.has(from)) continue
      round.answered.add(from)
      if (refusal === null) round.granted.add(from)
      if (refusal === 'held' && holder !== null)
        seat.reason = `waits for the lease of its slot, which ${scene.nameOf(holder)} holds`
      if (refusal === 'fresh')
        seat.reason = 'waits for the lease of its slot: a voter that has just started promises nothing yet'
      if (refusal === 'full')
        seat.reason = 'waits for the lease of its slot: a voter has no room for more promises'
      if (refusal === 'voters' && (voters?.epoch ?? 0) > round.epoch) seat.askAtMs = scene.nowMs
      const { lease: before, above, running } = seat
      if (!this.#conclude(slot, seat, round, scene)) continue
      renewed.push(slot)
      changed ||= before === null || before.untilMs <= scene.nowMs || (!running && before.token <= above)
    }
    return { renewed, changed }
  }

  #seat(slot: string, nowMs: number): Seat {
    const seat: Seat = {
      above: 0,
      running: false,
      stopAheadMs: 0,
      isEnding: false,
      seen: this.#floor,
      lease: null,
      round: null,
      askAtMs: nowMs,
      reason: WAITING,
    }
    this.#seats.set(slot, seat)
    return seat
  }

  #ask(seat: Seat, voters: VoterSet, { nowMs, wall, inSight }: HolderScene): number {
    const wallToken = Math.min(Math.max(0, Math.floor(wall / 1000)), WALL_TOKEN_MAX)
    const token = Math.max(seat.seen, seat.above, voters.epoch * TOKENS_PER_EPOCH + wallToken) + 1
    seat.seen = token
    seat.round = {
      token,
      epoch: voters.epoch,
      sentMs: nowMs,
      asked: new Set(votersOf(voters).filter((voter) => inSight.has(voter))),
      granted: new Set(),
      answered: new Set(),
    }
    return token
  }

  #conclude(slot: string, seat: Seat, round: Round, { nowMs, voters }: HolderScene): boolean {
    const untilMs = round.sentMs + HOLD_MS
    if (voters?.epoch === round.epoch && isQuorum(voters, round.granted) && nowMs < untilMs) {
      seat.lease = { token: round.token, untilMs, sentMs: round.sentMs }
      seat.isEnding = false
      seat.round = null
      seat.reason = WAITING
      seat.askAtMs = round.token > seat.above ? round.sentMs + RENEW_MS : nowMs
      // It is told to what runs.
      if (seat.running) seat.above = Math.max(seat.above, round.token)
      return true
    }
    if (round.answered.size === round.asked.size || voters?.epoch !== round.epoch)
      this.#fail(slot, seat, nowMs)
    return false
  }

  /** Returns whether the lease came to its end, or near it. */
  #expire(slot: string, seat: Seat, { nowMs }: HolderScene): boolean {
    const isNear = nextEndMs(seat) <= nowMs
    if (isNear) seat.isEnding = true
    if (seat.lease !== null && seat.lease.untilMs <= nowMs) {
      seat.lease = null
      seat.reason = 'waits for the lease of its slot, which could not be renewed'
    }
    if (seat.round !== null && nowMs - seat.round.sentMs >= ANSWER_MS) this.#fail(slot, seat, nowMs)
    return isNear
  }

  #fail(slot: string, seat: Seat, nowMs: number): void {
    // The promises of a few only stand in everybody's way, but while something runs here they are all that protects it.
    if (seat.round !== null && seat.lease === null && !seat.running)
      this.#releases.push({ slot, token: seat.round.token })
    seat.round = null
    seat.askAtMs = nowMs + this.#retryMs()
  }

  #giveBack(slot: string, seat: Seat): void {
    const token = Math.max(seat.lease?.token ?? 0, seat.round?.token ?? 0, seat.seen)
    this.#floor = Math.max(this.#floor, token)
    if (token > 0) this.#releases.push({ slot, token })
  }

  #retryMs(): number {
    return RETRY_MS + this.#random.below(RETRY_MS)
  }
}

/** When a lease that is not renewed comes near its end, or, after that, to it. */
const nextEndMs = ({ lease, isEnding, stopAheadMs }: Seat): number =>
  lease === null ? Infinity : lease.untilMs - (isEnding ? 0 : stopAheadMs)

/** Whether its lease is good and its renewal is near. One whose last round failed waits for its time. */
const isRenewable = ({ lease, round, askAtMs }: Seat, nowMs: number): boolean =>
  lease !== null && round === null && askAtMs === lease.sentMs + RENEW_MS && askAtMs - nowMs <= EARLY_MS

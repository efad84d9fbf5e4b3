// Voters and holders in one small world of their own, without documents, agents and processes: messages that are late,
// lost or repeated, disks that take their time, clocks of every rate within the bound, voters that start anew, and candidates that come and go. It keeps every
// interval for which somebody may have run the slot, in true time, and every token.

import type { LeaseAnswer, LeaseQuestion, VoterRecord, VoterSet } from '../../../../crdt/schema/lease.ts'
import { seededRandom, type Random } from '../../../../lib/random.ts'
import { Holder } from '../../../../node/plan/lease/holder.ts'
import { areLost, KILL_MS, replacedEpoch, votersOf } from '../../../../node/plan/lease/terms.ts'
import { VoterChange } from '../../../../node/plan/lease/voter-change.ts'
import { Voter, type Verdict } from '../../../../node/plan/lease/voter.ts'

export const SLOT = 'shop/lock/0'

/** What one peer could have run, in true time. */
export interface Interval {
  readonly member: string
  readonly token: number
  /** Of its last renewal. */
  lastToken: number
  readonly fromMs: number
  toMs: number
}

export interface ParliamentOptions {
  readonly seed: string
  readonly members: number
  /** Largest error of a clock's rate. */
  readonly rateError: number
  /** Chance that a message is lost. */
  readonly loss: number
  /** Longest time that one takes, milliseconds. */
  readonly delayMs: number
  /** Longest time that a disk takes for a promise, milliseconds. @default 0 */
  readonly diskMs?: number
  /** Promises are kept when a voter starts anew. @default true */
  readonly durable?: boolean
}

/** What has gone on is written after so many turns in the middle: longer than a renewal, so that much of it gets lost. */
const FLUSH_TURNS = 500

/** Of the true time; the longest lease is a thousand of them. */
const STEP_MS = 10

interface Peer {
  readonly id: string
  readonly rate: number
  readonly offsetMs: number
  voter: Voter
  holder: Holder
  change: VoterChange
  record: VoterRecord | null
  wants: boolean
  above: number
  interval: Interval | null
  /** To be judged, one after the other. */
  questions: (() => void)[]
  /** Its disk is busy with the promise before. */
  writes: boolean
  starts: number
  /** On the own clock: when the watchdog ends what runs. */
  deadlineMs: number
}

/** A question that asks nothing yet. */
const wordsOf = ({ voter, holder }: Peer): LeaseQuestion => ({
  voters: voter.voters,
  session: holder.session,
  asks: [],
  releases: [],
  change: null,
})

export class Parliament {
  readonly intervals: Interval[] = []
  readonly #options: ParliamentOptions
  readonly #random: Random
  readonly #peers: Peer[]
  #nowMs = 0
  #mail: { readonly atMs: number; readonly order: number; readonly deliver: () => void }[] = []
  #order = 0
  #cut = new Set<string>()
  #gone = new Set<string>()
  #members: readonly string[]

  constructor(options: ParliamentOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    const ids = Array.from({ length: options.members }, (_, at) => `p${at}`)
    this.#members = ids
    this.#peers = ids.map((id) => this.#peer(id))
    const [first] = this.#peers
    if (first !== undefined) this.#install(first, first.voter.found())
  }

  /** The newest set of voters that anybody has. */
  get voters(): VoterSet | null {
    return this.#peers
      .map(({ voter }) => voter.voters)
      .reduce((best, one) => ((one?.epoch ?? -1) > (best?.epoch ?? -1) ? one : best), null)
  }

  /** The slot runs there now. */
  runs(): readonly string[] {
    return this.#peers.flatMap(({ id, interval }) => (interval === null ? [] : [id]))
  }

  /** Who is wanted to hold the slot. */
  want(at: number, wants: boolean): void {
    const peer = this.#peers[at]
    if (peer !== undefined) peer.wants = wants
  }

  /** The admitted operators from now on: the first so many. */
  admit(count: number): void {
    this.#members = this.#peers.slice(0, Math.max(1, count)).map(({ id }) => id)
  }

  /** These hear nobody and are heard by nobody. */
  cut(...peers: readonly number[]): void {
    this.#cut = new Set(peers.map((at) => `p${at}`))
  }

  /** Its process ends and starts anew; what it runs goes on until its watchdog ends it. */
  restart(at: number): void {
    const peer = this.#peers[at]
    if (peer === undefined) return
    const record = this.#options.durable === false ? null : peer.record
    peer.starts += 1
    peer.questions = []
    peer.writes = false
    peer.voter = new Voter(peer.id, record, this.#clock(peer))
    const random = this.#random.fork(`restart ${this.#order} ${peer.id}`)
    peer.holder = new Holder(random)
    peer.change = new VoterChange(peer.id, random.fork('change'))
  }

  /**
   * The machines of these are switched off for good, as their operator vouches, and removed; where the voters are lost by
   * that, all others become the voters, and hear of it as of anything else. False: they are not lost.
   */
  replace(...gone: readonly number[]): boolean {
    const lost = new Set(gone.map((at) => `p${at}`))
    for (const peer of this.#peers) {
      if (!lost.has(peer.id)) continue
      this.#end(peer)
      peer.wants = false
    }
    this.#gone = new Set([...this.#gone, ...lost])
    const rest = this.#peers.filter(({ id }) => !this.#gone.has(id))
    this.#members = rest.map(({ id }) => id)
    const known = rest
      .map(({ voter }) => voter.voters)
      .reduce((best, one) => ((one?.epoch ?? -1) > (best?.epoch ?? -1) ? one : best), null)
    const [teller, ...others] = rest
    if (teller === undefined || (known !== null && !areLost(known, this.#members))) return false
    // What the command sees to first: all of them know the newest voters that any of them knows.
    for (const peer of rest) {
      const verdict = known === null ? null : peer.voter.adopt(known, this.#clock(peer))
      if (verdict !== null) this.#install(peer, verdict)
    }
    const voters = { epoch: replacedEpoch(known, 0), former: null, present: [...this.#members] }
    const verdict = teller.voter.replace(voters, this.#clock(teller))
    if (verdict !== null) this.#install(teller, verdict)
    const change = {
      kind: 'replace',
      epoch: voters.epoch,
      ballot: { round: 0, by: teller.id },
      voters,
    } as const
    for (const { id } of others) this.#ask(teller, id, { ...wordsOf(teller), change })
    return true
  }

  run(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs
    while (this.#nowMs < untilMs) {
      this.#nowMs += STEP_MS
      const due = this.#mail.filter(({ atMs }) => atMs <= this.#nowMs)
      this.#mail = this.#mail.filter(({ atMs }) => atMs > this.#nowMs)
      for (const { deliver } of due.sort((a, b) => a.atMs - b.atMs || a.order - b.order)) deliver()
      for (const peer of this.#peers) if (!this.#gone.has(peer.id)) this.#turn(peer)
    }
  }

  #peer(id: string): Peer {
    const random = this.#random.fork(id)
    const { rateError } = this.#options
    const sign = random.below(2) === 0 ? 1 : -1
    const rate = 1 + sign * rateError * (random.below(2) === 0 ? 1 : random.next())
    return {
      id,
      rate,
      offsetMs: random.below(100_000),
      voter: new Voter(id, null, 0),
      holder: new Holder(random.fork('holder')),
      change: new VoterChange(id, random.fork('change')),
      record: null,
      wants: false,
      above: 0,
      interval: null,
      questions: [],
      writes: false,
      starts: 0,
      deadlineMs: 0,
    }
  }

  #clock({ rate, offsetMs }: Peer): number {
    return offsetMs + this.#nowMs * rate
  }

  #turn(peer: Peer): void {
    const nowMs = this.#clock(peer)
    if (peer.voter.isLate && this.#random.below(FLUSH_TURNS) === 0) this.#flush(peer)
    // The watchdog, as slow as it may be.
    if (peer.interval !== null && nowMs >= peer.deadlineMs + KILL_MS) this.#end(peer)
    if (peer.interval !== null && !peer.wants) this.#end(peer)
    const { interval } = peer
    const wish = { slot: SLOT, above: peer.above, running: interval !== null, stopAheadMs: 0 }
    peer.holder.want(peer.wants || interval !== null ? [wish] : [], nowMs)
    const scene = this.#scene(peer)
    for (const { to, asks, releases } of peer.holder.tick(scene).effects)
      this.#ask(peer, to, { ...wordsOf(peer), asks: [...asks], releases: [...releases] })
    for (const { to, change } of peer.change.tick(scene)) this.#ask(peer, to, { ...wordsOf(peer), change })
    if (scene.voters === null && peer.wants && this.#random.below(50) === 0)
      this.#ask(peer, 'p0', { ...wordsOf(peer), voters: null })
    this.#supervise(peer, nowMs)
  }

  #supervise(peer: Peer, nowMs: number): void {
    const standing = peer.holder.standings(nowMs).get(SLOT)
    if (standing?.kind !== 'held') return
    if (peer.interval !== null) {
      peer.interval.lastToken = standing.token
      if (nowMs < peer.deadlineMs) peer.deadlineMs = Math.max(peer.deadlineMs, standing.untilMs)
      return
    }
    if (!standing.fresh || !peer.wants) return
    const { token } = standing
    peer.interval = { member: peer.id, token, lastToken: token, fromMs: this.#nowMs, toMs: Infinity }
    peer.deadlineMs = standing.untilMs
    peer.above = standing.token
    this.intervals.push(peer.interval)
  }

  #end(peer: Peer): void {
    if (peer.interval !== null) peer.interval.toMs = this.#nowMs
    peer.interval = null
  }

  #scene(peer: Peer): Parameters<Holder['tick']>[0] & Parameters<VoterChange['tick']>[0] {
    const isCut = this.#cut.has(peer.id)
    const seen = this.#peers.filter(
      ({ id }) => id === peer.id || (!isCut && !this.#cut.has(id) && !this.#gone.has(id)),
    )
    return {
      nowMs: this.#clock(peer),
      // A wall clock that says nothing: tokens must rise without it.
      wall: 0,
      voters: peer.voter.voters,
      wanted: this.#members,
      inSight: new Set(seen.map(({ id }) => id)),
      nameOf: (member) => member,
    }
  }

  #ask(from: Peer, to: string, question: LeaseQuestion): void {
    this.#carry(from.id, to, () => {
      const voter = this.#peers.find(({ id }) => id === to)
      if (voter === undefined) return
      voter.questions.push(() => {
        const verdict = voter.voter.judge(from.id, question, { nowMs: this.#clock(voter), wall: this.#nowMs })
        this.#write(voter, verdict, () =>
          this.#carry(to, from.id, () => this.#hear(from, to, verdict.answer)),
        )
      })
      this.#attend(voter)
    })
  }

  /** One question after the other, each once the disk has what was promised before. */
  #attend(voter: Peer): void {
    if (!voter.writes) voter.questions.shift()?.()
  }

  /** Lets a verdict hold once it is on the disk; what was under way when the voter started anew is lost. */
  #write(voter: Peer, verdict: Verdict, then: () => void): void {
    const { starts } = voter
    const diskMs = verdict.record === null ? 0 : this.#random.next() * (this.#options.diskMs ?? 0)
    voter.writes = true
    this.#post(this.#nowMs + diskMs, () => {
      if (voter.starts !== starts) return
      this.#install(voter, verdict)
      voter.writes = false
      then()
      this.#attend(voter)
    })
  }

  /** Writes down what has gone on, some time after it has. */
  #flush(peer: Peer): void {
    peer.questions.push(() => {
      const verdict = peer.voter.flush()
      if (verdict === null) this.#attend(peer)
      else this.#write(peer, verdict, () => undefined)
    })
    this.#attend(peer)
  }

  #hear(peer: Peer, from: string, answer: LeaseAnswer): void {
    this.#adopt(peer, answer.voters, () => {
      peer.holder.receive(from, answer, this.#scene(peer))
      if (answer.change === null) return
      const { effects, chosen } = peer.change.receive(from, answer.change, this.#scene(peer))
      for (const { to, change } of effects) this.#ask(peer, to, { ...wordsOf(peer), change })
      if (chosen === null) return
      this.#adopt(peer, chosen, () => {
        for (const to of votersOf(chosen)) this.#ask(peer, to, { ...wordsOf(peer), voters: chosen })
      })
    })
  }

  #adopt(peer: Peer, voters: VoterSet | null, then: () => void): void {
    peer.questions.push(() => {
      const verdict = voters === null ? null : peer.voter.adopt(voters, this.#clock(peer))
      if (verdict !== null) {
        this.#write(peer, verdict, then)
        return
      }
      then()
      this.#attend(peer)
    })
    this.#attend(peer)
  }

  #install(peer: Peer, verdict: Verdict): void {
    if (verdict.record !== null) peer.record = verdict.record
    peer.voter.install(verdict)
  }

  #carry(from: string, to: string, deliver: () => void): void {
    const { loss, delayMs } = this.#options
    if (from !== to && this.#random.next() < loss) return
    const isRepeated = from !== to && this.#random.next() < loss
    for (let times = isRepeated ? 2 : 1; times > 0; times -= 1) {
      this.#post(this.#nowMs + (from === to ? 0 : this.#random.next() * delayMs), () => {
        if (this.#gone.has(from) || this.#gone.has(to)) return
        if (from === to || (!this.#cut.has(from) && !this.#cut.has(to))) deliver()
      })
    }
  }

  #post(atMs: number, deliver: () => void): void {
    this.#order += 1
    this.#mail.push({ atMs, order: this.#order, deliver })
  }
}

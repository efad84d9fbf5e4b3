// Leases on this peer: brings voter, holder and voter change together with the transport, the disk and the clock. The
// three machines of node/plan/lease decide; here their words are carried, and a voter's word is on the disk before it is
// given, but for promises that only go on (voter.ts), which are written soon after. What a
// lease is for is the plan's concern, and ending what runs without one is the driver's.

import type { Files } from '../../crdt/log/files.ts'
import type { View } from '../../crdt/schema/view.ts'
import {
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
  LEASE_SLOTS_MAX,
  type Ask,
  type LeaseAnswer,
  type LeaseQuestion,
  type VoterSet,
} from '../../crdt/schema/lease.ts'
import { TuttiError, messageOf } from '../../lib/errors.ts'
import type { MemberId, SlotId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { Clock } from '../../lib/time.ts'
import type { Membership } from '../../net/membership.ts'
import { Holder, type HolderEffect, type HolderScene } from '../plan/lease/holder.ts'
import {
  ANSWER_MS,
  votersOf,
  type HeldLease,
  type LeasePromise,
  type LeaseStanding,
  type LeaseWish,
} from '../plan/lease/terms.ts'
import { LoneVoter } from '../plan/lease/lone-voter.ts'
import { VoterChange, type ChangeScene } from '../plan/lease/voter-change.ts'
import { Voter, type Verdict, type VoterTime } from '../plan/lease/voter.ts'
import { slotsOf } from '../plan/slots.ts'
import { VoterFile } from './voter-file.ts'
import { replaceVoters } from './voter-replacement.ts'

/** Between two looks for somebody who knows the voters. */
const LEARN_MS = 1000
/** Promises that go on are written down together, this long after the first: a holder asks every three seconds. */
const LATE_MS = 1000
/** Promises of slots that are gone are dropped this often. */
const PRUNE_MS = 60_000

export interface LeasesOptions {
  readonly self: MemberId
  readonly clock: Clock
  readonly random: Random
  readonly files: Files
  readonly log: Log
  readonly ask: (member: MemberId, body: Uint8Array, signal: AbortSignal) => AsyncIterable<Uint8Array>
  /** A slot may be started now, or not any more. */
  readonly changed: () => void
  /** The next tick may be due earlier than it was. */
  readonly due: () => void
  /** A lease was got or renewed: whatever runs under it may live longer. Called at once. */
  readonly renewed: (slot: SlotId, lease: HeldLease) => void
}

export class Leases {
  readonly #options: LeasesOptions
  readonly #voter: Voter
  readonly #file: VoterFile
  readonly #holder: Holder
  readonly #change: VoterChange
  readonly #lone: LoneVoter
  readonly #random: Random
  /** Verdicts are made and written one after the other. */
  #queue: Promise<unknown> = Promise.resolve()
  #inSight: ReadonlySet<string>
  #wanted: readonly string[] = []
  #names: ReadonlyMap<string, string> = new Map()
  #view: View | null = null
  #members: Membership['members'] | null = null
  #learnAtMs = -Infinity
  #pruneAtMs: number
  #cancelFlush: (() => void) | null = null
  #stopped = false

  private constructor(options: LeasesOptions, file: VoterFile, voter: Voter) {
    const { self, random, clock } = options
    this.#options = options
    this.#file = file
    this.#voter = voter
    this.#holder = new Holder(random.fork('holder'))
    this.#change = new VoterChange(self, random.fork('voters'))
    this.#lone = new LoneVoter(self, clock.now())
    this.#random = random.fork('learn')
    this.#inSight = new Set([self])
    this.#pruneAtMs = clock.now() + PRUNE_MS
  }

  static async load(options: LeasesOptions): Promise<Leases> {
    const file = new VoterFile(options.files)
    const record = await file.load()
    return new Leases(options, file, new Voter(options.self, record, options.clock.now()))
  }

  /** The cluster begins with this peer, so it is the first voter. */
  async found(): Promise<void> {
    if (this.#voter.voters !== null) return
    this.#lone.founded()
    await this.#enter(() => this.#voter.found())
  }

  /** Who is a member, and who is here. */
  follow(view: View, { members }: Membership): void {
    if (this.#view !== view) {
      this.#view = view
      this.#wanted = view.members.filter(({ role }) => role === 'operator').map(({ id }) => id)
      this.#names = new Map(view.members.map(({ id, name }) => [id, name]))
    }
    if (this.#members === members) return
    this.#members = members
    const present = members.filter(({ state }) => state === 'alive' || state === 'suspect')
    this.#inSight = new Set([this.#options.self, ...present.map(({ id }) => id)])
  }

  /** What this peer is to hold from now on. */
  want(wishes: readonly LeaseWish[]): void {
    this.#holder.want(wishes, this.#options.clock.now())
    this.tick()
    this.#options.due()
  }

  standings(): ReadonlyMap<string, LeaseStanding> {
    return this.#holder.standings(this.#options.clock.now())
  }

  /** What this peer has promised to others and to itself. */
  promises(): readonly LeasePromise[] {
    return this.#voter.promises(this.#options.clock.now())
  }

  get voters(): VoterSet | null {
    return this.#voter.voters
  }

  /**
   * Makes all operators the voters, in the place of voters that are lost. Only for an operator who knows that whoever was
   * removed does not run any more. @throws TuttiError as voter-replacement.ts.
   */
  async replaceVoters(): Promise<VoterSet> {
    const { self, clock } = this.#options
    const { inSight, nameOf } = this.#scene()
    return await replaceVoters({
      self,
      wall: () => clock.wall(),
      operators: [...this.#wanted].sort(),
      inSight,
      nameOf,
      voters: () => this.#voter.voters,
      ask: (to, question) => this.#ask(to, { ...this.#words(), ...question }),
      adopt: (voters) => this.#adopt(voters),
      replace: async (voters) => (await this.#enter(() => this.#voter.replace(voters, clock.now()))) !== null,
    })
  }

  /** When the next tick is due, monotonic milliseconds; one that looks whether the voters are still right comes anyway. */
  get nextTickMs(): number {
    return this.#holder.dueMs
  }

  /** To be called when it is due, and every other second. */
  tick(): void {
    if (this.#stopped) return
    const scene = this.#scene()
    const { voters, nowMs, inSight } = scene
    const { effects, changed } = this.#holder.tick(scene)
    if (changed) this.#options.changed()
    // All voters are asked the same, which is put into words once.
    const questions = effects.slice(0, 1).flatMap((effect) => this.#questionsOf(effect))
    for (const { to } of effects) for (const question of questions) this.#send(to, question)
    for (const { to, change } of this.#change.tick(scene)) this.#send(to, { ...this.#words(), change })
    const mayLearn = voters === null && (this.#voter.voters !== null || !this.#holder.idle)
    if (mayLearn && nowMs >= this.#learnAtMs) this.#learn(inSight, nowMs)
    if (nowMs >= this.#pruneAtMs) this.#prune(nowMs)
  }

  /** Another member's question. What is new in its answer is on the disk when it is given. @throws TuttiError `invalid`. */
  async *answer(from: MemberId, body: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    const question = decodeQuestion(body)
    if (question === null) throw new TuttiError('invalid', 'the question for a lease is malformed')
    yield encodeAnswer(await this.#judge(from, this.#believed(from, question)))
  }

  /** Who votes is the operators' affair: what others say of it is neither taken over nor put to the vote. */
  #believed(from: string, question: LeaseQuestion): LeaseQuestion {
    if (this.#trusts(from)) return question
    const { voters } = question
    const isNews = voters !== null && voters.epoch > (this.#voter.voters?.epoch ?? -1)
    return { ...question, voters: isNews ? null : voters, change: null }
  }

  #trusts(member: string): boolean {
    const { voters } = this.#voter
    return this.#wanted.includes(member) || (voters !== null && votersOf(voters).includes(member))
  }

  stop(): void {
    this.#stopped = true
    this.#cancelFlush?.()
  }

  /** Voters that are in doubt are asked for nothing, promise nothing, and change nothing. */
  #scene(): HolderScene & ChangeScene & VoterTime {
    const { clock } = this.#options
    const nowMs = clock.now()
    const { voters } = this.#voter
    const inDoubt = this.#lone.isInDoubt(voters, this.#wanted, nowMs)
    return {
      nowMs,
      wall: clock.wall(),
      inDoubt,
      voters: inDoubt ? null : voters,
      wanted: this.#wanted,
      inSight: this.#inSight,
      nameOf: (member) => this.#names.get(member) ?? member,
    }
  }

  /** A question that asks nothing yet. */
  #words(): LeaseQuestion {
    const { session } = this.#holder
    return { voters: this.#voter.voters, session, asks: [], releases: [], change: null }
  }

  #questionsOf({ asks, releases }: HolderEffect): readonly LeaseQuestion[] {
    const questions: LeaseQuestion[] = []
    for (let at = 0; at === 0 || at < Math.max(asks.length, releases.length); at += LEASE_SLOTS_MAX)
      questions.push({ ...this.#words(), asks: partOf(asks, at), releases: partOf(releases, at) })
    return questions
  }

  #send(to: string, question: LeaseQuestion): void {
    const carry = async (): Promise<void> => {
      const { self } = this.#options
      const answer = to === self ? await this.#judge(self, question) : await this.#ask(to, question)
      if (answer !== null) await this.#hear(to, answer)
    }
    carry().catch((thrown: unknown) =>
      this.#options.log.log('debug', 'a voter did not answer', { to, reason: messageOf(thrown) }),
    )
  }

  async #ask(to: string, question: LeaseQuestion): Promise<LeaseAnswer | null> {
    const { ask, clock } = this.#options
    const stop = new AbortController()
    const cancel = clock.after(ANSWER_MS, () => stop.abort())
    try {
      // Members are named by their ids; a voter is one. All of an answer is in its first part: whoever says more is not heard.
      for await (const part of ask(to as MemberId, encodeQuestion(question), stop.signal))
        return decodeAnswer(part)
      return null
    } finally {
      cancel()
    }
  }

  async #hear(from: string, answer: LeaseAnswer): Promise<void> {
    if (this.#trusts(from)) {
      if (answer.voters !== null) await this.#adopt(answer.voters)
      this.#lone.heard(from)
    }
    if (this.#stopped) return
    const { renewed, changed } = this.#holder.receive(from, answer, this.#scene())
    if (renewed.length > 0) this.#tell(renewed)
    if (changed) this.#options.changed()
    this.#options.due()
    if (answer.change === null) return
    const { effects, chosen } = this.#change.receive(from, answer.change, this.#scene())
    for (const { to, change } of effects) this.#send(to, { ...this.#words(), change })
    if (chosen === null) return
    await this.#adopt(chosen)
    const hearers = new Set([...votersOf(chosen), ...this.#inSight])
    for (const to of [...hearers].filter((member) => this.#inSight.has(member)).sort())
      if (to !== this.#options.self) this.#send(to, { ...this.#words(), voters: chosen })
  }

  #tell(renewed: readonly string[]): void {
    const standings = this.standings()
    for (const slot of renewed) {
      const standing = standings.get(slot)
      // The plan named the slot.
      if (standing?.kind === 'held') this.#options.renewed(slot as SlotId, standing)
    }
  }

  async #judge(from: string, question: LeaseQuestion): Promise<LeaseAnswer> {
    const verdict = await this.#enter(() => this.#voter.judge(from, question, this.#scene()))
    if (verdict === null) throw new TuttiError('storage', 'the disk of this voter takes no promises')
    return verdict.answer
  }

  async #adopt(voters: VoterSet): Promise<void> {
    const known = this.#voter.voters
    if (known !== null && known.epoch >= voters.epoch) return
    await this.#enter(() => this.#voter.adopt(voters, this.#options.clock.now()))
  }

  /** Makes a verdict, writes it down and lets it hold. Null: there was none, or the disk did not take it. */
  async #enter(make: () => Verdict | null): Promise<Verdict | null> {
    const entered = this.#queue.then(async () => {
      const verdict = make()
      if (verdict === null) return null
      try {
        if (verdict.record !== null) await this.#file.save(verdict.record)
      } catch (thrown) {
        this.#options.log.log('warn', 'a promise could not be written', { reason: messageOf(thrown) })
        return null
      }
      this.#voter.install(verdict)
      if (this.#voter.isLate) this.#flushSoon()
      return verdict
    })
    this.#queue = entered
    return await entered
  }

  #flushSoon(): void {
    if (this.#stopped) return
    this.#cancelFlush ??= this.#options.clock.after(LATE_MS, () => {
      this.#cancelFlush = null
      void this.#enter(() => this.#voter.flush())
    })
  }

  #learn(inSight: ReadonlySet<string>, nowMs: number): void {
    this.#learnAtMs = nowMs + LEARN_MS
    const others = this.#wanted.filter((member) => member !== this.#options.self && inSight.has(member))
    const to = others[this.#random.below(Math.max(1, others.length))]
    if (to !== undefined) this.#send(to, { ...this.#words(), voters: null })
  }

  #prune(nowMs: number): void {
    this.#pruneAtMs = nowMs + PRUNE_MS
    const view = this.#view
    if (view === null) return
    const names = view.members.map(({ name }) => name)
    const wanted = new Set<string>(view.services.flatMap((service) => slotsOf(service, names)))
    void this.#enter(() => this.#voter.prune(wanted, nowMs))
  }
}

/** As many as one question takes; mostly all of them. */
const partOf = (list: Ask[], at: number): Ask[] =>
  list.length <= LEASE_SLOTS_MAX && at === 0 ? list : list.slice(at, at + LEASE_SLOTS_MAX)

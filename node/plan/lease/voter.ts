// The voter: what one peer promises about quorum slots, and to whom. Sans-IO: `judge` makes a verdict out of a question
// and changes nothing; the caller writes the verdict's record to the disk, installs it, and only then answers.
//
//   asked for a slot ─▶ nobody else has an unexpired promise, and the token is new ─▶ promised for LEASE_MS
//   asked by voters of a newer epoch ─▶ adopts that epoch for good, and refuses those of the older one
//   asked for a change of the voters ─▶ votes as an acceptor does (Lamport, "Paxos Made Simple", 2001, section 2.2)
//   told of voters in the place of lost ones ─▶ adopts them, and promises nothing for LEASE_MS
//
// Invariants. A promise is on the disk before anybody hears of it. One that only goes on, for the same run of the same holder,
// is written a little later: what the disk has of it refuses everybody else as long, and names a token above the next ones, so
// that no token is given twice whatever of it is lost. After a start nothing is known of how long promises still run, nor
// whether the disk is the one it was, so for LEASE_MS nobody gets anything, but a holder what it holds. A token never falls.
// An epoch's voters are left behind only when no promise of an older epoch is still running, so that majorities of the
// voters before and after always meet. Where they need not, since a voter has missed epochs or voters
// were replaced, all that was promised before has run out when it begins to promise.

import { defined } from '../../../lib/assert.ts'
import { interned } from '../../../lib/ids.ts'
import { compareStrings, sortedBy, sortedEntries } from '../../../lib/order.ts'
import {
  PROMISES_MAX,
  type Accepted,
  type Ask,
  type Ballot,
  type ChangeAnswer,
  type ChangeQuestion,
  type Grant,
  type LeaseAnswer,
  type LeaseQuestion,
  type Refusal,
  type VoterRecord,
  type VoterSet,
} from '../../../crdt/schema/lease.ts'
import { LEASE_MS, REPLACED_EPOCHS, votersOf, type LeasePromise } from './terms.ts'

type Entry = VoterRecord['promises'][number]

interface Promised {
  readonly entry: Entry
  /**
   * The entry as the disk has it, the same value in every record: with a token that is TOKENS_AHEAD. Its wall time is only ever
   * used to refuse. Null: the disk has not heard of the promise.
   */
  readonly word: Entry | null
  /** The promise has gone on since the word was written. */
  readonly isLate: boolean
  /** On this voter's clock; `-Infinity`: over, or made before this start. */
  readonly untilMs: number
  /**
   * Until when a promise of an older epoch runs that this one took the place of: its holder may have got no majority since,
   * and then its lease still rests on that one.
   */
  readonly olderUntilMs: number
}

interface VoterState {
  readonly voters: VoterSet | null
  readonly forgetful: boolean
  readonly tokenFloor: number
  /** In the order of slots: they are written with each promise, and the slots are mostly the same. */
  readonly promises: ReadonlyMap<string, Promised>
  readonly ballot: Ballot | null
  readonly accepted: Accepted | null
  /** Monotonic milliseconds, of this start: until then leases of voters that it has not known may be running. */
  readonly quietUntilMs: number
}

/** Time as a voter knows it. */
export interface VoterTime {
  /** Monotonic milliseconds. */
  readonly nowMs: number
  /** Wall milliseconds. */
  readonly wall: number
  /** Its voters may have been followed by others (lone-voter.ts): it promises nothing. @default false */
  readonly inDoubt?: boolean
}

/** What a question comes to. */
export interface Verdict {
  /** To be made durable before the answer is given; null: nothing changed that must be. */
  readonly record: VoterRecord | null
  readonly answer: LeaseAnswer
  readonly state: VoterState
}

/** The state of a voter that has never heard of any. */
const BLANK: VoterState = {
  voters: null,
  forgetful: false,
  tokenFloor: 0,
  promises: new Map(),
  ballot: null,
  accepted: null,
  quietUntilMs: -Infinity,
}

/** Positive when `a` is the higher one. */
export const compareBallots = (a: Ballot, b: Ballot): number =>
  Math.sign(a.round - b.round) || compareStrings(a.by, b.by)

/**
 * How far the disk's tokens are ahead of those that were given: as many seconds of the wall, after which tokens are numbered,
 * as a promise that is written late goes on without the disk, five renewals.
 */
const TOKENS_AHEAD = 16

const OVER = { untilMs: -Infinity, olderUntilMs: -Infinity }

/** With one promise more, or another one in its place. */
const withPromise = (promises: ReadonlyMap<string, Promised>, promise: Promised): Map<string, Promised> => {
  const { slot } = promise.entry
  const all = new Map(promises).set(slot, promise)
  return promises.has(slot) ? all : new Map(sortedEntries(all))
}

const wordFor = ({ entry, word, isLate }: Promised): Entry =>
  word === null || isLate ? { ...entry, token: entry.token + TOKENS_AHEAD } : word

/** A state with its record: that holds once this is on the disk. */
const written = (state: VoterState): { readonly record: VoterRecord; readonly state: VoterState } => {
  const promises = new Map<string, Promised>()
  const words: Entry[] = []
  for (const [slot, promise] of state.promises) {
    const word = wordFor(promise)
    words.push(word)
    promises.set(slot, word === promise.word ? promise : { ...promise, word, isLate: false })
  }
  const { voters, forgetful, tokenFloor, ballot, accepted } = state
  return {
    record: { voters, forgetful, tokenFloor, promises: words, ballot, accepted },
    state: { ...state, promises },
  }
}

/** Voters that were read from a message, as they are looked up from now on. */
const kept = ({ epoch, former, present }: VoterSet): VoterSet => ({
  epoch,
  former: former?.map(interned) ?? null,
  present: present.map(interned),
})

export class Voter {
  readonly #self: string
  readonly #startedMs: number
  #state: VoterState

  /** `record`: what the disk holds; null: nothing. `startedMs`: now, monotonic. */
  constructor(self: string, record: VoterRecord | null, startedMs: number) {
    this.#self = self
    this.#startedMs = startedMs
    this.#state =
      record === null
        ? BLANK
        : {
            ...record,
            quietUntilMs: -Infinity,
            promises: new Map(
              sortedBy(record.promises, ({ slot }) => slot).map((entry) => [
                entry.slot,
                { entry, word: entry, isLate: false, ...OVER },
              ]),
            ),
          }
  }

  get voters(): VoterSet | null {
    return this.#state.voters
  }

  /** Promises that run, sorted by slot. */
  promises(nowMs: number): readonly LeasePromise[] {
    const running: LeasePromise[] = []
    for (const { entry, untilMs } of this.#state.promises.values()) {
      const { slot, holder, token } = entry
      if (untilMs > nowMs) running.push({ slot, holder, token, leftMs: untilMs - nowMs })
    }
    return running
  }

  /** Found a cluster: the founder alone is its first voter. Only for the process that founds it. */
  found(): Verdict {
    const voters = { epoch: 0, former: null, present: [this.#self] }
    return { ...written({ ...this.#state, voters }), answer: { voters, grants: [], change: null } }
  }

  /** Takes over a set of voters that was chosen; null: it is known. */
  adopt(voters: VoterSet, nowMs: number): Verdict | null {
    return this.#taken(this.#adopted(this.#state, voters, nowMs))
  }

  /** Takes over voters that an operator has named in the place of lost ones; null: it knows these or later ones. */
  replace(voters: VoterSet, nowMs: number): Verdict | null {
    return this.#taken(this.#replaced(this.#state, voters, nowMs))
  }

  #taken(state: VoterState): Verdict | null {
    return state === this.#state ? null : this.#entered(state)
  }

  #entered(state: VoterState): Verdict {
    return { ...written(state), answer: { voters: state.voters, grants: [], change: null } }
  }

  /** Whether promises have gone on that the disk has not heard of. */
  get isLate(): boolean {
    for (const { isLate } of this.#state.promises.values()) if (isLate) return true
    return false
  }

  /** Writes down what has gone on; null: nothing has. */
  flush(): Verdict | null {
    return this.isLate ? this.#entered(this.#state) : null
  }

  /** What it says to a question. Nothing is promised until the record is on the disk and `install` was called. */
  judge(from: string, question: LeaseQuestion, time: VoterTime): Verdict {
    const before = this.#state
    let state = this.#released(before, from, question)
    const released = state
    if (question.voters !== null) state = this.#adopted(state, question.voters, time.nowMs)
    const grants: Grant[] = []
    let mayWait = state === released
    for (const ask of question.asks) {
      const refusal = this.#refusalOf(state, from, ask, question, time)
      if (refusal === null) {
        state = this.#promised(state, { ...ask, holder: from, session: question.session }, time)
        mayWait &&= state.promises.get(ask.slot)?.isLate === true
      }
      grants.push({
        holder: state.promises.get(ask.slot)?.entry.holder ?? null,
        refusal,
        seen: this.#seen(state, ask.slot),
        slot: ask.slot,
        token: ask.token,
      })
    }
    const voted = question.change === null ? null : this.#vote(state, question.change, time)
    if (voted !== null && voted.state !== state) {
      ;({ state } = voted)
      mayWait = false
    }
    const answer = { voters: state.voters, grants, change: voted?.answer ?? null }
    return mayWait ? { record: null, answer, state } : { ...written(state), answer }
  }

  /** The record of the verdict is on the disk: from now on it holds. */
  install({ state }: Verdict): void {
    this.#state = state
  }

  /** Forgets promises of slots that exist no more and do not run; their tokens stay below what comes. */
  prune(wanted: ReadonlySet<string>, nowMs: number): Verdict | null {
    if (nowMs < this.#startedMs + LEASE_MS) return null
    const gone = [...this.#state.promises].filter(
      ([slot, { untilMs }]) => !wanted.has(slot) && untilMs <= nowMs,
    )
    if (gone.length === 0) return null
    const promises = new Map(this.#state.promises)
    for (const [slot] of gone) promises.delete(slot)
    const tokenFloor = gone.reduce(
      (floor, [, { entry }]) => Math.max(floor, entry.token),
      this.#state.tokenFloor,
    )
    return this.#entered({ ...this.#state, promises, tokenFloor })
  }

  #seen(state: VoterState, slot: string): number {
    return Math.max(state.tokenFloor, state.promises.get(slot)?.entry.token ?? 0)
  }

  #isFresh({ quietUntilMs }: VoterState, nowMs: number): boolean {
    return nowMs < Math.max(this.#startedMs + LEASE_MS, quietUntilMs)
  }

  #refusalOf(
    state: VoterState,
    from: string,
    { slot, token }: Ask,
    question: LeaseQuestion,
    { nowMs, wall, inDoubt = false }: VoterTime,
  ): Refusal | null {
    const { voters } = state
    if (voters === null || question.voters === null || question.voters.epoch !== voters.epoch) return 'voters'
    if (!votersOf(voters).includes(this.#self)) return 'voters'
    const promise = state.promises.get(slot)
    if (promise !== undefined && promise.entry.holder !== from && promise.untilMs > nowMs) return 'held'
    // The disk may be an old one put back, whose promise another one followed: it counts while it may be running.
    const sinceMs = promise === undefined ? Infinity : wall - promise.entry.at
    const isItsOwn = promise?.entry.holder === from && sinceMs >= 0 && sinceMs < LEASE_MS
    if (inDoubt || (this.#isFresh(state, nowMs) && !isItsOwn)) return 'fresh'
    if (promise === undefined && state.promises.size >= PROMISES_MAX) return 'full'
    return token > this.#seen(state, slot) ? null : 'stale'
  }

  #promised(
    state: VoterState,
    { slot, token, holder, session }: Ask & Pick<Promised['entry'], 'holder' | 'session'>,
    { nowMs, wall }: VoterTime,
  ): VoterState {
    const epoch = defined(state.voters, 'the voters').epoch
    const before = state.promises.get(slot)
    const isOfEpoch = (before?.entry.epoch ?? epoch) === epoch
    const goesOn =
      before !== undefined &&
      before.untilMs > nowMs &&
      isOfEpoch &&
      before.entry.holder === holder &&
      before.entry.session === session
    const word = goesOn && token <= (before.word?.token ?? 0) ? before.word : null
    const { untilMs, olderUntilMs } = before ?? OVER
    const promise: Promised = {
      entry: { at: Math.max(0, Math.floor(wall)), epoch, holder, session, slot, token },
      word,
      isLate: word !== null,
      untilMs: nowMs + LEASE_MS,
      olderUntilMs: isOfEpoch ? olderUntilMs : Math.max(untilMs, olderUntilMs),
    }
    return { ...state, promises: withPromise(state.promises, promise) }
  }

  /**
   * The holder has said that nothing runs under it any more. A later promise to the same holder is another one: of a
   * higher token, or of a later start, which counts its tokens anew while an older one's words are still under way.
   */
  #released(state: VoterState, from: string, { session, releases }: LeaseQuestion): VoterState {
    let promises: Map<string, Promised> | null = null
    for (const { slot, token } of releases) {
      const promise = state.promises.get(slot)
      if (promise?.entry.holder !== from || promise.entry.session !== session) continue
      if (promise.entry.token > token || promise.untilMs === -Infinity) continue
      promises ??= new Map(state.promises)
      promises.set(slot, { ...promise, ...OVER })
    }
    return promises === null ? state : { ...state, promises }
  }

  #adopted(state: VoterState, voters: VoterSet, nowMs: number): VoterState {
    const known = state.voters
    if (known !== null && known.epoch >= voters.epoch) return state
    const isReplaced = voters.epoch - (known?.epoch ?? 0) >= REPLACED_EPOCHS
    if (isReplaced && known !== null) return this.#replaced(state, voters, nowMs)
    // Whoever was a voter before and knows nothing has lost its disk, and with it what it has voted in this epoch.
    const was = (voters.former ?? voters.present).includes(this.#self)
    const quietUntilMs = isReplaced ? nowMs + LEASE_MS : state.quietUntilMs
    const forgetful = known === null && was
    return { ...state, voters: kept(voters), forgetful, ballot: null, accepted: null, quietUntilMs }
  }

  /** Nothing was voted in that epoch before it was named, so nothing that was said in it can be forgotten. */
  #replaced(state: VoterState, voters: VoterSet, nowMs: number): VoterState {
    if (state.voters !== null && state.voters.epoch >= voters.epoch) return state
    const quietUntilMs = nowMs + LEASE_MS
    return { ...state, voters: kept(voters), forgetful: false, ballot: null, accepted: null, quietUntilMs }
  }

  /** Paxos, one instance an epoch: which voters come after these. */
  #vote(
    state: VoterState,
    change: ChangeQuestion,
    { nowMs }: VoterTime,
  ): { readonly state: VoterState; readonly answer: ChangeAnswer } {
    const { voters, ballot, accepted } = state
    const answer = { kind: change.kind, epoch: change.epoch, ballot: change.ballot }
    if (change.kind === 'replace') {
      const replaced = this.#replaced(state, change.voters, nowMs)
      const agreed = replaced.voters?.epoch === change.voters.epoch
      return { state: replaced, answer: { ...answer, agreed, bound: null, accepted: null } }
    }
    // A proposer that was restarted may use a ballot again: whoever prepared it before does not do so twice.
    const least = change.kind === 'prepare' ? 0 : 1
    const isBound = ballot !== null && compareBallots(ballot, change.ballot) >= least
    if (voters?.epoch !== change.epoch || isBound || !this.#mayChange(state, voters, nowMs))
      return { state, answer: { ...answer, agreed: false, bound: ballot, accepted } }
    const bound = change.ballot
    if (change.kind === 'prepare')
      return { state: { ...state, ballot: bound }, answer: { ...answer, agreed: true, bound, accepted } }
    const vote = { ballot: bound, voters: change.voters }
    return {
      state: { ...state, ballot: bound, accepted: vote },
      answer: { ...answer, agreed: true, bound, accepted: vote },
    }
  }

  /** Not while a promise of an older epoch may run: its majority and that of the next voters need not meet. */
  #mayChange(state: VoterState, voters: VoterSet, nowMs: number): boolean {
    if (state.forgetful || this.#isFresh(state, nowMs) || !votersOf(voters).includes(this.#self)) return false
    return [...state.promises.values()].every(
      ({ untilMs, olderUntilMs, entry }) =>
        olderUntilMs <= nowMs && (untilMs <= nowMs || entry.epoch === voters.epoch),
    )
  }
}

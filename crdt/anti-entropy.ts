// Anti-entropy: what carries correctness while gossip only lowers latency (DESIGN §3; Demers et al. 1987, §1.3). Sans-IO:
// the caller feeds ticks and messages and performs the effects. One exchange:
//   A → B digest;  B → A equal, or its vectors;  A → B what B lacks, and A's vectors;  B → A what A lacks.
// Stateless per exchange: whatever is lost, repeated or reordered costs that exchange, and a later round repairs it.
// The little state there is only decides when to speak: peers due now, and whose records are still being taken in.

import { unreachable } from '../lib/assert.ts'
import { messageOf } from '../lib/errors.ts'
import type { ActorId, MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { compareStrings } from '../lib/order.ts'
import type { Random } from '../lib/random.ts'
import type { StatusCursor } from './status-map.ts'
import {
  decodeSync,
  encodeSync,
  shortDigest,
  type ListedCursors,
  type SyncMessage,
  type Vectors,
} from './sync-message.ts'

/** The two replicas, as far as anti-entropy sees them. */
export interface SyncState {
  headsDigest(): string
  vector(): ReadonlyMap<ActorId, number>
  missingFrom(vector: ReadonlyMap<ActorId, number>, bytesMax: number): Uint8Array[]
  statusDigest(): string
  statusVector(): ReadonlyMap<MemberId, StatusCursor>
  /** The same without names; null where that member would not understand it. */
  listedVectorFor(member: MemberId): ListedCursors | null
  /** With names again; null where this replica has other members than the sender. */
  namedVector(listed: ListedCursors): ReadonlyMap<MemberId, StatusCursor> | null
  statusMissingFrom(vector: ReadonlyMap<MemberId, StatusCursor>, bytesMax: number): Uint8Array[]
}

export type SyncEffect =
  | { readonly kind: 'send'; readonly to: MemberId; readonly bytes: Uint8Array }
  /** Records to judge; when they are in, the digests change, and the exchange goes on by itself. */
  | {
      readonly kind: 'ingest'
      readonly from: MemberId
      readonly intent: readonly Uint8Array[]
      readonly status: readonly Uint8Array[]
    }
  /** This peer and that one hold the same. */
  | { readonly kind: 'equal'; readonly with: MemberId }

export interface AntiEntropyOptions {
  /** Mean time between rounds, jittered by a quarter so that peers do not march in step. @default 1000 */
  readonly intervalMs?: number
  /**
   * Intent records in one message. Judging takes some 0.5 ms a record of 350 bytes, and heartbeats must go out between
   * two messages. @default 65536
   */
  readonly intentBytesMax?: number
  /** Status records in one message; ingesting is far cheaper, and a member's records travel together. @default 1 MiB */
  readonly statusBytesMax?: number
}

const INTERVAL_MS = 1000
const INTENT_BYTES_MAX = 64 * 1024
const STATUS_BYTES_MAX = 1024 * 1024
/** After a connect the higher id waits so long for the lower one's digest, so that both do not send everything twice. */
const YIELD_MS = 300
/**
 * Records that changed nothing after so long were known already, or refused; then others may be asked again. A batch
 * takes some 100 ms to judge, and a disk some more.
 */
const TAKING_IN_MAX_MS = 1000

/** How often a replica that takes records in is looked at: a batch takes some 100 ms to judge. */
const FOLLOW_UP_MS = 200

/** What differs, whether the other may ask in turn, and whether members must be named. */
interface Question {
  readonly intent: boolean
  readonly status: boolean
  readonly answer: boolean
  readonly named?: boolean
}

/** Records of one peer that are on their way into the replica. */
interface TakingIn {
  readonly headsDigest: string
  readonly sinceMs: number
  readonly more: boolean
}

export class AntiEntropy {
  readonly #self: MemberId
  readonly #random: Random
  readonly #intervalMs: number
  readonly #intentBytesMax: number
  readonly #statusBytesMax: number
  /** Connected members, with the time from which they are due for a digest at once; null: not. */
  readonly #peers = new Map<MemberId, number | null>()
  #takingIn: (TakingIn & { readonly from: MemberId }) | null = null
  #nextRoundMs = 0
  #malformed = 0
  #lastMalformed = ''
  #rounds = 0
  #differing = 0

  constructor(options: {
    readonly self: MemberId
    readonly random: Random
    readonly options?: AntiEntropyOptions
  }) {
    const { intervalMs, intentBytesMax, statusBytesMax } = options.options ?? {}
    this.#self = options.self
    this.#random = options.random
    this.#intervalMs = intervalMs ?? INTERVAL_MS
    this.#intentBytesMax = intentBytesMax ?? INTENT_BYTES_MAX
    this.#statusBytesMax = statusBytesMax ?? STATUS_BYTES_MAX
  }

  /** Digests sent, exchanges that found a difference, messages that were no messages, and what was wrong with the last. */
  get counts(): {
    readonly rounds: number
    readonly differing: number
    readonly malformed: number
    readonly lastMalformed: string
  } {
    return {
      rounds: this.#rounds,
      differing: this.#differing,
      malformed: this.#malformed,
      lastMalformed: this.#lastMalformed,
    }
  }

  /** A connection to a member came up: it is asked at the next tick, which the caller makes at once. */
  connected(member: MemberId, nowMs: number): void {
    this.#peers.set(member, this.#self < member ? nowMs : nowMs + YIELD_MS)
  }

  disconnected(member: MemberId): void {
    this.#peers.delete(member)
    if (this.#takingIn?.from === member) this.#takingIn = null
  }

  /** Optional: all records of the last ingest from a member have been judged and stored, so the next may come now. */
  takenIn(from: MemberId, nowMs: number): void {
    const taking = this.#takingIn
    if (taking?.from !== from) return
    this.#takingIn = null
    if (taking.more && this.#peers.has(from)) this.#peers.set(from, nowMs)
  }

  /** When `tick` has something to do, monotonic milliseconds. Read it after every call of another method. */
  nextTickMs(nowMs: number): number {
    let dueMs = this.#nextRoundMs
    // Records are in when the replica has them, which nothing here hears of.
    if (this.#takingIn !== null) dueMs = Math.min(dueMs, nowMs + FOLLOW_UP_MS)
    for (const at of this.#peers.values()) if (at !== null) dueMs = Math.min(dueMs, at)
    return dueMs
  }

  /** Call it at `nextTickMs`; more often does no harm, since rounds keep their own pace. */
  tick(nowMs: number, state: SyncState): readonly SyncEffect[] {
    const effects: SyncEffect[] = []
    this.#followUp(nowMs, state)
    const due: MemberId[] = []
    for (const [id, dueMs] of this.#peers) if (dueMs !== null && dueMs <= nowMs) due.push(id)
    for (const member of due.sort(compareStrings)) effects.push(this.#digestTo(member, state))
    if (nowMs < this.#nextRoundMs) return effects
    this.#nextRoundMs = nowMs + this.#intervalMs * (0.75 + this.#random.next() / 2)
    const idle = [...this.#peers].flatMap(([id, dueMs]) => (dueMs === null ? [id] : [])).sort(compareStrings)
    const chosen = idle[this.#random.below(idle.length)]
    if (effects.length === 0 && chosen !== undefined) effects.push(this.#digestTo(chosen, state))
    return effects
  }

  /** Never throws; what is no message has no effect but a count. */
  receive(from: MemberId, bytes: Uint8Array, nowMs: number, state: SyncState): readonly SyncEffect[] {
    let message: SyncMessage
    try {
      message = decodeSync(bytes)
    } catch (thrown) {
      this.#malformed += 1
      this.#lastMalformed = messageOf(thrown)
      return []
    }
    switch (message.kind) {
      case 'digest':
        return this.#receiveDigest(from, message, nowMs, state)
      case 'equal':
        return [{ kind: 'equal', with: from }]
      case 'vectors':
        return this.#receiveVectors(from, message, nowMs, state)
      case 'listed':
        return this.#receiveListed(from, message, nowMs, state)
      case 'records':
        return this.#receiveRecords(from, message, nowMs, state)
      default:
        return unreachable(message)
    }
  }

  #receiveDigest(
    from: MemberId,
    message: Extract<SyncMessage, { kind: 'digest' }>,
    nowMs: number,
    state: SyncState,
  ): readonly SyncEffect[] {
    // It asked first, so it need not be asked.
    if (this.#peers.has(from)) this.#peers.set(from, null)
    const intent = message.intent !== shortDigest(state.headsDigest())
    const status = message.status !== shortDigest(state.statusDigest())
    if (!intent && !status) return [send(from, { kind: 'equal' }), { kind: 'equal', with: from }]
    this.#differing += 1
    return this.#ask(from, { intent, status, answer: true }, nowMs, state)
  }

  /** Sends own vectors of what differs. Intent that is being taken in already is not asked for again. */
  #ask(
    to: MemberId,
    { intent: differs, status, answer, named = false }: Question,
    nowMs: number,
    state: SyncState,
  ): readonly SyncEffect[] {
    const asked = differs && !this.#isTakingIn(nowMs, state)
    if (!asked && !status) return []
    const intent = asked ? state.vector() : null
    const listed = status && !named ? state.listedVectorFor(to) : null
    return [
      listed === null
        ? send(to, { kind: 'vectors', answer, intent, status: status ? state.statusVector() : null })
        : send(to, { kind: 'listed', answer, intent, status: listed }),
    ]
  }

  #receiveListed(
    from: MemberId,
    message: Extract<SyncMessage, { kind: 'listed' }>,
    nowMs: number,
    state: SyncState,
  ): readonly SyncEffect[] {
    const { answer, intent } = message
    const status = state.namedVector(message.status)
    if (status !== null) return this.#receiveVectors(from, { answer, intent, status }, nowMs, state)
    // Its members are others than ours. What it has of the intent it said in words that everybody reads; of status it is
    // asked by names, and answers so.
    const effects =
      intent === null ? [] : this.#receiveVectors(from, { answer, intent, status }, nowMs, state)
    return answer
      ? [...effects, ...this.#ask(from, { intent: false, status: true, answer, named: true }, nowMs, state)]
      : effects
  }

  #receiveVectors(
    from: MemberId,
    message: Vectors & { readonly answer: boolean; readonly kind?: 'vectors' },
    nowMs: number,
    state: SyncState,
  ): readonly SyncEffect[] {
    const effects: SyncEffect[] = []
    const intent = message.intent === null ? [] : state.missingFrom(message.intent, this.#intentBytesMax)
    const status =
      message.status === null ? [] : state.statusMissingFrom(message.status, this.#statusBytesMax)
    // Whether that was all only the receiver can tell, by comparing again; a full batch suggests it was not.
    const more = sizeOf(intent) > this.#intentBytesMax / 2 || sizeOf(status) > this.#statusBytesMax / 2
    if (intent.length + status.length > 0) effects.push(...recordsTo(from, intent, status, more))
    if (!message.answer) return effects
    const lacksIntent = message.intent !== null && lacks(state.vector(), message.intent)
    const lacksStatus = message.status !== null && lacksCursor(state.statusVector(), message.status)
    // In the words in which it asked: to one that has other members a list says nothing.
    const named = message.kind === 'vectors'
    const asked = { intent: lacksIntent, status: lacksStatus, answer: false, named }
    effects.push(...this.#ask(from, asked, nowMs, state))
    return effects
  }

  #receiveRecords(
    from: MemberId,
    message: Extract<SyncMessage, { kind: 'records' }>,
    nowMs: number,
    state: SyncState,
  ): readonly SyncEffect[] {
    const { intent, status, more } = message
    if (intent.length + status.length === 0) return []
    if (intent.length > 0) this.#takingIn = { from, headsDigest: state.headsDigest(), sinceMs: nowMs, more }
    else if (more && this.#peers.has(from)) this.#peers.set(from, nowMs)
    return [{ kind: 'ingest', from, intent, status }]
  }

  #isTakingIn(nowMs: number, state: SyncState): boolean {
    const taking = this.#takingIn
    return (
      taking !== null &&
      taking.headsDigest === state.headsDigest() &&
      nowMs - taking.sinceMs < TAKING_IN_MAX_MS
    )
  }

  /** Once records are in, their sender is asked again at once if it had more. */
  #followUp(nowMs: number, state: SyncState): void {
    const taking = this.#takingIn
    if (taking === null || this.#isTakingIn(nowMs, state)) return
    this.#takingIn = null
    if (taking.more && this.#peers.has(taking.from)) this.#peers.set(taking.from, nowMs)
  }

  #digestTo(member: MemberId, state: SyncState): SyncEffect {
    this.#peers.set(member, null)
    this.#rounds += 1
    const intent = shortDigest(state.headsDigest())
    return send(member, { kind: 'digest', intent, status: shortDigest(state.statusDigest()) })
  }
}

const send = (to: MemberId, message: SyncMessage): SyncEffect => ({
  kind: 'send',
  to,
  bytes: encodeSync(message),
})

/** Room for the lengths around the records of a message. */
const FRAMING_BYTES = 256 * 1024

/** One message where it fits; a member with much status and a large change each get their own. */
const recordsTo = (
  to: MemberId,
  intent: readonly Uint8Array[],
  status: readonly Uint8Array[],
  more: boolean,
): SyncEffect[] => {
  if (sizeOf(intent) + sizeOf(status) <= LIMITS.messageBytesMax - FRAMING_BYTES)
    return [send(to, { kind: 'records', more, intent, status })]
  return [
    send(to, { kind: 'records', more, intent, status: [] }),
    send(to, { kind: 'records', more, intent: [], status }),
  ]
}

const sizeOf = (records: readonly Uint8Array[]): number =>
  records.reduce((sum, record) => sum + record.length, 0)

const lacks = (own: ReadonlyMap<ActorId, number>, theirs: ReadonlyMap<ActorId, number>): boolean => {
  for (const [actor, seq] of theirs) if ((own.get(actor) ?? 0) < seq) return true
  return false
}

const lacksCursor = (
  own: ReadonlyMap<MemberId, StatusCursor>,
  theirs: ReadonlyMap<MemberId, StatusCursor>,
): boolean => {
  for (const [member, { incarnation, seq }] of theirs) {
    const mine = own.get(member)
    const reached = mine?.incarnation ?? 0
    if (reached < incarnation || (reached === incarnation && (mine?.seq ?? 0) < seq)) return true
  }
  return false
}

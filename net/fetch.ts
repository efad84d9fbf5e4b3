// Fetching one package's chunks from whoever has them: sans-IO (`tick` and what is heard → effects). Members that have all of
// it are holders; members that fetch it too are the swarm, and have some. A chunk leaves a holder once where that can be had:
// each belongs to one fetcher of the swarm (by rendezvous hashing), who asks a holder for it, and the others ask that one.
// Within that, order is each fetcher's own (random, as BitTorrent's first pieces), so that everybody has something to give.
//
//   chunk:  missing ─ask▶ asked ─received▶ here        asked ─stalled, refused, false, lost▶ missing
//   source: idle ─ask▶ busy ─answer ended▶ idle        failed ─▶ resting (longer each time) ─▶ idle
//
// Invariants: at most OUTSTANDING_BYTES_MAX are on their way (S14); a chunk that is here is never asked for; a source whose
// answer stands still is left and its chunks go elsewhere; a source that sent false bytes rests for long. Deliberately absent:
// bytes, digests and streams: who calls verifies before `received`.

import { assert } from '../lib/assert.ts'
import { hash32, mix32 } from '../lib/hash.ts'
import type { MemberId } from '../lib/ids.ts'
import { sortedBy } from '../lib/order.ts'
import type { Random } from '../lib/random.ts'

/** Asks open with one source: the next is on its way while the last one's answer comes. */
const ASKS_PER_SOURCE_MAX = 2
/** Of one ask: some ten chunks. Less and asking costs more than it brings; more and a slow source holds too much back. */
const ASK_BYTES_MAX = 768 * 1024
/** On their way to one fetch. At 100 ms to the other side it is still 80 MB/s. */
export const OUTSTANDING_BYTES_MAX = 8 * 1024 * 1024
/** A member that ended its words of what it has is asked again after this long. */
const HAVE_REST_MS = 250
/**
 * Members of the swarm whose words are followed, each a question that stays open: in a larger swarm everybody follows others, and
 * what one has spreads by way of them.
 */
const FOLLOWED_MAX = 16
/** An answer that has stood still for this long: its chunks are asked for elsewhere too. */
const SLOW_MS = 1000
/** And for so many times the usual pause between two chunks: where everybody is slow, asking twice makes it worse. */
const SLOW_PAUSES = 10
/** How much of the usual pause each new one is: the last twenty or so. */
const PAUSE_WEIGHT = 0.05
/**
 * For this long: nothing more comes, it is left. Far beyond what a member takes to be found dead: on a machine that does ten
 * times what it can, answers come late, and leaving them only to ask again would bring nothing to its end.
 */
const STALL_MS = 15_000
/** With nothing on its way and nothing to be had from the swarm, a holder is asked for what belongs to others. */
const PATIENCE_MS = 400
/** Rest of a source after its first failure; each further one doubles it. */
const REST_MS = 500
const REST_MAX_MS = 15_000
/** Rest of a source that sent false bytes: so long that others are asked, and no more, since it may be the only one. */
const LIAR_REST_MS = 60_000

export type FetchEffect =
  /** Ask for these chunks; then tell `received`, `lied` and `ended` of the ask. */
  | {
      readonly kind: 'ask'
      readonly ask: number
      readonly member: MemberId
      readonly chunks: readonly number[]
    }
  /** Ask which chunks it has and keep listening: tell `has` at each word of it, and `ended` when no more will come. */
  | { readonly kind: 'ask-have'; readonly ask: number; readonly member: MemberId }
  /** Do not wait for that ask's answer any longer. Nothing more is to be told of it. */
  | { readonly kind: 'leave'; readonly ask: number }

interface Source {
  /** A holder; else a member of the swarm. */
  complete: boolean
  /** What a member of the swarm has said that it has. */
  have: Uint8Array | null
  haveAtMs: number
  readonly asks: Set<number>
  haveAsk: number | null
  failures: number
  restsUntilMs: number
}

interface Ask {
  readonly member: MemberId
  /** Not received yet. */
  readonly chunks: Set<number>
  /** Null: it asks what there is. */
  readonly isHave: boolean
  movedAtMs: number
  isSlow: boolean
}

export interface FetchOptions {
  readonly self: MemberId
  /** Length of each chunk, in the manifest's order. */
  readonly lengths: readonly number[]
  /** Chunks that are here already. */
  readonly here: readonly number[]
  readonly random: Random
  readonly nowMs: number
}

/** Whether a bitmap, low bits first, has a chunk. */
export const hasBit = (bits: Uint8Array, chunk: number): boolean =>
  (((bits[chunk >>> 3] ?? 0) >>> (chunk & 7)) & 1) === 1

export class Fetch {
  readonly #options: FetchOptions
  readonly #missing = new Set<number>()
  readonly #here: Uint8Array
  readonly #sources = new Map<MemberId, Source>()
  readonly #asks = new Map<number, Ask>()
  #asked = 0
  #outstandingBytes = 0
  /** The usual pause between two chunks of one answer. */
  #pauseMs = 0
  /** Questions open for what members have. */
  #followed = 0
  #left = 0
  #bytesLeft = 0
  /** Own order of the chunks that are not here (and some that are), and which are this fetcher's to get from a holder. */
  #order: readonly number[]
  #own = new Uint8Array()
  #movedAtMs: number

  constructor(options: FetchOptions) {
    const { lengths, here, random, nowMs } = options
    this.#options = options
    this.#here = new Uint8Array(Math.ceil(lengths.length / 8))
    for (const chunk of here) this.#mark(chunk)
    for (const chunk of lengths.keys()) if (!hasBit(this.#here, chunk)) this.#missing.add(chunk)
    this.#left = this.#missing.size
    for (const chunk of this.#missing) this.#bytesLeft += this.#lengthOf(chunk)
    this.#order = shuffled([...this.#missing], random)
    this.#movedAtMs = nowMs
    this.#divide()
  }

  /** Whether everything is here. */
  get done(): boolean {
    return this.#left === 0
  }

  /** What is here, as a bitmap: the same object, which changes. */
  get have(): Uint8Array {
    return this.#here
  }

  /** Bytes that are not here yet. */
  get bytesLeft(): number {
    return this.#bytesLeft
  }

  /** Nobody there to ask. */
  get alone(): boolean {
    return this.#sources.size === 0
  }

  /** Who has all of it, and who fetches it too, among the living. */
  setSources(holders: readonly MemberId[], swarm: readonly MemberId[], nowMs: number): void {
    const { self } = this.#options
    const kinds = new Map<MemberId, boolean>()
    for (const member of swarm) kinds.set(member, false)
    for (const member of holders) kinds.set(member, true)
    kinds.delete(self)
    let changed = false
    for (const member of this.#sources.keys()) {
      if (kinds.has(member)) continue
      changed = true
      this.#drop(member)
    }
    for (const [member, complete] of sortedBy(kinds, ([member]) => member)) {
      const source = this.#sources.get(member)
      if (source?.complete === complete) continue
      changed = true
      if (source !== undefined) source.complete = complete
      else {
        this.#sources.set(member, {
          complete,
          have: null,
          haveAtMs: -Infinity,
          asks: new Set(),
          haveAsk: null,
          failures: 0,
          restsUntilMs: nowMs,
        })
      }
    }
    if (changed) this.#divide()
  }

  /** A member of the swarm said what it has. */
  has(ask: number, bits: Uint8Array, nowMs: number): void {
    const asked = this.#asks.get(ask)
    const source = asked === undefined ? undefined : this.#sources.get(asked.member)
    if (asked === undefined || source === undefined || source.haveAsk !== ask) return
    asked.movedAtMs = nowMs
    source.have = bits
    source.haveAtMs = nowMs
    source.failures = 0
  }

  /** A chunk of an ask came, was verified and is on the disk. */
  received(ask: number, chunk: number, nowMs: number): void {
    this.#movedAtMs = nowMs
    const asked = this.#asks.get(ask)
    if (asked !== undefined) {
      this.#pauseMs += PAUSE_WEIGHT * (nowMs - asked.movedAtMs - this.#pauseMs)
      asked.movedAtMs = nowMs
      asked.isSlow = false
      const source = this.#sources.get(asked.member)
      if (source !== undefined) source.failures = 0
      if (asked.chunks.delete(chunk)) this.#outstandingBytes -= this.#lengthOf(chunk)
    }
    this.#missing.delete(chunk)
    if (hasBit(this.#here, chunk)) return
    this.#mark(chunk)
    this.#left -= 1
    this.#bytesLeft -= this.#lengthOf(chunk)
    // What is here need not be looked at again and again.
    if (this.#left * 2 < this.#order.length)
      this.#order = this.#order.filter((each) => !hasBit(this.#here, each))
  }

  /** The source of an ask sent bytes that are not the chunk's. The ask is over. */
  lied(ask: number, nowMs: number): void {
    this.#end(ask, nowMs, LIAR_REST_MS)
  }

  /** The answer of an ask is over; `failed`: it broke, or did not bring everything. */
  ended(ask: number, failed: boolean, nowMs: number): void {
    const asked = this.#asks.get(ask)
    const source = asked === undefined ? undefined : this.#sources.get(asked.member)
    if (!failed || source === undefined) this.#end(ask, nowMs, null)
    else this.#end(ask, nowMs, Math.min(REST_MAX_MS, REST_MS * 2 ** source.failures))
  }

  /** What to do now. To be called after anything was told, and every hundred milliseconds. */
  tick(nowMs: number): readonly FetchEffect[] {
    const effects: FetchEffect[] = []
    if (this.done) {
      for (const ask of this.#asks.keys()) effects.push({ kind: 'leave', ask })
      this.#asks.clear()
      return effects
    }
    this.#leaveStalled(nowMs, effects)
    // In another order each time, so that no source is always the first to be asked.
    for (const [member, source] of shuffled([...this.#sources], this.#options.random)) {
      if (source.restsUntilMs > nowMs) continue
      if (!source.complete) this.#askHave(member, source, nowMs, effects)
      while (source.asks.size < ASKS_PER_SOURCE_MAX && this.#askChunks(member, source, nowMs, effects));
    }
    return effects
  }

  #askHave(member: MemberId, source: Source, nowMs: number, effects: FetchEffect[]): void {
    if (source.haveAsk !== null || nowMs - source.haveAtMs < HAVE_REST_MS) return
    if (this.#followed >= FOLLOWED_MAX) return
    this.#followed += 1
    const ask = this.#open(member, [], true, nowMs)
    source.haveAsk = ask
    effects.push({ kind: 'ask-have', ask, member })
  }

  #askChunks(member: MemberId, source: Source, nowMs: number, effects: FetchEffect[]): boolean {
    const room = Math.min(ASK_BYTES_MAX, OUTSTANDING_BYTES_MAX - this.#outstandingBytes)
    const chunks = this.#choose(source, room, nowMs)
    if (chunks.length === 0) return false
    const ask = this.#open(member, chunks, false, nowMs)
    source.asks.add(ask)
    effects.push({ kind: 'ask', ask, member, chunks })
    return true
  }

  /** Which chunks to ask a source for, so many bytes at the most. */
  #choose(source: Source, room: number, nowMs: number): readonly number[] {
    if (this.#missing.size === 0) return []
    const { have } = source
    const isSwarming = [...this.#sources.values()].some((other) => !other.complete)
    // Nothing moves, so whoever was to bring the rest does not: then it may leave a holder twice.
    const isPatient = isSwarming && nowMs - this.#movedAtMs < PATIENCE_MS
    const chunks: number[] = []
    let bytes = 0
    for (const chunk of this.#order) {
      if (!this.#missing.has(chunk)) continue
      if (source.complete ? isPatient && !hasBit(this.#own, chunk) : have === null || !hasBit(have, chunk))
        continue
      const length = this.#lengthOf(chunk)
      if (bytes + length > room && (chunks.length > 0 || length > room)) break
      chunks.push(chunk)
      bytes += length
    }
    return chunks
  }

  #open(member: MemberId, chunks: readonly number[], isHave: boolean, nowMs: number): number {
    const ask = (this.#asked += 1)
    this.#asks.set(ask, { member, chunks: new Set(chunks), isHave, movedAtMs: nowMs, isSlow: false })
    for (const chunk of chunks) {
      this.#missing.delete(chunk)
      this.#outstandingBytes += this.#lengthOf(chunk)
    }
    return ask
  }

  #leaveStalled(nowMs: number, effects: FetchEffect[]): void {
    const slowMs = Math.max(SLOW_MS, SLOW_PAUSES * this.#pauseMs)
    for (const [ask, asked] of this.#asks) {
      const stoodMs = nowMs - asked.movedAtMs
      if (stoodMs >= STALL_MS) {
        this.ended(ask, true, nowMs)
        effects.push({ kind: 'leave', ask })
      } else if (stoodMs >= slowMs && !asked.isSlow) {
        asked.isSlow = true
        for (const chunk of asked.chunks) if (!hasBit(this.#here, chunk)) this.#missing.add(chunk)
      }
    }
  }

  #end(ask: number, nowMs: number, restMs: number | null): void {
    const asked = this.#asks.get(ask)
    if (asked === undefined) return
    this.#asks.delete(ask)
    if (asked.isHave) this.#followed -= 1
    for (const chunk of asked.chunks) {
      this.#outstandingBytes -= this.#lengthOf(chunk)
      if (!hasBit(this.#here, chunk)) this.#missing.add(chunk)
    }
    const source = this.#sources.get(asked.member)
    if (source === undefined) return
    source.asks.delete(ask)
    if (source.haveAsk === ask) source.haveAsk = null
    if (restMs === null) return
    source.failures += 1
    source.restsUntilMs = nowMs + restMs
  }

  /** A source that is gone: what was asked of it is asked of others. Its answer, if it comes, is taken all the same. */
  #drop(member: MemberId): void {
    this.#sources.delete(member)
    for (const [ask, asked] of this.#asks) if (asked.member === member) this.#end(ask, 0, null)
  }

  /** Each chunk belongs to the fetcher that ranks highest for it (Thaler and Ravishankar 1998, rendezvous hashing). */
  #divide(): void {
    const self = hash32(this.#options.self)
    const others = [...this.#sources].flatMap(([member, { complete }]) => (complete ? [] : [hash32(member)]))
    const own = new Uint8Array(this.#here.length)
    for (const chunk of this.#order) {
      const salt = mix32(chunk + 1)
      const mine = mix32(self ^ salt)
      if (others.every((other) => mix32(other ^ salt) <= mine)) setBit(own, chunk)
    }
    this.#own = own
  }

  #mark(chunk: number): void {
    assert(chunk >= 0 && chunk < this.#options.lengths.length, 'a chunk is one of the package')
    setBit(this.#here, chunk)
  }

  #lengthOf(chunk: number): number {
    return this.#options.lengths[chunk] ?? 0
  }
}

const setBit = (bits: Uint8Array, chunk: number): void => {
  bits[chunk >>> 3] = (bits[chunk >>> 3] ?? 0) | (1 << (chunk & 7))
}

/** Fisher and Yates, as Durstenfeld wrote it down; a new array. */
const shuffled = <T>(items: readonly T[], random: Random): T[] => {
  const mixed = [...items]
  for (let at = mixed.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1)
    const [a, b] = [mixed[at], mixed[other]]
    if (a === undefined || b === undefined) continue
    mixed[at] = b
    mixed[other] = a
  }
  return mixed
}

// The index of the changes this peer knows: by hash, by actor, in causal order, with heads and vector. Changes enter it
// when they are staged and count as committed once they are durable. It answers questions of causality and holds the
// records; what the changes say is the registers' concern.

import { assert } from '../lib/assert.ts'
import type { ActorId, ChangeHash } from '../lib/ids.ts'
import { compareStrings } from '../lib/order.ts'
import type { Change } from './change-codec.ts'
import type { MembershipPast } from './causal-membership.ts'
import type { WriteOrigin } from './registers.ts'

export interface Entry extends WriteOrigin {
  readonly actor: ActorId
  readonly seq: number
  readonly message: string
  readonly deps: readonly ChangeHash[]
  /** Counter of its last op, the highest in its causal past. */
  readonly opMax: number
  /** The record's encoding, as it was stored and travels. */
  readonly record: Uint8Array
  /** Position among the changes this peer learned of: causes before effects. Differs between peers. */
  readonly index: number
  /** Every entry with a lower index is in its causal past. Differs between peers; a shortcut, never an answer. */
  readonly coversEarlier: boolean
  /** Membership before this change. */
  readonly membership: MembershipPast
  /** Membership after it: the same object unless the change touches a member's life or role. */
  readonly membershipAfter: MembershipPast
  /** What it writes to, without repeats: so that questions about one service decode its own changes only. */
  readonly entities: readonly string[]
  committed: boolean
}

export class History {
  readonly #genesis: ChangeHash
  readonly #byHash = new Map<ChangeHash, Entry>()
  readonly #byActor = new Map<ActorId, Entry[]>()
  #log: Entry[] = []
  #next = 0
  #heads: Set<ChangeHash>
  #committedHeads: Set<ChangeHash>
  #committedCount = 0
  /** Nearly all changes write to one entity; they share its list. */
  readonly #entityLists = new Map<string, readonly string[]>()

  constructor(genesis: ChangeHash) {
    this.#genesis = genesis
    this.#heads = new Set([genesis])
    this.#committedHeads = new Set([genesis])
  }

  get(hash: ChangeHash): Entry | undefined {
    return this.#byHash.get(hash)
  }

  knows(hash: ChangeHash): boolean {
    return hash === this.#genesis || this.#byHash.has(hash)
  }

  /** An actor's change by its seq, staged ones included. */
  ofActor(actor: ActorId, seq: number): Entry | undefined {
    return this.#byActor.get(actor)?.[seq - 1]
  }

  /** Changes of an actor, staged ones included. */
  seqOf(actor: ActorId): number {
    return this.#byActor.get(actor)?.length ?? 0
  }

  /** Sorted; staged changes included. */
  heads(): ChangeHash[] {
    return [...this.#heads].sort(compareStrings)
  }

  /** Sorted; committed changes only. */
  committedHeads(): ChangeHash[] {
    return [...this.#committedHeads].sort(compareStrings)
  }

  /** What every change comes after: the heads of a document in which nobody has written. */
  roots(): readonly ChangeHash[] {
    return [this.#genesis]
  }

  get committedCount(): number {
    return this.#committedCount
  }

  /** Highest op counter of the causal past that ends in `deps`. */
  opMaxOf(deps: readonly ChangeHash[], genesisMax: number): number {
    return deps.reduce((highest, dep) => Math.max(highest, this.#byHash.get(dep)?.opMax ?? 0), genesisMax)
  }

  /** Whether deps are exactly the present heads, staged changes included. */
  areHeads(deps: readonly ChangeHash[]): boolean {
    return deps.length === this.#heads.size && deps.every((dep) => this.#heads.has(dep))
  }

  /** Adds a change, not committed yet. */
  add(
    change: Change,
    rest: Pick<Entry, 'hash' | 'author' | 'record' | 'membership' | 'entities'> & {
      readonly after: (entry: Pick<Entry, 'index'>) => MembershipPast
    },
  ): Entry {
    const own = this.#byActor.get(change.actor) ?? []
    assert(own.length === change.seq - 1, 'an actor changes in order')
    const index = this.#next
    this.#next += 1
    const entry: Entry = {
      hash: rest.hash,
      author: rest.author,
      actor: change.actor,
      seq: change.seq,
      at: change.time,
      message: change.message,
      deps: change.deps,
      opMax: change.startOp + change.ops.length - 1,
      record: rest.record,
      index,
      coversEarlier: this.areHeads(change.deps),
      membership: rest.membership,
      membershipAfter: rest.after({ index }),
      entities: this.#interned(rest.entities),
      committed: false,
    }
    own.push(entry)
    this.#byActor.set(change.actor, own)
    this.#byHash.set(entry.hash, entry)
    this.#log.push(entry)
    advance(this.#heads, entry)
    return entry
  }

  commit(entry: Entry): void {
    assert(!entry.committed, 'a change is committed once')
    entry.committed = true
    this.#committedCount += 1
    advance(this.#committedHeads, entry)
  }

  /** Forgets everything that is not committed. */
  abandon(): void {
    for (const entry of this.#log) {
      if (entry.committed) continue
      this.#byHash.delete(entry.hash)
      const own = (this.#byActor.get(entry.actor) ?? []).filter((other) => other.committed)
      if (own.length === 0) this.#byActor.delete(entry.actor)
      else this.#byActor.set(entry.actor, own)
    }
    this.#log = this.#log.filter((entry) => entry.committed)
    this.#heads = new Set(this.#committedHeads)
  }

  /** Committed changes, causes before effects. */
  committed(): Entry[] {
    return this.#log.filter((entry) => entry.committed)
  }

  /** The change that an op belongs to, by the op's counter. */
  ofOp(actor: ActorId, counter: number): Entry | undefined {
    const own = this.#byActor.get(actor) ?? []
    let low = 0
    let high = own.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((own[middle]?.opMax ?? 0) < counter) low = middle + 1
      else high = middle
    }
    return own[low]
  }

  /** How many committed changes of each actor. */
  vector(): Map<ActorId, number> {
    const vector = new Map<ActorId, number>()
    for (const [actor, entries] of this.#byActor) {
      const seq = committedSeq(entries)
      if (seq > 0) vector.set(actor, seq)
    }
    return vector
  }

  /** Committed changes that a holder of `vector` lacks, causes before effects. */
  missingFrom(vector: ReadonlyMap<ActorId, number>): Entry[] {
    const missing: Entry[] = []
    for (const [actor, entries] of this.#byActor) {
      const from = vector.get(actor) ?? 0
      const to = committedSeq(entries)
      for (let seq = from; seq < to; seq += 1) {
        const entry = entries[seq]
        if (entry !== undefined) missing.push(entry)
      }
    }
    return missing.sort((a, b) => a.index - b.index)
  }

  #interned(entities: readonly string[]): readonly string[] {
    const [only] = entities
    if (only === undefined || entities.length > 1) return entities
    let list = this.#entityLists.get(only)
    if (list === undefined) this.#entityLists.set(only, (list = [only]))
    return list
  }

  /** Whether `past` happened before, or is, one of the changes named. */
  isInPast(past: Entry, of: readonly ChangeHash[]): boolean {
    const seen = new Set<ChangeHash>()
    const stack = [...of]
    for (let hash = stack.pop(); hash !== undefined; hash = stack.pop()) {
      const entry = this.#byHash.get(hash)
      if (entry === undefined || seen.has(hash)) continue
      seen.add(hash)
      if (entry.index === past.index) return true
      // Whatever has a lower index is not an effect of `past`.
      if (entry.index < past.index) continue
      if (entry.coversEarlier) return true
      stack.push(...entry.deps)
    }
    return false
  }
}

const advance = (heads: Set<ChangeHash>, entry: Entry): void => {
  for (const dep of entry.deps) heads.delete(dep)
  heads.add(entry.hash)
}

const committedSeq = (entries: readonly Entry[]): number => {
  // Only the newest few can be staged.
  let seq = entries.length
  while (seq > 0 && entries[seq - 1]?.committed !== true) seq -= 1
  return seq
}

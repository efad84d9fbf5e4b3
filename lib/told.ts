// What a follower has been told of many streams, so that after a lost connection it asks again from a time a little before
// and tells nothing twice. Streams are told in order and each of their items has an offset that only grows, save that a
// stream may begin anew while it is followed. Knows no connections, no clock and nothing of the items.

/** Streams remembered; a follower that meets more forgets those it heard of first. */
const STREAMS_MAX = 10_000

interface Stream {
  readonly offset: number
  /** It has been asked for again, and has told nothing new since. */
  readonly isBehind: boolean
}

/** Remembers the last offset of each stream, and the latest time of all. */
export class Told {
  readonly #streams = new Map<string, Stream>()
  #at: number | null = null

  /** The latest time of an item told; null: nothing was. */
  get at(): number | null {
    return this.#at
  }

  /** From here on streams are told again from some time ago. */
  askedAgain(): void {
    for (const [name, { offset }] of this.#streams) this.#streams.set(name, { offset, isBehind: true })
  }

  /** Whether an item was told already. Times do not say so: what nobody had noted before a crash gets another one. */
  has(name: string, offset: number): boolean {
    const stream = this.#streams.get(name)
    return stream !== undefined && stream.isBehind && offset <= stream.offset
  }

  /** An item is told now. */
  note(name: string, offset: number, at: number): void {
    this.#at = Math.max(at, this.#at ?? at)
    if (!this.#streams.has(name) && this.#streams.size >= STREAMS_MAX) {
      const [oldest] = this.#streams.keys()
      if (oldest !== undefined) this.#streams.delete(oldest)
    }
    this.#streams.set(name, { offset, isBehind: false })
  }
}

// What a follower has been told of many streams, so that after a lost connection it asks again from a time a little before
// and tells nothing twice. Streams are told in order and each of their items has an offset that only grows. Knows no
// connections, no clock and nothing of the items.

/** Streams remembered; a follower that meets more forgets those it heard of first. */
const STREAMS_MAX = 10_000

/** Remembers the last offset of each stream, and the latest time of all. */
export class Told {
  readonly #offsets = new Map<string, number>()
  #at: number | null = null

  /** The latest time of an item told; null: nothing was. */
  get at(): number | null {
    return this.#at
  }

  /** Whether an item was told already. */
  has(stream: string, offset: number): boolean {
    return offset <= (this.#offsets.get(stream) ?? -1)
  }

  /** An item is told now. */
  note(stream: string, offset: number, at: number): void {
    this.#at = Math.max(at, this.#at ?? at)
    if (!this.#offsets.has(stream) && this.#offsets.size >= STREAMS_MAX) {
      const [oldest] = this.#offsets.keys()
      if (oldest !== undefined) this.#offsets.delete(oldest)
    }
    this.#offsets.set(stream, offset)
  }
}

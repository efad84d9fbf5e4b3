// A short queue between several writers and one reader, both of whom wait for each other: what a command writes is taken
// from it no faster than the caller reads. Knows nothing of processes.

/** Enough to keep both sides busy; each item is one chunk of a pipe, at most 64 KiB. */
const WAITING_MAX = 4

export class Channel<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  #closed = false
  #wakeReader: () => void = () => undefined
  #wakeWriters: (() => void)[] = []

  /** Whether a writer waits for the reader. */
  get full(): boolean {
    return this.#items.length >= WAITING_MAX
  }

  /** Resolves when there was room, or nobody reads any more. */
  async push(item: T): Promise<void> {
    while (this.full && !this.#closed) await new Promise<void>((wake) => this.#wakeWriters.push(wake))
    if (this.#closed) return
    this.#items.push(item)
    this.#wakeReader()
  }

  /** Nothing more comes; what waits can still be read. */
  close(): void {
    this.#closed = true
    this.#wakeReader()
    this.#wakeAll()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        this.#wakeAll()
        yield item
      } else if (this.#closed) return
      else await new Promise<void>((wake) => (this.#wakeReader = wake))
    }
  }

  #wakeAll(): void {
    const writers = this.#wakeWriters
    this.#wakeWriters = []
    for (const wake of writers) wake()
  }
}

// Many peers' lines as one stream: what each already has, merged by time and cut to the last so many; then, when
// followed, what comes new, as it comes. A source that fails, or is late, costs one notice and nothing else. Everything
// held is bounded (S14): per source while collecting, by one small queue while following. Knows no peers and no formats.

import { messageOf } from '../../lib/errors.ts'

/** A follower's source says by this that it has told everything it had; what follows is new. */
export const LIVE: unique symbol = Symbol('live')
export type Marked<T> = T | typeof LIVE

export interface Source<T> {
  /** Who is asked, for notices. */
  readonly name: string
  /** In its own order of time. Ends early, by returning or throwing, when `signal` aborts. */
  open(signal: AbortSignal): AsyncIterable<Marked<T>>
}

export interface FanInOptions<T> {
  readonly sources: readonly Source<T>[]
  readonly follow: boolean
  /**
   * How many of the present ones, over all sources together. Left out, which only a follower may: all of them, each source's
   * as they come, with nothing collected.
   */
  readonly tail: number | undefined
  /** Wall time of one, milliseconds. */
  readonly at: (item: T) => number
  /** Its size in memory, roughly; bytes. */
  readonly bytes: (item: T) => number
  /** What tells the reader that a source is missing or incomplete. */
  readonly notice: (source: string, reason: string) => T
  readonly signal: AbortSignal
  /** Sources that come while following: gives each to `add`, until the function that it returned is called. */
  readonly arrivals?: (add: (source: Source<T>) => void) => () => void
  /** How long sources may take for what they have. @default 10 s */
  readonly collectMs?: number
}

/** A peer reads its tail from its disk in well under a second; ten means that it hangs. */
const COLLECT_MS = 10_000
/** Sources asked at once when not following: enough to hide round trips, few enough to bound memory. */
const ASKED_AT_ONCE_MAX = 16
/** All that is collected, over all sources: some 100,000 lines. */
const COLLECTED_BYTES_MAX = 16 * 1024 * 1024
/** Any one source may always give this much. */
const SOURCE_BYTES_MIN = 128 * 1024
/** New items waiting for a slow reader; then the sources wait, and their peers with them. */
const QUEUE_MAX = 256

interface Collected<T> {
  readonly key: number
  readonly item: T
}

/** The last items of one source, bounded by count and by size. */
class Backlog<T> {
  readonly #options: FanInOptions<T>
  readonly #bytesMax: number
  #items: Collected<T>[] = []
  /** Items before it are dropped; the array is compacted when they are half of it. */
  #head = 0
  #bytes = 0
  #key = -Infinity
  /** Something was dropped for its size, not for the count asked for. */
  cut = false

  constructor(options: FanInOptions<T>, bytesMax: number) {
    this.#options = options
    this.#bytesMax = bytesMax
  }

  add(item: T): void {
    const { at, bytes, tail = Infinity } = this.#options
    // A clock that was set back must not reorder what one source told in order.
    this.#key = Math.max(this.#key, at(item))
    this.#items.push({ key: this.#key, item })
    this.#bytes += bytes(item)
    while (this.#items.length - this.#head > tail) this.#drop()
    while (this.#bytes > this.#bytesMax && this.#items.length - this.#head > 1) {
      this.#drop()
      this.cut = true
    }
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
  }

  take(): readonly Collected<T>[] {
    const kept = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    this.#bytes = 0
    return kept
  }

  #drop(): void {
    const dropped = this.#items[this.#head]
    this.#head += 1
    if (dropped !== undefined) this.#bytes -= this.#options.bytes(dropped.item)
  }
}

/** A small queue between the sources and the reader; `push` resolves when there is room again. */
class Queue<T> {
  readonly #items: T[] = []
  #wakeReader: (() => void) | null = null
  #wakeWriters: (() => void)[] = []
  #closed = false

  async push(item: T): Promise<void> {
    while (this.#items.length >= QUEUE_MAX && !this.#closed)
      await new Promise<void>((wake) => this.#wakeWriters.push(wake))
    this.#items.push(item)
    this.wake()
  }

  /** Waits for something, then everything that waits; empty when woken for nothing. */
  async pull(): Promise<readonly T[]> {
    if (this.#items.length === 0) await new Promise<void>((wake) => (this.#wakeReader = wake))
    return this.rest()
  }

  /** Everything that waits, at once. */
  rest(): readonly T[] {
    const items = this.#items.splice(0)
    const writers = this.#wakeWriters
    this.#wakeWriters = []
    for (const wake of writers) wake()
    return items
  }

  /** Nobody reads any more: lets every writer go. */
  close(): void {
    this.#closed = true
    this.rest()
  }

  /** Lets the reader look around: a source ended, or it is to stop. */
  wake(): void {
    this.#wakeReader?.()
    this.#wakeReader = null
  }
}

/** One source being read: first into its backlog, then, once told to, into the queue. */
class Reader<T> {
  readonly name: string
  readonly backlog: Backlog<T>
  readonly #options: FanInOptions<T>
  readonly #source: Source<T>
  readonly #queue: Queue<T>
  readonly #stop = new AbortController()
  #following = false
  #live: () => void = () => undefined
  #release: () => void = () => undefined
  readonly #released: Promise<void>
  /** Resolves when it has told what it had, or has ended. */
  readonly collected: Promise<void>
  ended = false
  failure: string | null = null

  constructor(source: Source<T>, options: FanInOptions<T>, queue: Queue<T>, bytesMax: number) {
    this.name = source.name
    this.#source = source
    this.#options = options
    this.#queue = queue
    this.backlog = new Backlog(options, bytesMax)
    this.collected = new Promise((live) => (this.#live = live))
    this.#released = new Promise((release) => (this.#release = release))
  }

  async run(): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, this.#options.signal])
    try {
      for await (const item of this.#source.open(signal)) {
        if (signal.aborted) break
        if (item === LIVE) {
          // New ones wait where they come from until the past of all has been told: none is lost to the tail's cut.
          this.#live()
          await this.#released
        } else if (this.#following) await this.#queue.push(item)
        else this.backlog.add(item)
      }
    } catch (thrown) {
      if (!signal.aborted) await this.#failed(messageOf(thrown))
    }
    this.#live()
    this.ended = true
    this.#queue.wake()
  }

  follow(): void {
    this.#following = true
    this.#release()
  }

  stop(): void {
    this.#stop.abort()
    this.#live()
    this.#release()
  }

  async #failed(reason: string): Promise<void> {
    if (this.#following) await this.#queue.push(this.#options.notice(this.name, reason))
    else this.failure = reason
  }
}

/** Resolves true when `work` has, false when the time or the caller's patience has run out first. */
const within = async (work: Promise<unknown>, timeoutMs: number, signal: AbortSignal): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined
  let aborted: () => void = () => undefined
  const expired = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
    aborted = () => resolve(false)
    signal.addEventListener('abort', aborted)
  })
  try {
    return signal.aborted ? false : await Promise.race([work.then(() => true), expired])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', aborted)
  }
}

/** Reads every source up to its mark or end, a few at a time unless they are to be followed. */
const collect = async <T>(readers: readonly Reader<T>[], options: FanInOptions<T>): Promise<void> => {
  const collectMs = options.collectMs ?? COLLECT_MS
  const waiting = [...readers]
  const lane = async (): Promise<void> => {
    for (let reader = waiting.shift(); reader !== undefined; reader = waiting.shift()) {
      void reader.run()
      if (await within(reader.collected, collectMs, options.signal)) continue
      reader.failure ??= `did not tell all it has within ${collectMs} ms`
      if (!options.follow) reader.stop()
    }
  }
  const lanes = options.follow ? readers.length : Math.min(ASKED_AT_ONCE_MAX, readers.length)
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** What was collected, merged and cut, the notices before it. */
const merged = <T>(readers: readonly Reader<T>[], options: FanInOptions<T>): readonly T[] => {
  const notices = readers.flatMap((reader) => {
    const reason =
      reader.failure ?? (reader.backlog.cut ? 'has more than fits; older lines are left out' : null)
    return reason === null ? [] : [options.notice(reader.name, reason)]
  })
  const items = readers
    .flatMap((reader) => reader.backlog.take())
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
  return [...notices, ...(options.tail === 0 ? [] : items.slice(-(options.tail ?? items.length)))]
}

/** The stream. Ends when every source has ended, or when `signal` aborts; then all sources are closed. */
export async function* fanIn<T>(options: FanInOptions<T>): AsyncGenerator<T> {
  const queue = new Queue<T>()
  const bytesMax = Math.max(
    SOURCE_BYTES_MIN,
    Math.floor(COLLECTED_BYTES_MAX / Math.max(1, options.sources.length)),
  )
  const wake = (): void => queue.wake()
  options.signal.addEventListener('abort', wake)
  const readers = options.sources.map((source) => new Reader(source, options, queue, bytesMax))
  let leave: () => void = () => undefined
  try {
    const isCollected = !options.follow || options.tail !== undefined
    if (isCollected) await collect(readers, options)
    const present = merged(readers, options)
    // From here on the sources write to the queue; nothing can come between, since nothing was awaited.
    for (const reader of readers) {
      reader.follow()
      if (!isCollected) void reader.run()
    }
    if (options.follow && options.arrivals !== undefined) {
      leave = options.arrivals((source) => {
        const reader = new Reader(source, options, queue, bytesMax)
        readers.push(reader)
        reader.follow()
        void reader.run()
      })
    }
    yield* present
    if (!options.follow) return
    for (;;) {
      if (options.signal.aborted) return
      const ended = readers.every((reader) => reader.ended)
      yield* ended ? queue.rest() : await queue.pull()
      if (ended) return
    }
  } finally {
    leave()
    options.signal.removeEventListener('abort', wake)
    for (const reader of readers) reader.stop()
    queue.close()
  }
}

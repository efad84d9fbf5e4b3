// One reading of output: many files merged by time, cut to what the query asks for, then followed as they grow. Its memory
// is bounded whatever programs write and however slowly somebody reads: a tail by its size, a follower by a budget per
// look, beyond which the files drop what is oldest and the follower says how much it missed.

import type { Clock } from '../../../lib/time.ts'
import type { LogLine, LogLive, LogQuery } from '../../ports.ts'
import { findLogFiles, type LogFile } from './log-files.ts'
import {
  LINE_BYTES_MAX,
  readLines,
  sinceOffset,
  sizeOf,
  stampsOf,
  tailOffset,
  type FileLine,
} from './reader.ts'
import { LOOK_MS } from './recorder.ts'
import { offsetUntil } from './stamps.ts'

/** What the store knows of files beyond what is in them. */
export interface Contents {
  /** Its program runs: a last line without a line break may still grow. */
  isLive(file: LogFile): boolean
  /** Where contents begin by now. */
  floorOf(file: LogFile): number
}

/** Growth of any file as something to wait for: `wait` resolves false once the reader has gone. */
export interface Growth {
  wait(): Promise<boolean>
}

export interface ReadingOptions {
  readonly folder: string
  readonly peer: string
  readonly clock: Clock
  readonly contents: Contents
  readonly query: LogQuery
  readonly growth: Growth
  readonly signal: AbortSignal
}

/** How far a file has been told. */
interface Place {
  readonly next: number
  /** The last line told had no line break; one that comes now ends it and is no empty line. */
  readonly isOpen: boolean
}
type Places = Map<string, Place>

const TAIL_DEFAULT = 100
/** Text of a tail in memory: a screen of it is some kB, and a fan-in holds no more either. */
const TAIL_BYTES_MAX = 16 * 1024 * 1024
/** What a follower is told in one look, over all files: 2.5 MiB/s, far more than a terminal shows, and some % of a core. */
const LOOK_BYTES_MAX = 256 * 1024
/** Of one file in one look: more than the longest line, so that every look gets on. */
const SHARE_BYTES_MIN = LINE_BYTES_MAX + 16 * 1024
/** Files told in one look; the next ones follow in the next. */
const FILES_PER_LOOK_MAX = 32

type Want = Pick<LogQuery, 'of' | 'tail' | 'since' | 'until' | 'stream' | 'grep' | 'follow'>

const isWanted = (want: Want, { at, text }: FileLine): boolean =>
  (want.since === undefined || at >= want.since) &&
  (want.until === undefined || at <= want.until) &&
  (want.grep === undefined || text.includes(want.grep))

/** The last lines, bounded by count and by size. */
class Tail {
  readonly #count: number
  #lines: FileLine[] = []
  #head = 0
  #bytes = 0

  constructor(count: number) {
    this.#count = count
  }

  add(line: FileLine): void {
    this.#lines.push(line)
    this.#bytes += line.text.length
    while (this.#lines.length - this.#head > this.#count || this.#bytes > TAIL_BYTES_MAX) {
      this.#bytes -= this.#lines[this.#head]?.text.length ?? 0
      this.#head += 1
    }
    // Compacted when dropped ones are half of it: a constant cost a line.
    if (this.#head > 64 && this.#head * 2 > this.#lines.length) {
      this.#lines = this.#lines.slice(this.#head)
      this.#head = 0
    }
  }

  lines(): readonly FileLine[] {
    return this.#lines.slice(this.#head)
  }
}

/** What files hold now, as far as it is wanted, by time; leaves in `places` where each goes on. */
export async function* mergedLines(
  files: readonly LogFile[],
  want: Want,
  contents: Contents,
  places: Places,
): AsyncGenerator<FileLine> {
  const limited = want.since !== undefined || want.until !== undefined
  const count = want.tail ?? (limited ? undefined : TAIL_DEFAULT)
  const tail = count === undefined ? null : new Tail(count)
  const sources: { readonly lines: AsyncGenerator<FileLine>; head: FileLine }[] = []
  try {
    for (const file of files) {
      const { from, to } = await rangeOf(file, want, count)
      places.set(file.path, { next: from, isOpen: false })
      const partial = !(want.follow === true && contents.isLive(file))
      const lines = readLines(file, { from, to, partial, floor: () => contents.floorOf(file) })
      const head = await lines.next()
      if (head.done !== true) sources.push({ lines, head: head.value })
    }
    while (sources.length > 0) {
      // The earliest head; of equal ones the first file's, so that one instance's lines stay together.
      let first = 0
      for (const [at, { head }] of sources.entries())
        if (head.key < (sources[first]?.head.key ?? 0)) first = at
      const source = sources[first]
      if (source === undefined) break
      const line = source.head
      places.set(line.file.path, { next: line.end, isOpen: line.isPartial })
      const following = await source.lines.next()
      if (following.done === true) sources.splice(first, 1)
      else source.head = following.value
      if (!isWanted(want, line)) continue
      if (tail === null) yield line
      else tail.add(line)
    }
    if (tail !== null) yield* tail.lines()
  } finally {
    for (const { lines } of sources) await lines.return(undefined)
  }
}

/** Which part of a file can hold what is wanted. */
const rangeOf = async (
  file: LogFile,
  want: Want,
  count: number | undefined,
): Promise<{ readonly from: number; readonly to: number }> => {
  const size = sizeOf(file)
  const { stamps, floor } = stampsOf(file)
  // What a follower is not told now it is told later: its past ends where the file ends.
  const to = want.until === undefined ? size : Math.min(size, offsetUntil(stamps, want.until, size))
  let from = Math.min(floor, size)
  if (want.since !== undefined) from = Math.max(from, await sinceOffset(file, stamps, want.since))
  // Which lines contain a text shows only when they are read.
  if (count !== undefined && want.grep === undefined)
    from = Math.max(from, await tailOffset(file, count, { floor, to }))
  return { from, to }
}

/** Reads once; not to be used again. */
export class Reading {
  readonly #options: ReadingOptions
  readonly #places: Places = new Map()
  /** Files that grew take turns from here on. */
  #turn = 0

  constructor(options: ReadingOptions) {
    this.#options = options
  }

  /** The lines; ends by itself only where the query does not follow. */
  async *lines(): AsyncGenerator<LogLine | LogLive> {
    const { query, contents, growth, signal } = this.#options
    for await (const line of mergedLines(this.#files(), query, contents, this.#places)) {
      if (signal.aborted) return
      yield* this.#told(line)
    }
    if (query.follow !== true) return
    yield { live: true }
    for (let isBehind = false; isBehind ? await this.#pause() : await growth.wait();) {
      const fresh: FileLine[] = []
      isBehind = await this.#look(fresh)
      // Lines of one look, that is of a tenth of a second, in the order of their stamps.
      for (const line of fresh.toSorted((a, b) => a.key - b.key)) {
        if (signal.aborted) return
        yield* this.#told(line)
      }
    }
  }

  #files(): readonly LogFile[] {
    const { folder, query } = this.#options
    const files = findLogFiles(folder, query.of)
    return query.stream === undefined ? files : files.filter(({ stream }) => stream === query.stream)
  }

  /** Adds what files got since the last look, within the budget; true: there is more. */
  async #look(fresh: FileLine[]): Promise<boolean> {
    const grown = this.#files().filter((file) => sizeOf(file) !== (this.#places.get(file.path)?.next ?? 0))
    if (grown.length === 0) return false
    this.#turn = (this.#turn + FILES_PER_LOOK_MAX) % grown.length
    const turn = grown.length <= FILES_PER_LOOK_MAX ? 0 : this.#turn
    const chosen = [...grown.slice(turn), ...grown.slice(0, turn)].slice(0, FILES_PER_LOOK_MAX)
    const share = Math.max(SHARE_BYTES_MIN, Math.floor(LOOK_BYTES_MAX / chosen.length))
    let isBehind = chosen.length < grown.length
    for (const file of chosen) if (await this.#continued(file, share, fresh)) isBehind = true
    return isBehind
  }

  /** What one file got; true: the budget was too small for it. */
  async #continued(file: LogFile, share: number, fresh: FileLine[]): Promise<boolean> {
    const { contents } = this.#options
    const floor = contents.floorOf(file)
    const size = sizeOf(file)
    let { next, isOpen } = this.#places.get(file.path) ?? { next: floor, isOpen: false }
    // It was emptied: it begins anew.
    if (next > size) {
      next = floor
      isOpen = false
    }
    this.#places.set(file.path, { next, isOpen })
    const first = next
    const range = {
      from: next,
      to: size,
      partial: !contents.isLive(file),
      floor: () => contents.floorOf(file),
    }
    for await (const line of readLines(file, range)) {
      const endsOpenLine = isOpen && line.text === ''
      isOpen = line.isPartial
      this.#places.set(file.path, { next: line.end, isOpen })
      if (!endsOpenLine) fresh.push(line)
      if (line.end - first - line.skippedBytes >= share) return line.end < size
    }
    return false
  }

  *#told(line: FileLine): Generator<LogLine> {
    const { peer, query } = this.#options
    const { slot, instance, stream } = line.file
    if (line.skippedBytes > 0) {
      const text = `${line.skippedBytes} bytes of ${stream} were dropped before they could be read`
      yield { at: line.at, peer, slot, instance, stream: 'notice', text, offset: line.end }
    }
    if (isWanted(query, line))
      yield { at: line.at, peer, slot, instance, stream, text: line.text, offset: line.end }
  }

  /** Resolves at the next look; false once the reader has gone. */
  async #pause(): Promise<boolean> {
    const { clock, signal } = this.#options
    if (signal.aborted) return false
    const over = Promise.withResolvers<void>()
    const cancel = clock.after(LOOK_MS, over.resolve)
    const gone = (): void => over.resolve()
    signal.addEventListener('abort', gone)
    await over.promise
    cancel()
    signal.removeEventListener('abort', gone)
    return !signal.aborted
  }
}

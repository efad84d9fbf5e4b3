// Output of this peer's own instances, present and gone: the sink that the driver points programs at, and the reader
// behind `tutti logs`. Merges files by time and follows them as they grow. Deliberately absent: other peers' output,
// which the face asks them for, and any parsing of what programs print.

import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { InstanceId } from '../../../lib/ids.ts'
import type { Clock } from '../../../lib/time.ts'
import type { LogLine, LogQuery, Output } from '../../ports.ts'
import { dropOldOutput, findLogFiles, logFileOf, STREAMS, type LogFile } from './log-files.ts'
import { readLines, sinceOffset, stampsOf, tailOffset, type FileLine } from './reader.ts'
import { Recorder } from './recorder.ts'

/** What the output store is built from. */
export interface OutputStoreOptions {
  /** Absolute; its own. */
  readonly folder: string
  /** This peer's name, for the lines. */
  readonly peer: string
  readonly clock: Clock
  /** Of one stream's contents; see recorder.ts. */
  readonly bounds?: { readonly keepBytes: number; readonly contentBytesMax: number } | undefined
}

const TAIL_DEFAULT = 100
// Retention counts days and instances; an hour late is nothing to it.
const DROP_EVERY_MS = 3_600_000
// Not before running instances were adopted: until then they look gone.
const DROP_FIRST_MS = 60_000

/** Keeps, bounds and reads output. Implements the port `Output` and the driver's `OutputSink`. */
export class OutputStore implements Output {
  readonly #options: OutputStoreOptions
  readonly #recorders = new Map<InstanceId, readonly Recorder[]>()
  readonly #listeners = new Set<() => void>()
  #cancel: () => void = () => undefined

  constructor(options: OutputStoreOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
    this.#dropLater(DROP_FIRST_MS)
  }

  /** The files that an instance's output is appended to; watched until `end`. */
  begin(instance: InstanceId): { readonly stdout: string; readonly stderr: string } {
    const { folder, clock, bounds } = this.#options
    const [stdout, stderr] = [logFileOf(folder, instance, 'stdout'), logFileOf(folder, instance, 'stderr')]
    if (!this.#recorders.has(instance)) {
      mkdirSync(dirname(stdout.path), { recursive: true, mode: 0o700 })
      const recorders = [stdout, stderr].map(
        ({ path }) => new Recorder({ path, clock, bounds, grown: () => this.#notify() }),
      )
      this.#recorders.set(instance, recorders)
      this.#notify()
    }
    return { stdout: stdout.path, stderr: stderr.path }
  }

  /** Nothing more comes from an instance until it begins again. */
  end(instance: InstanceId): void {
    const recorders = this.#recorders.get(instance) ?? []
    this.#recorders.delete(instance)
    for (const recorder of recorders) void recorder.close()
    this.#notify()
  }

  /** Lets go of all files; what programs write is stamped when the next peer looks. */
  async close(): Promise<void> {
    this.#cancel()
    const recorders = [...this.#recorders.values()].flat()
    this.#recorders.clear()
    for (const recorder of recorders) await recorder.close()
  }

  async *read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
    const follow = query.follow === true
    // Listening begins before the first look, so that nothing falls between the two.
    const growth = this.#growth(signal)
    try {
      const next = new Map<string, number>()
      for await (const line of this.#present(query, follow, next)) {
        if (signal.aborted) return
        yield this.#asLogLine(line)
      }
      if (!follow) return
      while (await growth.wait()) {
        const fresh: FileLine[] = []
        for (const file of findLogFiles(this.#options.folder, query.service, query.slot))
          fresh.push(...(await this.#continued(file, next)))
        // Lines of one look, that is of a tenth of a second, in the order of their stamps.
        for (const line of fresh.toSorted((a, b) => a.at - b.at)) {
          if (signal.aborted) return
          yield this.#asLogLine(line)
        }
      }
    } finally {
      growth.stop()
    }
  }

  /** The last lines of one instance, both streams together: evidence when it crashed. */
  async lastLines(instance: InstanceId, count: number): Promise<readonly string[]> {
    const files = STREAMS.map((stream) => logFileOf(this.#options.folder, instance, stream))
    const lines: string[] = []
    for await (const { text } of this.#merged(
      files,
      { tail: count, since: undefined, follow: false },
      new Map(),
    ))
      lines.push(text)
    return lines
  }

  /** What is there now, as far as the query asks for it; leaves in `next` where each file goes on. */
  async *#present(query: LogQuery, follow: boolean, next: Map<string, number>): AsyncGenerator<FileLine> {
    for (const recorders of this.#recorders.values()) for (const recorder of recorders) recorder.look()
    const { since } = query
    const tail = query.tail ?? (since === undefined ? TAIL_DEFAULT : undefined)
    const files = findLogFiles(this.#options.folder, query.service, query.slot)
    yield* this.#merged(files, { tail, since, follow }, next)
  }

  async *#merged(
    files: readonly LogFile[],
    want: {
      readonly tail: number | undefined
      readonly since: number | undefined
      readonly follow: boolean
    },
    next: Map<string, number>,
  ): AsyncGenerator<FileLine> {
    const sources: { readonly lines: AsyncGenerator<FileLine>; head: FileLine }[] = []
    const last: FileLine[] = []
    try {
      for (const file of files) {
        const offsets = [
          want.tail === undefined ? 0 : await tailOffset(file, want.tail),
          want.since === undefined ? 0 : await sinceOffset(file, want.since),
          stampsOf(file).floor,
        ]
        const from = Math.max(...offsets)
        next.set(file.path, from)
        const lines = readLines(file, { from, partial: !(want.follow && this.#isLive(file)) })
        const head = await lines.next()
        if (head.done !== true) sources.push({ lines, head: head.value })
      }
      while (sources.length > 0) {
        // The earliest head; of equal ones the first file's, so that one instance's lines stay together.
        let first = 0
        for (const [at, { head }] of sources.entries())
          if (head.at < (sources[first]?.head.at ?? 0)) first = at
        const source = sources[first]
        if (source === undefined) break
        const line = source.head
        next.set(line.file.path, line.end)
        const following = await source.lines.next()
        if (following.done === true) sources.splice(first, 1)
        else source.head = following.value
        if (want.since !== undefined && line.at < want.since) continue
        if (want.tail === undefined) yield line
        else last.push(line)
        if (last.length > 2 * (want.tail ?? 0) + 1) last.splice(0, last.length - (want.tail ?? 0))
      }
      if (want.tail !== undefined && want.tail > 0) yield* last.slice(-want.tail)
    } finally {
      for (const { lines } of sources) await lines.return(undefined)
    }
  }

  /** What a file got since the last look at it. */
  async #continued(file: LogFile, next: Map<string, number>): Promise<readonly FileLine[]> {
    const { floor } = stampsOf(file)
    const size = statSync(file.path, { throwIfNoEntry: false })?.size ?? 0
    let from = Math.max(next.get(file.path) ?? 0, floor)
    // It was emptied: it begins anew.
    if (from > size) from = floor
    next.set(file.path, from)
    if (from === size) return []
    const partial = !this.#isLive(file)
    const lines: FileLine[] = []
    for await (const line of readLines(file, { from, partial })) {
      next.set(file.path, line.end)
      lines.push(line)
    }
    return lines
  }

  #isLive(file: LogFile): boolean {
    return this.#recorders.has(file.instance)
  }

  #asLogLine({ file, at, text }: FileLine): LogLine {
    const { slot, instance, stream } = file
    return { at, peer: this.#options.peer, slot, instance, stream, text }
  }

  /** Growth of any file as something to wait for: `wait` resolves false once the signal is aborted. */
  #growth(signal: AbortSignal): { readonly wait: () => Promise<boolean>; readonly stop: () => void } {
    let grown = false
    let wake: () => void = () => undefined
    const notice = (): void => {
      grown = true
      wake()
    }
    this.#listeners.add(notice)
    signal.addEventListener('abort', notice)
    return {
      wait: async () => {
        if (!grown && !signal.aborted) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
        grown = false
        return !signal.aborted
      },
      stop: () => {
        this.#listeners.delete(notice)
        signal.removeEventListener('abort', notice)
      },
    }
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }

  #dropLater(delayMs: number): void {
    const { folder, clock } = this.#options
    this.#cancel = clock.after(delayMs, () => {
      dropOldOutput(folder, new Set(this.#recorders.keys()), clock.wall())
      this.#dropLater(DROP_EVERY_MS)
    })
  }
}

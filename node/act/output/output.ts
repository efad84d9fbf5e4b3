// Output of this peer's own instances, present and gone: the sink that the driver points programs at, its retention, and the
// way to the readers behind `tutti logs`. A full disk is said once in the peer's log and harms nothing else. Deliberately
// absent: other peers' output, which the face asks them for, and any parsing of what programs print.

import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { InstanceId } from '../../../lib/ids.ts'
import type { Log } from '../../../lib/log.ts'
import type { Clock } from '../../../lib/time.ts'
import type { LogLine, LogLive, LogQuery, Output } from '../../ports.ts'
import { dropOldOutput, logFileOf, STREAMS, type LogFile } from './log-files.ts'
import { mergedLines, Reading, type Contents, type Growth } from './reading.ts'
import { stampsOf } from './reader.ts'
import { Recorder } from './recorder.ts'

/** What the output store is built from. */
export interface OutputStoreOptions {
  /** Absolute; its own. */
  readonly folder: string
  /** This peer's name, for the lines. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Log
  /** Of one stream's contents; see recorder.ts. */
  readonly bounds?: { readonly keepBytes: number; readonly contentBytesMax: number } | undefined
}

// Retention counts days and instances; an hour late is nothing to it.
const DROP_EVERY_MS = 3_600_000
// Not before running instances were adopted, until then they look gone; and once for all that end within a minute.
const DROP_SOON_MS = 60_000
// A full disk fails every look at every busy file; a line a minute says it.
const COMPLAIN_EVERY_MS = 60_000

/** Keeps, bounds and reads output. Implements the port `Output` and the driver's `OutputSink`. */
export class OutputStore implements Output {
  readonly #options: OutputStoreOptions
  readonly #recorders = new Map<InstanceId, readonly Recorder[]>()
  readonly #listeners = new Set<() => void>()
  #cancel: () => void = () => undefined
  #dropsSoon = false
  #complainedMs = -Infinity

  constructor(options: OutputStoreOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
    this.#dropLater(DROP_SOON_MS)
  }

  folderOf(instance: InstanceId): string {
    return dirname(logFileOf(this.#options.folder, instance, 'stdout').path)
  }

  /**
   * The files that an instance's output is appended to; watched from when they exist until `end`. `isRunning`: its process
   * lives already. Where it does not yet, and never has, the launch makes the files, off this thread.
   */
  begin(
    instance: InstanceId,
    process: { readonly isRunning: boolean } = { isRunning: true },
  ): { readonly stdout: string; readonly stderr: string } {
    const { folder, clock, bounds } = this.#options
    const [stdout, stderr] = [logFileOf(folder, instance, 'stdout'), logFileOf(folder, instance, 'stderr')]
    const isFirst = !process.isRunning && !existsSync(stdout.path) && !existsSync(stderr.path)
    this.#makeFolder(dirname(stdout.path))
    if (!this.#recorders.has(instance) && !isFirst) {
      const grown = (): void => this.#notify()
      const failed = (error: unknown): void => this.#complain(error)
      const recorders = [stdout, stderr].map(
        ({ path }) => new Recorder({ path, clock, bounds, grown, failed }),
      )
      this.#recorders.set(instance, recorders)
      // The run before it may have ended while no peer was there to see it.
      if (!process.isRunning) for (const recorder of recorders) recorder.separate()
      this.#notify()
    }
    return { stdout: stdout.path, stderr: stderr.path }
  }

  #makeFolder(path: string): void {
    if (existsSync(path)) return
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 })
    } catch (error) {
      this.#complain(error)
    }
  }

  /** Nothing more comes from an instance until it begins again. */
  end(instance: InstanceId): void {
    const recorders = this.#recorders.get(instance) ?? []
    for (const recorder of recorders) {
      recorder.separate()
      recorder.markEnd()
      void recorder.close()
    }
    this.#recorders.delete(instance)
    if (recorders.length > 0 && !this.#dropsSoon) this.#dropLater(DROP_SOON_MS)
    this.#notify()
  }

  /** Lets go of all files; what programs write is stamped when the next peer looks. */
  async close(): Promise<void> {
    this.#cancel()
    const recorders = [...this.#recorders.values()].flat()
    this.#recorders.clear()
    for (const recorder of recorders) await recorder.close()
  }

  async *read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine | LogLive> {
    // Listening begins before the first look, so that nothing falls between the two.
    const growth = this.#growth(signal)
    try {
      for (const recorders of this.#recorders.values()) for (const recorder of recorders) recorder.look()
      const { folder, peer, clock } = this.#options
      const contents = this.#contents()
      yield* new Reading({ folder, peer, clock, contents, query, growth, signal }).lines()
    } finally {
      growth.stop()
    }
  }

  /** The last lines of one instance, both streams together: evidence when it crashed. */
  async lastLines(instance: InstanceId, count: number): Promise<readonly string[]> {
    const files = STREAMS.map((stream) => logFileOf(this.#options.folder, instance, stream))
    const texts: string[] = []
    const query = { of: '', tail: count }
    for await (const { text } of mergedLines(files, query, this.#contents(), new Map())) texts.push(text)
    return texts
  }

  #contents(): Contents {
    return {
      isLive: ({ instance }) => this.#recorders.has(instance),
      floorOf: (file) => this.#recorderOf(file)?.floor ?? stampsOf(file).floor,
    }
  }

  #recorderOf({ instance, stream }: LogFile): Recorder | undefined {
    return this.#recorders.get(instance)?.[STREAMS.indexOf(stream)]
  }

  /** Growth of any file as something to wait for: `wait` resolves false once the signal is aborted. */
  #growth(signal: AbortSignal): Growth & { readonly stop: () => void } {
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

  #complain(error: unknown): void {
    const { clock, log } = this.#options
    const nowMs = clock.now()
    if (nowMs - this.#complainedMs < COMPLAIN_EVERY_MS) return
    this.#complainedMs = nowMs
    log.log(
      'error',
      "output of instances cannot be recorded for now; make room on the data directory's disk",
      {
        error,
      },
    )
  }

  #dropLater(delayMs: number): void {
    const { folder, clock } = this.#options
    this.#cancel()
    this.#dropsSoon = delayMs === DROP_SOON_MS
    this.#cancel = clock.after(delayMs, () => {
      try {
        dropOldOutput(folder, new Set(this.#recorders.keys()), clock.wall())
      } catch (error) {
        this.#complain(error)
      }
      this.#dropLater(DROP_EVERY_MS)
    })
  }
}

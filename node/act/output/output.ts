// Output of this peer's own instances, present and gone: the sink that the driver points programs at, its retention, and the
// way to the readers behind `tutti logs`. A full disk is said once in the peer's log and harms nothing else. Deliberately
// absent: other peers' output, which the face asks them for, and any parsing of what programs print.

import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { InstanceId } from '../../../lib/ids.ts'
import type { Log } from '../../../lib/log.ts'
import type { Clock } from '../../../lib/time.ts'
import type { LogLine, LogLive, LogQuery, Output } from '../../ports.ts'
import { Lull } from './lull.ts'
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
  /** Whose files the launch makes. */
  readonly #launching = new Set<InstanceId>()
  /** Whose launch has made them: until they are watched, the files' own times will do. */
  readonly #started: Lull<InstanceId>
  readonly #listeners = new Set<() => void>()
  #cancel: () => void = () => undefined
  #dropsSoon = false
  #complainedMs = -Infinity

  constructor(options: OutputStoreOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
    this.#started = new Lull(options.clock, (instance) => {
      this.#record(instance)
    })
    this.#dropLater(DROP_SOON_MS)
  }

  folderOf(instance: InstanceId): string {
    return dirname(logFileOf(this.#options.folder, instance, 'stdout').path)
  }

  /**
   * The files that an instance's output is appended to; watched until `end`, from soon after its process lives. `isRunning`:
   * it does already. Where it does not yet, and never has, the launch makes the files, off this thread.
   */
  begin(
    instance: InstanceId,
    process: { readonly isRunning: boolean } = { isRunning: true },
  ): { readonly stdout: string; readonly stderr: string } {
    const { stdout, stderr } = this.#pathsOf(instance)
    if (this.#isLive(instance)) return { stdout, stderr }
    if (process.isRunning) {
      if (this.#launching.delete(instance)) this.#started.add(instance)
      else this.#record(instance)
      return { stdout, stderr }
    }
    this.#makeFolder(dirname(stdout))
    // The run before it may have ended while no peer was there to see it.
    if (existsSync(stdout) || existsSync(stderr))
      for (const recorder of this.#record(instance)) recorder.separate()
    else this.#launching.add(instance)
    return { stdout, stderr }
  }

  #pathsOf(instance: InstanceId): { readonly stdout: string; readonly stderr: string } {
    const { folder } = this.#options
    const [stdout, stderr] = [logFileOf(folder, instance, 'stdout'), logFileOf(folder, instance, 'stderr')]
    return { stdout: stdout.path, stderr: stderr.path }
  }

  #isLive(instance: InstanceId): boolean {
    return this.#recorders.has(instance) || this.#started.waiting.has(instance)
  }

  #record(instance: InstanceId): readonly Recorder[] {
    const { clock, bounds } = this.#options
    const { stdout, stderr } = this.#pathsOf(instance)
    this.#makeFolder(dirname(stdout))
    const grown = (): void => this.#notify()
    const failed = (error: unknown): void => this.#complain(error)
    const recorders = [stdout, stderr].map((path) => new Recorder({ path, clock, bounds, grown, failed }))
    this.#recorders.set(instance, recorders)
    this.#notify()
    return recorders
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
    this.#launching.delete(instance)
    this.#started.hurry(instance)
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
    this.#started.stop()
    const recorders = [...this.#recorders.values()].flat()
    this.#recorders.clear()
    for (const recorder of recorders) await recorder.close()
  }

  async *read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine | LogLive> {
    // Listening begins before the first look, so that nothing falls between the two.
    const growth = this.#growth(signal)
    try {
      this.#started.hurryAll()
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
      isLive: ({ instance }) => this.#isLive(instance),
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
        dropOldOutput(folder, new Set([...this.#recorders.keys(), ...this.#started.waiting]), clock.wall())
      } catch (error) {
        this.#complain(error)
      }
      this.#dropLater(DROP_EVERY_MS)
    })
  }
}

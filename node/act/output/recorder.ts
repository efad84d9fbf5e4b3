// The recorder of one output file: notes when it grows and keeps it within its bound. It sleeps in the kernel until
// the file is written to; a busy file is looked at ten times a second, however often it is written, and what is in it is
// never read for that. A full disk stops the notes, not the peer: what could not be noted is noted at a later look.

import { execFile } from 'node:child_process'
import { closeSync, openSync, statSync, truncateSync, utimesSync, watch, type FSWatcher } from 'node:fs'
import type { Clock } from '../../../lib/time.ts'
import { stampsPathOf } from './log-files.ts'
import { endLastLine, lineStartNear } from './line-ends.ts'
import { appendStamp, readStamps, replaceStamps } from './stamps.ts'

/** Between two looks at a busy file: people tell a tenth of a second apart, and ten stats a second cost nothing. */
export const LOOK_MS = 100
/** Contents of one stream of one instance: what remains after a cut, and when the next cut is due. */
export const KEEP_BYTES = 4 * 1024 * 1024
export const CONTENT_BYTES_MAX = 8 * 1024 * 1024
// Holes are made of whole blocks.
const BLOCK_BYTES = 4096
// A hole may fail for a moment (no memory for one more process). Beyond this many times the bound, everything is dropped.
const OVERRUN_MAX = 8

export interface RecorderOptions {
  readonly path: string
  readonly clock: Clock
  /** The file grew, or was cut. */
  readonly grown: () => void
  /** What grew could not be noted; it will be tried again. */
  readonly failed: (error: unknown) => void
  /** @default KEEP_BYTES and CONTENT_BYTES_MAX; smaller in tests. */
  readonly bounds?: { readonly keepBytes: number; readonly contentBytesMax: number } | undefined
}

/** Watches one file from construction to `close`. Throws nothing. */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #stampsPath: string
  readonly #keepBytes: number
  readonly #contentBytesMax: number
  /** Up to here everything is stamped. */
  #stampedBytes = 0
  /** Contents before it are gone; a line begins there. */
  #floor = 0
  /** The floor is to be written down once there is room for it. */
  #floorUnwritten = false
  /** The last stamp may be incomplete: after a start, and after a failure. */
  #torn = true
  #count = 0
  #watcher: FSWatcher | null = null
  #cancel: () => void = () => undefined
  #cutting: Promise<void> | null = null
  #closed = false

  constructor(options: RecorderOptions) {
    this.#options = options
    this.#keepBytes = options.bounds?.keepBytes ?? KEEP_BYTES
    this.#contentBytesMax = options.bounds?.contentBytesMax ?? CONTENT_BYTES_MAX
    this.#stampsPath = stampsPathOf(options.path)
    try {
      const size = statSync(options.path, { throwIfNoEntry: false })?.size
      // It exists before the program writes to it, so that it can be watched.
      if (size === undefined) closeSync(openSync(options.path, 'a', 0o600))
      // An empty file has nothing to stamp: hundreds of quiet programs start with as many files less.
      if (size !== undefined && size > 0) this.#resume()
    } catch (error) {
      options.failed(error)
    }
    this.#sleep()
  }

  get floor(): number {
    return this.#floor
  }

  /** Stamps what is new. True: something was. */
  look(): boolean {
    try {
      return this.#look()
    } catch (error) {
      this.#torn = true
      this.#options.failed(error)
      return false
    }
  }

  /** Nothing writes to the file now: a last line without a line break is given one, so that no later run continues it. */
  separate(): void {
    try {
      endLastLine(this.#options.path, this.#floor)
    } catch (error) {
      this.#options.failed(error)
    }
    this.look()
  }

  /** The program has ended: retention counts from now on, however long ago it wrote something. */
  markEnd(): void {
    try {
      const now = new Date(this.#options.clock.wall())
      utimesSync(this.#count === 0 ? this.#options.path : this.#stampsPath, now, now)
    } catch (error) {
      this.#options.failed(error)
    }
  }

  /** A last look, then nothing more. Resolves when a cut under way is done. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.look()
    this.#closed = true
    this.#watcher?.close()
    this.#cancel()
    await this.#cutting
  }

  /** Goes on with the stamps that are there. */
  #resume(): void {
    const stamps = readStamps(this.#stampsPath)
    this.#count = stamps.length
    this.#floor = stamps[0]?.end ?? 0
    this.#stampedBytes = stamps.at(-1)?.end ?? 0
    if (stamps.length === 0) this.#beginAt(0)
  }

  #look(): boolean {
    const { path, grown } = this.#options
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return false
    if (this.#floorUnwritten) this.#writeFloor()
    // The program, or a person, emptied it.
    if (stat.size < this.#stampedBytes) this.#beginAt(0)
    if (stat.size <= this.#stampedBytes) return false
    // The first stamp says where contents begin; it could not be written so far.
    if (this.#count === 0) this.#beginAt(this.#floor)
    // Before the stamp: on a full disk this makes the room that the stamp below needs.
    this.#bound(stat.size)
    // The last write's own time: right also for what was written while no peer was there to see it.
    const at = Math.round(stat.mtimeMs)
    this.#count = appendStamp(this.#stampsPath, { end: stat.size, at }, this.#count, this.#torn)
    this.#torn = false
    this.#stampedBytes = stat.size
    grown()
    return true
  }

  #sleep(): void {
    if (this.#closed) return
    try {
      this.#watcher = watch(this.#options.path, { persistent: false }, () => {
        this.#wake()
      })
      this.#watcher.on('error', () => {
        this.#wake()
      })
    } catch {
      // No watches left (fs.inotify.max_user_watches): looking ten times a second does.
      this.#later()
      return
    }
    // Written between the last look and the watch.
    if (this.look()) this.#wake()
  }

  #wake(): void {
    // One event is enough: until the file is quiet again it is looked at by time.
    this.#watcher?.close()
    this.#watcher = null
    if (this.#closed) return
    this.look()
    this.#later()
  }

  #later(): void {
    this.#cancel()
    this.#cancel = this.#options.clock.after(LOOK_MS, () => {
      if (this.look()) this.#later()
      else this.#sleep()
    })
  }

  /** Drops the oldest contents once there is too much: a hole where the file system can, else all of it. */
  #bound(size: number): void {
    if (size - this.#floor <= this.#contentBytesMax || this.#cutting !== null) return
    const { path } = this.#options
    const end = Math.floor((size - this.#keepBytes) / BLOCK_BYTES) * BLOCK_BYTES
    if (end <= this.#floor) return
    // The floor rises first: whoever reads asks for it after each read, and so never takes the hole for contents.
    this.#floor = lineStartNear(path, end)
    this.#floorUnwritten = true
    try {
      this.#writeFloor()
    } catch (error) {
      this.#options.failed(error)
    }
    this.#cutting = new Promise<void>((resolve) => {
      // Node.js has no fallocate(2). Offsets stay as they are, so nothing that reads or appends notices.
      execFile('fallocate', ['-p', '-o', '0', '-l', String(end), path], (error, _stdout, stderr) => {
        this.#cutting = null
        if (error !== null) this.#cutFailed(error, stderr, size)
        this.#options.grown()
        resolve()
      })
    })
  }

  #cutFailed(error: Error, stderr: string, size: number): void {
    const cannot = ('code' in error && error.code === 'ENOENT') || /not supported/i.test(stderr)
    if (!cannot && size < OVERRUN_MAX * this.#contentBytesMax) return
    try {
      truncateSync(this.#options.path, 0)
    } catch (failure) {
      this.#options.failed(failure)
    }
  }

  #beginAt(floor: number): void {
    replaceStamps(this.#stampsPath, [{ end: floor, at: Math.round(this.#options.clock.wall()) }])
    this.#stampedBytes = floor
    this.#floor = floor
    this.#floorUnwritten = false
    this.#count = 1
  }

  #writeFloor(): void {
    const rest = readStamps(this.#stampsPath).filter((stamp) => stamp.end > this.#floor)
    replaceStamps(this.#stampsPath, [{ end: this.#floor, at: rest[0]?.at ?? 0 }, ...rest])
    this.#floorUnwritten = false
    this.#stampedBytes = Math.max(this.#stampedBytes, this.#floor)
    this.#count = rest.length + 1
  }
}

// The recorder of one output file: notes when it grows and keeps it within its bound. It sleeps in the kernel until
// the file is written to; a busy file is looked at ten times a second, however often it is written.

import { execFile } from 'node:child_process'
import { closeSync, openSync, statSync, truncateSync, watch, type FSWatcher } from 'node:fs'
import type { Clock } from '../../../lib/time.ts'
import { stampsPathOf } from './log-files.ts'
import { appendStamp, readStamps, replaceStamps } from './stamps.ts'

// Between two looks at a busy file: people tell a tenth of a second apart, and ten stats a second cost nothing.
const LOOK_MS = 100
/** Contents of one stream of one instance: what remains after a cut, and when the next cut is due. */
export const KEEP_BYTES = 4 * 1024 * 1024
export const CONTENT_BYTES_MAX = 8 * 1024 * 1024
// Holes are made of whole blocks.
const BLOCK_BYTES = 4096

export interface RecorderOptions {
  readonly path: string
  readonly clock: Clock
  /** The file grew, or was cut. */
  readonly grown: () => void
  /** @default KEEP_BYTES and CONTENT_BYTES_MAX; smaller in tests. */
  readonly bounds?: { readonly keepBytes: number; readonly contentBytesMax: number } | undefined
}

/** Watches one file from construction to `close`. */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #stampsPath: string
  readonly #keepBytes: number
  readonly #contentBytesMax: number
  /** Up to here everything is stamped. */
  #stampedBytes = 0
  /** Contents before it are gone. */
  #floor = 0
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
    // The program appends to it from its first moment on; it exists before, so that it can be watched.
    closeSync(openSync(options.path, 'a', 0o600))
    const stamps = readStamps(this.#stampsPath)
    this.#count = stamps.length
    this.#floor = stamps[0]?.end ?? 0
    this.#stampedBytes = stamps.at(-1)?.end ?? 0
    if (stamps.length === 0) this.#beginAt(0)
    this.look()
    this.#sleep()
  }

  /** Stamps what is new. True: something was. */
  look(): boolean {
    const { path, grown } = this.#options
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return false
    // The program, or a person, emptied it.
    if (stat.size < this.#stampedBytes) this.#beginAt(0)
    if (stat.size <= this.#stampedBytes) return false
    // The last write's own time: right also for what was written while no peer was there to see it.
    const at = Math.round(stat.mtimeMs)
    this.#count = appendStamp(this.#stampsPath, { end: stat.size, at }, this.#count)
    this.#stampedBytes = stat.size
    this.#bound(stat.size)
    grown()
    return true
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
    const floor = Math.floor((size - this.#keepBytes) / BLOCK_BYTES) * BLOCK_BYTES
    if (floor <= this.#floor) return
    const { path } = this.#options
    this.#cutting = new Promise<void>((resolve) => {
      // Node.js has no fallocate(2). Offsets stay as they are, so nothing that reads or appends notices.
      execFile('fallocate', ['-p', '-o', '0', '-l', String(floor), path], (error) => {
        this.#cutting = null
        if (error === null) this.#raiseFloor(floor)
        else truncateSync(path, 0)
        this.#options.grown()
        resolve()
      })
    })
  }

  #beginAt(floor: number): void {
    replaceStamps(this.#stampsPath, [{ end: floor, at: Math.round(this.#options.clock.wall()) }])
    this.#stampedBytes = floor
    this.#floor = floor
    this.#count = 1
  }

  #raiseFloor(floor: number): void {
    const rest = readStamps(this.#stampsPath).filter((stamp) => stamp.end > floor)
    replaceStamps(this.#stampsPath, [{ end: floor, at: rest[0]?.at ?? 0 }, ...rest])
    this.#floor = floor
    this.#count = rest.length + 1
  }
}

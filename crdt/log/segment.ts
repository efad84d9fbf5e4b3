// One log segment that is open for appending: writes a group, syncs it, and undoes it when either fails, so that a
// refused group counts neither now nor after a restart. It orders nothing; store.ts calls it one group at a time.
//
// After a failed fdatasync the page cache lies: Linux marks the pages that could not be written clean, so they read back
// well, and the next fdatasync succeeds without writing them (Rebello et al., Can Applications Recover from fsync
// Failures?, USENIX ATC 2020). Hence no group is ever synced again. The file is opened anew, cut back to the length that a
// successful sync has vouched for, and the block astride that length is written again, as it is the only page that both
// the failed group and what was acknowledged share. Where even that fails the segment takes no more writes; every later
// append first tries the repair once more, so that it opens again by itself when the disk is well.

import { concatBytes } from '../../lib/bytes.ts'
import { TuttiError, messageOf } from '../../lib/errors.ts'
import type { Frame } from '../store.ts'
import { storageError, systemCodeOf, type Files, type OpenFile } from './files.ts'
import { encodeFrames, encodeHeader, FILE_HEADER_BYTES } from './format.ts'
import { draftNameOf, fileNameOf } from './names.ts'

/** The largest block that file systems in use write as one page: 64 KiB on some arm64 kernels. */
const BLOCK_BYTES = 64 * 1024

const records = (count: number): string => (count === 1 ? '1 record' : `${count} records`)

export class Segment {
  readonly number: number
  readonly #files: Files
  #file: OpenFile
  /** Everything below this offset has been synced. */
  #durable: number
  /** What failed and has not been undone. */
  #unsound: 'write' | 'sync' | null = null

  private constructor(files: Files, number: number, file: OpenFile, durable: number) {
    this.#files = files
    this.number = number
    this.#file = file
    this.#durable = durable
  }

  /** Begins a segment that holds `frames`; durable, its name included, when it resolves. */
  static async create(files: Files, number: number, frames: readonly Frame[]): Promise<Segment> {
    const name = fileNameOf('log', number)
    const draft = draftNameOf(name)
    const file = await files.open(draft, 'fresh')
    try {
      const header = encodeHeader('L')
      const group = encodeFrames(frames, header.length)
      await file.write(concatBytes([header, group]), 0)
      await file.sync('all')
      await files.rename(draft, name)
      await files.syncDirectory()
      return new Segment(files, number, file, header.length + group.length)
    } catch (cause) {
      await file.close().catch(ignored)
      await files.remove(draft).catch(ignored)
      await files.remove(name).catch(ignored)
      throw cause
    }
  }

  /** Goes on in a segment behind its last valid frame; whatever follows is cut off first. */
  static async resume(files: Files, number: number, end: number): Promise<Segment> {
    const file = await files.open(fileNameOf('log', number), 'existing')
    await file.truncate(end)
    // Also when nothing was cut: what was read may have been in the page cache only, if the peer was killed between
    // write and sync. It counts from now on, so it has to be durable from now on.
    await file.sync('all')
    return new Segment(files, number, file, end)
  }

  /** Bytes of the frames in it. */
  get bytes(): number {
    return this.#durable - FILE_HEADER_BYTES
  }

  /**
   * Makes one group durable.
   * @throws TuttiError `storage`; then none of the frames count. `too-large`: then nothing was tried.
   */
  async append(frames: readonly Frame[]): Promise<void> {
    await this.mend()
    const group = encodeFrames(frames, this.#durable)
    let step: 'write' | 'sync' = 'write'
    try {
      await this.#file.write(group, this.#durable)
      step = 'sync'
      await this.#file.sync('bytes')
    } catch (cause) {
      this.#unsound = step
      // Its failure is the next append's to tell; this group's sentence is the first cause.
      await this.mend().catch(ignored)
      throw storageError(cause, `${records(frames.length)} could not be written to ${this.#files.where}`)
    }
    this.#durable += group.length
  }

  async close(): Promise<void> {
    await this.mend().catch(ignored)
    await this.#file.close()
  }

  /** Undoes what failed before; nothing to do on a sound segment. @throws TuttiError `storage` when that fails, too. */
  async mend(): Promise<void> {
    if (this.#unsound === null) return
    const name = fileNameOf('log', this.number)
    try {
      await this.#file.close().catch(ignored)
      this.#file = await this.#files.open(name, 'existing')
      await this.#file.truncate(this.#durable)
      if (this.#unsound === 'sync') await this.#rewriteLastBlock(name)
      await this.#file.sync('all')
      this.#unsound = null
    } catch (cause) {
      const code = systemCodeOf(cause)
      throw new TuttiError(
        'storage',
        `${name} in ${this.#files.where} is closed to writing, since a failed write could not be undone ` +
          `(${code === '' ? messageOf(cause) : code}); check the disk and try again`,
        { cause },
      )
    }
  }

  async #rewriteLastBlock(name: string): Promise<void> {
    const from = this.#durable - (this.#durable % BLOCK_BYTES)
    const whole = await this.#files.read(name)
    if (whole !== null) await this.#file.write(whole.subarray(from, this.#durable), from)
  }
}

const ignored = (): void => undefined

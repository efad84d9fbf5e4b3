// The store: a log of numbered segments with grouped fdatasync, and verified snapshots of which two are kept. Pure over
// the Files port, so that simulations crash the very code that production runs. It decides when files are written and
// dropped; what bytes they hold is format.ts, what they mean after a crash recovery.ts.
//
// - One writer loop. A group is written only when the one before it is durable or undone; whatever is appended meanwhile
//   forms the next group (group commit, Gray & Reuter, Transaction Processing, §9.3).
// - A snapshot first turns to a new segment N: what was appended before the call is in segments below N and in the
//   snapshot. The group under way at the call and the one before it are written again to N: the caller cannot have put
//   the first into its snapshot, nor the second if its own reaction to the append still stands in the queue of
//   microtasks. Records are idempotent, so one may be read twice, never too seldom.
// - Snapshot: draft, fsync, read back and decoded, renamed, directory synced. Only then are the snapshots before the
//   previous one, and the segments before it, removed: a newest snapshot that is damaged later loses nothing.

import { assert } from '../../lib/assert.ts'
import { sameBytes } from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'
import type { Frame, Loaded, Snapshot, Store } from '../store.ts'
import { storageError, type Files } from './files.ts'
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES } from './format.ts'
import { draftNameOf, fileNameOf, storeFileOf } from './names.ts'
import { recover } from './recovery.ts'
import { Segment } from './segment.ts'
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts'

/** One write: bounds its latency and the loss when a group fails. A record larger than this forms a group alone. */
const GROUP_BYTES_MAX = 4 * 1024 * 1024
/** Waiting for a disk that is slower than the cluster talks. Beyond it appends are refused, so that memory is bounded. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024

interface Append {
  readonly frames: readonly Frame[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Group {
  readonly appends: readonly Append[]
  readonly frames: readonly Frame[]
  durable: boolean
}

/** A turn to a new segment, asked for by a snapshot. */
interface Turn {
  /** The last two groups that had been begun when the snapshot was asked for; the last may still be under way. */
  readonly latest: readonly Group[]
  readonly resolve: (turned: Turned) => void
  readonly reject: (error: unknown) => void
}

interface Turned {
  readonly number: number
  /** `#written` when the new segment began. */
  readonly written: number
}

export class LogStore implements Store {
  readonly #files: Files
  #segment: Segment | null = null
  /** The newest snapshot that is known to be good. */
  #base: number | null = null
  /** Bytes of frames made durable or loaded, and how many of them the newest snapshot covers. */
  #written = 0
  #covered = 0
  #waiting: Append[] = []
  #waitingBytes = 0
  /** The last two groups begun, the older first. */
  #latest: readonly Group[] = []
  readonly #turns: Turn[] = []
  #writing: Promise<void> | null = null
  #snapshots: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(files: Files) {
    this.#files = files
  }

  /** Reads what is there. Once, and before anything else. @throws TuttiError `storage`. */
  async load(): Promise<Loaded> {
    assert(this.#segment === null && !this.#closed, 'a store is loaded once')
    const { loaded, segment, base, appendedBytes } = await recover(this.#files)
    this.#segment = segment
    this.#base = base
    this.#written = appendedBytes
    return loaded
  }

  /** @throws TuttiError `storage`; `too-large` or `busy` (too much is waiting for the disk): then nothing was tried. */
  async append(frames: readonly Frame[]): Promise<void> {
    this.#assertOpen()
    if (frames.length === 0) return
    let bytes = 0
    for (const frame of frames) {
      if (frame.bytes.length > FRAME_BYTES_MAX)
        throw new TuttiError(
          'too-large',
          `a record of ${frame.bytes.length} bytes exceeds ${FRAME_BYTES_MAX}`,
        )
      bytes += frame.bytes.length + FRAME_HEADER_BYTES
    }
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX)
      throw new TuttiError('busy', `the disk of ${this.#files.where} is too slow; try again in a moment`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ frames, bytes, resolve, reject })
    this.#waitingBytes += bytes
    this.#wake()
    await promise
  }

  /**
   * Replaces everything whose append has resolved before this call; the snapshot must contain all of that, save for what
   * resolved within this very turn of the event loop. Appends under way stay in the log. @throws TuttiError `storage`; then the snapshot before and the whole log stand.
   */
  async writeSnapshot(snapshot: Snapshot): Promise<void> {
    this.#assertOpen()
    const { promise, resolve, reject } = Promise.withResolvers<Turned>()
    this.#turns.push({ latest: this.#latest, resolve, reject })
    this.#wake()
    const written = this.#snapshots.then(async () => this.#write(await promise, snapshot))
    this.#snapshots = written.catch(ignored)
    // The turn may fail while an earlier snapshot is being written: that is not unhandled, `written` will tell.
    promise.catch(ignored)
    await written
  }

  get appendedBytes(): number {
    return this.#written - this.#covered
  }

  /** Finishes what was asked for, then lets go of the files. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#snapshots
    await this.#writing
    await this.#segment?.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new TuttiError('not-ready', 'the store is closed, since the peer is stopping')
    assert(this.#segment !== null, 'a store is loaded before it is written')
  }

  #wake(): void {
    this.#writing ??= this.#run()
  }

  async #run(): Promise<void> {
    // Calls of one turn of the event loop share the first group.
    await Promise.resolve()
    for (;;) {
      const turn = this.#turns.shift()
      if (turn !== undefined) await this.#turnTo(turn)
      else if (this.#waiting.length > 0) await this.#commit(this.#takeGroup())
      else break
    }
    this.#writing = null
  }

  #takeGroup(): Group {
    let bytes = 0
    let count = 0
    for (const append of this.#waiting) {
      if (count > 0 && bytes + append.bytes > GROUP_BYTES_MAX) break
      bytes += append.bytes
      count += 1
    }
    const appends = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    this.#waitingBytes -= bytes
    return { appends, frames: appends.flatMap(({ frames }) => frames), durable: false }
  }

  async #commit(group: Group): Promise<void> {
    const segment = this.#open()
    this.#latest = [...this.#latest.slice(-1), group]
    try {
      const before = segment.bytes
      await segment.append(group.frames)
      this.#written += segment.bytes - before
      group.durable = true
      for (const { resolve } of group.appends) resolve()
    } catch (error) {
      for (const { reject } of group.appends) reject(error)
    }
  }

  async #turnTo(turn: Turn): Promise<void> {
    const segment = this.#open()
    try {
      // A refused group must not stay in a log that nobody will write, and mend, again.
      await segment.mend()
      const carried = turn.latest.flatMap((group) => (group.durable ? group.frames : []))
      const next = await Segment.create(this.#files, segment.number + 1, carried)
      // What was carried does not count as appended since: it must not bring the next snapshot nearer.
      const written = this.#written
      this.#segment = next
      await segment.close().catch(ignored)
      turn.resolve({ number: next.number, written })
    } catch (cause) {
      turn.reject(storageError(cause, `a new log could not be begun in ${this.#files.where}`))
    }
  }

  #open(): Segment {
    assert(this.#segment !== null, 'a store is loaded before it is written')
    return this.#segment
  }

  async #write({ number, written }: Turned, snapshot: Snapshot): Promise<void> {
    const name = fileNameOf('snapshot', number)
    const draft = draftNameOf(name)
    try {
      await this.#writeDraft(draft, snapshot)
      await this.#files.rename(draft, name)
      await this.#files.syncDirectory()
    } catch (cause) {
      await this.#files.remove(draft).catch(ignored)
      throw storageError(cause, `a snapshot could not be written to ${this.#files.where}`)
    }
    const previous = this.#base
    this.#base = number
    this.#covered = written
    // What cannot be removed now is removed after the next snapshot.
    await this.#removeBefore(previous, number).catch(ignored)
  }

  async #writeDraft(draft: string, snapshot: Snapshot): Promise<void> {
    const bytes = encodeSnapshot(snapshot)
    const file = await this.#files.open(draft, 'fresh')
    try {
      await file.write(bytes, 0)
      await file.sync('all')
    } finally {
      await file.close()
    }
    // Catches a short file, an encoder's bug and flipped memory; what the medium itself keeps shows at the next load.
    const readBack = await this.#files.read(draft)
    if (readBack === null || !sameBytes(readBack, bytes) || decodeSnapshot(readBack).kind !== 'snapshot')
      throw new TuttiError(
        'storage',
        `the snapshot in ${this.#files.where} reads back differently than it was written; check the disk and memory`,
      )
  }

  /** Keeps the newest snapshot, the one before it, and the log since that. */
  async #removeBefore(previous: number | null, newest: number): Promise<void> {
    for (const name of await this.#files.list()) {
      const file = storeFileOf(name)
      if (file === null) continue
      const obsolete =
        file.kind === 'snapshot'
          ? file.number < newest && file.number !== previous
          : previous !== null && file.number < previous
      if (obsolete) await this.#files.remove(name)
    }
  }
}

const ignored = (): void => undefined

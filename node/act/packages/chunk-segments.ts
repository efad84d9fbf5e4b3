// Chunks on the disk: in segments of some megabytes each, append-only and numbered (segment-file.ts), and in memory where each
// chunk lies. A start reads the headers; where a chunk was written twice, the later one counts. Every read is verified: what is
// damaged counts as missing. What nobody wants is waste until a sweep drops its segment, after the rest of it was written anew.
// The reading and writing is done in a thread (chunk-work.ts). Knows no packages: whose chunks stay is the store's to say.

import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { assert } from '../../../lib/assert.ts'
import { storageError } from '../../../crdt/log/files.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { ChunkDigest } from '../../../lib/ids.ts'
import { syncDirectory } from '../disk/files.ts'
import type { Chunk } from '../../package/manifest.ts'
import { atOnce } from './at-once.ts'
import { ChunkThread } from './chunk-thread.ts'
import type { ChunkWord } from './chunk-work.ts'
import { Segment } from './segment.ts'
import { HEADER_BYTES, scanSegment, type Piece } from './segment-file.ts'

/** A package of a hundred megabytes is seven files; and as much is synced at its end, at the most, since the others were before. */
export const SEGMENT_BYTES_MAX = 16 * 1024 * 1024
/** More than this part of a segment is waste: a sweep writes the rest of it anew. A quarter less room, three times the writing. */
const WASTE_SHARE = 4
/** Of a file that is put together, in one order: whoever asks the thread for a chunk meanwhile waits no longer than for these. */
const COPIED_BYTES_MAX = 512 * 1024
/**
 * Syncs at once. Node.js has four threads for all files of the peer, and the log's own syncs, which operators wait for, must
 * find one free.
 */
const SYNCS_MAX = 2
/** Chunks looked at together: as many as the thread answers at once. */
const READS_MAX = 8
const NAME = /^[0-9]{8}$/
const DIRECTORY_MODE = 0o700

/** Digests as numbers of 48 bits: a set of them costs a third, and who is taken for another by chance only stays longer. */
export const markOf = (digest: string): number => Number.parseInt(digest.slice(0, 12), 16)

const nextTurn = promisify(setImmediate)

interface Place {
  readonly segment: Segment
  readonly at: number
  readonly bytes: number
  /** Its bytes have been seen since the start: written or read. A scan sees headers, which a loss of power may have spared. */
  isVerified: boolean
}

/** What a sweep finds in a segment. */
interface Contents {
  readonly segment: Segment
  /** Of the whole segment. */
  readonly bytes: number
  liveBytes: number
  readonly live: ChunkDigest[]
}

export class ChunkSegments {
  readonly #folder: string
  readonly #thread = new ChunkThread()
  readonly #places = new Map<ChunkDigest, Place>()
  readonly #segments = new Map<number, Segment>()
  #current: Segment | null = null
  #last = 0
  /** Syncs of segments that are full, before anybody waits for them. */
  #ahead: Promise<void> = Promise.resolve()
  /** The folder's own names may not be on the disk. */
  #isFolderDirty = true

  /** @param folder absolute, and its own. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** What all segments take. */
  get bytes(): number {
    let sum = 0
    for (const { bytes } of this.#segments.values()) sum += bytes
    return sum
  }

  /** Finds what there is. What follows half a record, as a crash leaves it, is waste. */
  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: DIRECTORY_MODE })
    for (const name of (await readdir(this.#folder)).filter((each) => NAME.test(each)).toSorted()) {
      const segment = this.#add(Number(name))
      // Not by the thread, which most peers that start do not need for hours.
      const { found, end, size } = scanSegment(segment.path)
      segment.orderedBytes = segment.bytes = size
      for (const { digest, at, bytes } of found)
        this.#places.set(digest as ChunkDigest, { segment, at, bytes, isVerified: false })
      this.#current = end === size ? segment : null
      await nextTurn()
    }
  }

  has(digest: ChunkDigest, bytes: number): boolean {
    return this.#places.get(digest)?.bytes === bytes
  }

  /** Null: not here, or damaged, and then it is missing from now on. */
  async read(digest: ChunkDigest): Promise<Uint8Array | null> {
    for (;;) {
      const place = this.#places.get(digest)
      if (place === undefined) return null
      let word: ChunkWord
      try {
        word = await this.#thread.perform({ kind: 'read', ...pieceOf(digest, place) })
      } catch (thrown) {
        throw storageError(thrown, `chunk ${digest} could not be read`)
      }
      if (word.kind === 'read') {
        place.isVerified = true
        return word.bytes
      }
      // Else a sweep wrote it somewhere else meanwhile.
      if (this.#places.get(digest) === place) this.#places.delete(digest)
    }
  }

  /** The bytes are given away. Not durable before `sync`. @throws TuttiError `invalid` when the bytes are not of that digest, `storage`. */
  async write(digest: ChunkDigest, bytes: Uint8Array): Promise<void> {
    await this.#write(digest, bytes, this.has(digest, bytes.length))
  }

  async #write(digest: ChunkDigest, bytes: Uint8Array, isHere: boolean): Promise<void> {
    const { length } = bytes
    const segment = this.#segmentFor(isHere ? 0 : HEADER_BYTES + length)
    segment.pending += 1
    let word: ChunkWord
    try {
      word = await this.#thread.perform({ kind: 'write', path: segment.path, digest, bytes, isHere })
    } catch (thrown) {
      if (this.#current === segment) this.#current = null
      throw storageError(thrown, `a chunk could not be written to ${this.#folder}`)
    } finally {
      segment.pending -= 1
    }
    if (word.kind === 'false') throw new TuttiError('invalid', 'a chunk is not what its digest says')
    if (word.kind !== 'written') return
    segment.bytes = Math.max(segment.bytes, word.at + length)
    this.#places.set(digest, { segment, at: word.at, bytes: length, isVerified: true })
  }

  /** Writes chunks one behind the other into a new file. Resolves with one that is missing, or damaged and therefore so. */
  async copy(chunks: readonly Chunk[], target: string, mode: number): Promise<ChunkDigest | null> {
    let offset = 0
    for (const [digests, isLast] of batchesOf(chunks)) {
      const missing = await this.#copyBatch(digests, target, offset, isLast ? mode : null)
      if (missing !== null) return missing
      offset += digests.reduce((sum, [, bytes]) => sum + bytes, 0)
    }
    return null
  }

  async #copyBatch(
    chunks: readonly Chunk[],
    target: string,
    offset: number,
    mode: number | null,
  ): Promise<ChunkDigest | null> {
    for (;;) {
      const pieces: Piece[] = []
      for (const [digest, bytes] of chunks) {
        const place = this.#places.get(digest)
        if (place?.bytes !== bytes) return digest
        pieces.push(pieceOf(digest, place))
      }
      const word = await this.#thread.perform({ kind: 'copy', target, offset, pieces, mode })
      if (word.kind !== 'lacking') return null
      // Missing from now on, unless a sweep wrote it somewhere else meanwhile.
      if ((await this.read(word.digest as ChunkDigest)) === null) return word.digest as ChunkDigest
    }
  }

  /**
   * Those of them that are here when this resolves are whole and on the disk: what an earlier process wrote is read once, since
   * the power may have failed before it was synced. @throws TuttiError `storage`.
   */
  async sync(digests: readonly ChunkDigest[]): Promise<void> {
    const unseen = digests.filter((digest) => this.#places.get(digest)?.isVerified === false)
    await atOnce(READS_MAX, unseen, async (digest) => void (await this.read(digest)))
    const segments = new Set(digests.flatMap((digest) => this.#places.get(digest)?.segment ?? []))
    await atOnce(SYNCS_MAX, [...segments], (segment) => this.#sync(segment))
    if (!this.#isFolderDirty) return
    this.#isFolderDirty = false
    try {
      await syncDirectory(this.#folder)
    } catch (thrown) {
      this.#isFolderDirty = true
      throw storageError(thrown, `chunks could not be made durable in ${this.#folder}`)
    }
  }

  /** Places of those that are not here. */
  missing(chunks: readonly Chunk[]): readonly number[] {
    return [...chunks.entries()].flatMap(([at, [digest, bytes]]) => (this.has(digest, bytes) ? [] : [at]))
  }

  /** Lets go of every chunk whose mark is not in `kept`, and of the segments that they lie in, as far as it is worth it. */
  async sweep(kept: ReadonlySet<number>): Promise<void> {
    const contents = new Map<Segment, Contents>()
    for (const segment of this.#segments.values())
      contents.set(segment, { segment, bytes: segment.bytes, liveBytes: 0, live: [] })
    for (const [digest, { segment, bytes }] of this.#places) {
      const content = contents.get(segment)
      if (content === undefined || !kept.has(markOf(digest))) this.#places.delete(digest)
      else {
        content.live.push(digest)
        content.liveBytes += HEADER_BYTES + bytes
      }
    }
    // What need not be written anew makes room for the rest, on a disk that may have none.
    for (const content of [...contents.values()].toSorted((a, b) => a.liveBytes - b.liveBytes)) {
      const { segment, bytes, liveBytes, live } = content
      // What it got while another was written anew is not among the live: the next sweep looks again.
      if (segment.pending > 0 || segment.bytes !== bytes || bytes === 0) continue
      if ((bytes - liveBytes) * WASTE_SHARE <= bytes) continue
      if (this.#current === segment) this.#current = null
      await this.#move(live)
      await this.#remove(segment)
    }
  }

  /** Durable in other segments when it resolves: packages that are held count on these chunks. */
  async #move(digests: readonly ChunkDigest[]): Promise<void> {
    for (const digest of digests) {
      const bytes = await this.read(digest)
      if (bytes !== null) await this.#write(digest, bytes, false)
    }
    await this.sync(digests)
  }

  async #remove(segment: Segment): Promise<void> {
    await segment.idle()
    await this.#thread.perform({ kind: 'remove', path: segment.path })
    this.#segments.delete(segment.number)
  }

  /** The segment that so many bytes more go to. One that is full is synced, so that less is left to be waited for. */
  #segmentFor(bytes: number): Segment {
    const full = this.#current
    if (full !== null && full.orderedBytes + bytes <= SEGMENT_BYTES_MAX) {
      full.orderedBytes += bytes
      return full
    }
    // One at a time, beside those that are waited for. What fails here is missing from then on.
    if (full !== null) this.#ahead = this.#ahead.then(() => this.#sync(full)).catch(() => undefined)
    const next = this.#add(this.#last + 1)
    next.orderedBytes = bytes
    this.#current = next
    this.#isFolderDirty = true
    return next
  }

  #add(number: number): Segment {
    assert(number > this.#last, 'segments are numbered upwards')
    const segment = new Segment(number, join(this.#folder, String(number).padStart(8, '0')))
    this.#segments.set(number, segment)
    this.#last = number
    return segment
  }

  async #sync(segment: Segment): Promise<void> {
    try {
      await segment.sync()
    } catch (thrown) {
      this.#distrust(segment)
      throw storageError(thrown, `chunks could not be made durable in ${this.#folder}`)
    }
  }

  /**
   * After a sync that failed the system may call the same bytes clean although they are not on the disk: they count as missing
   * and are written anew, elsewhere.
   */
  #distrust(segment: Segment): void {
    if (this.#current === segment) this.#current = null
    for (const [digest, place] of this.#places)
      if (place.segment === segment && place.at >= segment.syncedBytes) this.#places.delete(digest)
  }
}

const pieceOf = (digest: ChunkDigest, { segment, at, bytes }: Place): Piece => ({
  path: segment.path,
  at,
  bytes,
  digest,
})

/** Chunks of one file in orders of some megabytes, and which is the last; an empty file is one empty order. */
function* batchesOf(chunks: readonly Chunk[]): Generator<readonly [readonly Chunk[], boolean]> {
  let batch: Chunk[] = []
  let bytes = 0
  for (const chunk of chunks) {
    if (bytes + chunk[1] > COPIED_BYTES_MAX) {
      yield [batch, false]
      batch = []
      bytes = 0
    }
    batch.push(chunk)
    bytes += chunk[1]
  }
  yield [batch, true]
}

// Chunks on the disk: one file each, named by its digest, in 256 folders. Written to a draft and renamed, so a name stands for
// whole bytes unless the power failed; therefore every read is verified, and what is damaged is removed and counts as missing.
// The reading and writing is done in a thread
// (chunk-work.ts). Knows no packages: whose chunks stay is the store's to say.

import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { storageError, systemCodeOf } from '../../../crdt/log/files.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { ChunkDigest } from '../../../lib/ids.ts'
import { syncDirectory } from '../disk/files.ts'
import { ChunkThread, readIn } from './chunk-thread.ts'
import { DIRECTORY_MODE, type ChunkWord } from './chunk-work.ts'
import { syncDisk } from './sync-disk.ts'

/**
 * Syncs at once. Node.js has four threads for all files of the peer, and the log's own syncs, which operators wait for, must
 * find one free.
 */
const SYNCS_MAX = 2
/** As many files are synced one by one; for more a sync of the whole disk is quicker. */
const SYNCED_ONE_BY_ONE_MAX = 8
/** Looks at once, of microseconds each. */
const LOOKS_MAX = 16

/** Digests as numbers of 48 bits: a set of them costs a third, and who is taken for another by chance only stays longer. */
export const markOf = (digest: string): number => Number.parseInt(digest.slice(0, 12), 16)

export class ChunkFiles {
  readonly #folder: string
  readonly #drafts: string
  readonly #thread = new ChunkThread()
  /** Written since, and maybe not on the disk. */
  readonly #unsynced = new Set<ChunkDigest>()
  #written = 0
  #bytes = 0

  /** @param folder absolute, and its own. */
  constructor(folder: string) {
    this.#folder = folder
    this.#drafts = join(folder, 'drafts')
  }

  /** What all chunks take. */
  get bytes(): number {
    return this.#bytes
  }

  /** Adds up what there is, and drops what a crash left half written. */
  async start(): Promise<void> {
    await rm(this.#drafts, { recursive: true, force: true })
    await mkdir(this.#drafts, { recursive: true, mode: DIRECTORY_MODE })
    this.#bytes = 0
    for await (const { path } of this.#all()) this.#bytes += (await stat(path)).size
  }

  async has(digest: ChunkDigest, bytes: number): Promise<boolean> {
    try {
      return (await stat(this.#pathOf(digest))).size === bytes
    } catch (thrown) {
      if (systemCodeOf(thrown) === 'ENOENT') return false
      throw thrown
    }
  }

  /** Null: not here. What is damaged is removed. */
  async read(digest: ChunkDigest): Promise<Uint8Array | null> {
    const path = this.#pathOf(digest)
    let damaged: number | null = null
    try {
      const word = await this.#thread.perform({ kind: 'read', path, digest })
      const bytes = readIn(word, (length) => (damaged = length))
      if (damaged !== null) await this.#remove(path, damaged)
      return bytes
    } catch (thrown) {
      throw storageError(thrown, `chunk ${digest} could not be read`)
    }
  }

  /** Not durable before `sync`. @throws TuttiError `invalid` when the bytes are not of that digest, `storage`. */
  async write(digest: ChunkDigest, bytes: Uint8Array): Promise<void> {
    this.#written += 1
    const { length } = bytes
    const draft = join(this.#drafts, `${digest}.${this.#written}`)
    let word: ChunkWord
    try {
      word = await this.#thread.perform({ kind: 'write', digest, path: this.#pathOf(digest), draft, bytes })
    } catch (thrown) {
      throw storageError(thrown, `a chunk could not be written to ${this.#folder}`)
    }
    if (word.kind === 'false') throw new TuttiError('invalid', 'a chunk is not what its digest says')
    if (word.kind !== 'written') return
    this.#unsynced.add(digest)
    this.#bytes += length
  }

  /** Those of them that were written since are on the disk when this resolves. @throws TuttiError `storage`. */
  async sync(digests: readonly ChunkDigest[]): Promise<void> {
    const dirty = digests.filter((digest) => this.#unsynced.has(digest))
    try {
      if (dirty.length > SYNCED_ONE_BY_ONE_MAX && (await syncDisk(this.#folder))) {
        for (const digest of dirty) this.#unsynced.delete(digest)
        return
      }
      await atOnce(SYNCS_MAX, dirty, async (digest) => {
        const handle = await open(this.#pathOf(digest), 'r')
        try {
          await handle.datasync()
        } finally {
          await handle.close()
        }
      })
      const folders = [...new Set(dirty.map((digest) => dirname(this.#pathOf(digest))))]
      await atOnce(SYNCS_MAX, folders, syncDirectory)
      if (folders.length > 0) await syncDirectory(this.#folder)
    } catch (thrown) {
      throw storageError(thrown, `chunks could not be made durable in ${this.#folder}`)
    }
    for (const digest of dirty) this.#unsynced.delete(digest)
  }

  /** Places of those that are not here. */
  async missing(chunks: readonly (readonly [ChunkDigest, number])[]): Promise<readonly number[]> {
    const missing: number[] = []
    await atOnce(LOOKS_MAX, [...chunks.entries()], async ([at, [digest, bytes]]) => {
      if (!(await this.has(digest, bytes))) missing.push(at)
    })
    return missing.toSorted((a, b) => a - b)
  }

  /** Removes every chunk whose mark is not in `kept`. */
  async sweep(kept: ReadonlySet<number>): Promise<void> {
    for await (const { name, path } of this.#all()) {
      if (kept.has(markOf(name))) continue
      this.#unsynced.delete(name as ChunkDigest)
      await this.#remove(path, (await stat(path)).size)
    }
  }

  async *#all(): AsyncGenerator<{ readonly name: string; readonly path: string }> {
    for (const folder of (await readdir(this.#folder)).toSorted()) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue
      for (const name of await readdir(join(this.#folder, folder)))
        yield { name, path: join(this.#folder, folder, name) }
    }
  }

  async #remove(path: string, bytes: number): Promise<void> {
    await rm(path, { force: true })
    this.#bytes = Math.max(0, this.#bytes - bytes)
  }

  #pathOf(digest: ChunkDigest): string {
    return join(this.#folder, digest.slice(0, 2), digest)
  }
}

/** Does something for each item, so many at a time. The first failure ends it. */
export const atOnce = async <T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> => {
  const rest = items.values()
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      for (const item of rest) await work(item)
    }),
  )
}

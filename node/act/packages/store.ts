// The package store on a disk, `packages/` in the peer's data directory:
//
//   manifests/<digest>       a package that is here as a whole
//   manifests/<digest>.part  one that is being pushed or fetched; its chunks stay, so it goes on where it was
//   chunks/<8 digits>        segments of chunks, the pieces of files, shared between packages
//   trees/<digest>/          what instances run from
//   uses                     the last packages of each service
//
// A manifest gets its whole name when all its chunks are durable, so the name is the promise. What goes, goes manifest first,
// then the chunks that no manifest names. Decides nothing of what is needed: `keep` says it.

import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { storageError } from '../../../crdt/log/files.ts'
import { textOf, utf8 } from '../../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../../lib/errors.ts'
import { Gate } from '../../../lib/gate.ts'
import type { ChunkDigest, PackageDigest } from '../../../lib/ids.ts'
import type { Log } from '../../../lib/log.ts'
import { sortedEntries } from '../../../lib/order.ts'
import type { Clock } from '../../../lib/time.ts'
import {
  chunksOf,
  decodeManifest,
  digestOfManifest,
  measure,
  type Chunk,
  type Manifest,
} from '../../package/manifest.ts'
import type { Keeping, PackageStore } from '../../package/store.ts'
import { readOptional } from '../disk/files.ts'
import { ChunkSegments, markOf } from './chunk-segments.ts'
import { takeOldChunks } from './old-chunks.ts'
import { removable, roomFault, roomOf, type Room, type Stored } from './space.ts'
import { Trees } from './trees.ts'
import { replaceFile } from '../disk/replace-file.ts'

export interface DiskPackagesOptions {
  /** Absolute: `packages/` in the data directory. */
  readonly folder: string
  /** Null: the default of space.ts. */
  readonly budgetBytes: number | null
  /** The machine's boot id. */
  readonly boot: string
  readonly clock: Pick<Clock, 'wall'>
  readonly log: Log
}

const PART = '.part'
const DIGEST = /^[0-9a-f]{64}$/
const USES_FILE = 'uses'
const NOTHING: Keeping = { needed: new Set(), listed: new Set(), run: new Set() }
const NO_ROOM: Room = { budgetBytes: 0, freeBytes: 0, reserveBytes: 0 }

/** Packages on this machine's disk. Contract: test/contracts/package-store.ts. */
export class DiskPackages implements PackageStore {
  readonly #options: DiskPackagesOptions
  readonly #chunks: ChunkSegments
  readonly #trees: Trees
  /** One after the other: what is swept must not be what is just being taken in. */
  readonly #order = new Gate(1)
  readonly #parts = new Set<PackageDigest>()
  #held: ReadonlySet<PackageDigest> = new Set()
  #keeping: Keeping = NOTHING
  #uses: ReadonlyMap<string, readonly PackageDigest[]> = new Map()
  #room: Room = NO_ROOM

  constructor(options: DiskPackagesOptions) {
    this.#options = options
    this.#chunks = new ChunkSegments(join(options.folder, 'chunks'))
    this.#trees = new Trees({ folder: join(options.folder, 'trees'), boot: options.boot })
  }

  /** Where instances of a package run. */
  directoryOf(digest: PackageDigest): string {
    return this.#trees.directoryOf(digest)
  }

  async start(): Promise<void> {
    const { folder, budgetBytes } = this.#options
    try {
      await mkdir(join(folder, 'manifests'), { recursive: true, mode: 0o700 })
      await this.#chunks.start()
      await this.#takeOldChunks()
      await this.#trees.start()
      for (const name of await readdir(join(folder, 'manifests'))) {
        const digest = name.replace(PART, '') as PackageDigest
        if (!DIGEST.test(digest)) await rm(this.#manifestPath(name))
        else if (name.endsWith(PART)) this.#parts.add(digest)
        else this.#setHeld(digest, true)
      }
      this.#uses = readUses(await readOptional(join(folder, USES_FILE)))
      this.#room = await roomOf(folder, budgetBytes)
      for (const digest of this.#trees.there()) await this.#weigh(digest)
    } catch (thrown) {
      throw storageError(thrown, `packages in ${folder} could not be read`)
    }
  }

  held(): ReadonlySet<PackageDigest> {
    return this.#held
  }

  unpacked(): ReadonlySet<PackageDigest> {
    return this.#trees.there()
  }

  async manifest(digest: PackageDigest): Promise<Manifest | null> {
    const bytes = await this.manifestBytes(digest)
    return bytes === null ? null : decodeManifest(bytes)
  }

  async manifestBytes(digest: PackageDigest): Promise<Uint8Array | null> {
    const names = [digest, `${digest}${PART}`]
    for (const name of names) {
      const bytes = await readOptional(this.#manifestPath(name))
      if (bytes === null) continue
      if (digestOfManifest(bytes) === digest) return bytes
      this.#options.log.log('warn', 'a manifest is damaged and is fetched again', { digest })
      await rm(this.#manifestPath(name), { force: true })
      this.#parts.delete(digest)
      this.#setHeld(digest, false)
    }
    return null
  }

  async begin(bytes: Uint8Array): Promise<PackageDigest> {
    const manifest = decodeManifest(bytes)
    const digest = digestOfManifest(bytes)
    return await this.#order.pass(async () => {
      if (this.#held.has(digest)) return digest
      const missing = this.#chunks.missing(chunksOf(manifest))
      const chunks = chunksOf(manifest)
      const missingBytes = missing.reduce((sum, at) => sum + (chunks[at]?.[1] ?? 0), 0)
      // The chunks that are to come, and the tree that instances run from.
      await this.#makeRoom(missingBytes + measure(manifest).bytes, digest)
      try {
        await replaceFile(this.#manifestPath(`${digest}${PART}`), bytes)
      } catch (thrown) {
        throw storageError(thrown, `a manifest could not be written to ${this.#options.folder}`)
      }
      this.#parts.add(digest)
      return digest
    })
  }

  async missing(chunks: readonly Chunk[]): Promise<readonly number[]> {
    return this.#chunks.missing(chunks)
  }

  async read(chunk: ChunkDigest): Promise<Uint8Array | null> {
    return await this.#chunks.read(chunk)
  }

  async write(chunk: ChunkDigest, bytes: Uint8Array): Promise<void> {
    await this.#chunks.write(chunk, bytes)
  }

  async finish(digest: PackageDigest): Promise<void> {
    if (this.#held.has(digest)) return
    const manifest = await this.manifest(digest)
    if (manifest === null) throw new TuttiError('conflict', 'the package is not known here; push it again')
    const chunks = chunksOf(manifest)
    await this.#chunks.sync(chunks.map(([chunk]) => chunk))
    // After the sync: what could not be synced is missing, too.
    const missing = this.#chunks.missing(chunks)
    if (missing.length > 0)
      throw new TuttiError('conflict', `${missing.length} chunks of the package are missing; push it again`)
    try {
      const bytes = await this.manifestBytes(digest)
      if (bytes !== null) await replaceFile(this.#manifestPath(digest), bytes)
      await rm(this.#manifestPath(`${digest}${PART}`), { force: true })
    } catch (thrown) {
      throw storageError(thrown, `a manifest could not be written to ${this.#options.folder}`)
    }
    this.#parts.delete(digest)
    this.#setHeld(digest, true)
  }

  async lose(digest: PackageDigest): Promise<void> {
    if (!this.#held.has(digest)) return
    this.#setHeld(digest, false)
    this.#parts.add(digest)
    await rename(this.#manifestPath(digest), this.#manifestPath(`${digest}${PART}`))
  }

  async unpack(digest: PackageDigest): Promise<boolean> {
    if (this.#trees.there().has(digest) && (await this.#trees.look(digest))) return true
    const manifest = await this.manifest(digest)
    if (manifest === null) return false
    const missing = await this.#trees.make(digest, manifest, (...file) => this.#chunks.copy(...file))
    if (missing === null) return true
    this.#options.log.log('warn', 'a chunk of a package is damaged or missing and is fetched again', {
      package: digest,
      chunk: missing,
    })
    await this.lose(digest)
    return false
  }

  keep(keeping: Keeping): void {
    this.#keeping = keeping
  }

  async tidy(): Promise<void> {
    await this.#order.pass(async () => {
      const { folder, budgetBytes } = this.#options
      this.#room = await roomOf(folder, budgetBytes)
      for (const digest of this.#trees.there())
        if (!this.#keeping.run.has(digest)) await this.#trees.remove(digest)
      await this.#touch()
      const { old, spare } = removable(await this.#stored(), this.#keeping, this.#options.clock.wall())
      for (const digest of old) await this.#remove(digest)
      if (old.length > 0) await this.#sweep()
      await this.#evict(spare, 0)
    })
  }

  remembered(): ReadonlyMap<string, readonly PackageDigest[]> {
    return this.#uses
  }

  async remember(uses: ReadonlyMap<string, readonly PackageDigest[]>): Promise<void> {
    this.#uses = uses
    const text = JSON.stringify(Object.fromEntries(sortedEntries(uses)))
    try {
      await replaceFile(join(this.#options.folder, USES_FILE), utf8(text))
    } catch (thrown) {
      throw storageError(thrown, `the packages of services could not be written to ${this.#options.folder}`)
    }
  }

  usage(): { readonly bytes: number; readonly budgetBytes: number } {
    return { bytes: this.#chunks.bytes + this.#trees.bytes, budgetBytes: this.#room.budgetBytes }
  }

  async #takeOldChunks(): Promise<void> {
    const { folder, log } = this.#options
    try {
      await takeOldChunks(join(folder, 'chunks'), this.#chunks)
    } catch (thrown) {
      // They stay where they are until the next start; what lacks them is fetched meanwhile.
      log.log('warn', 'chunks of an earlier version could not be taken over', { reason: messageOf(thrown) })
    }
  }

  /** @throws TuttiError `storage` when there is no room, whatever may go. */
  async #makeRoom(bytes: number, incoming: PackageDigest): Promise<void> {
    const { folder, budgetBytes } = this.#options
    this.#room = await roomOf(folder, budgetBytes)
    if (roomFault(this.#room, this.usage().bytes, bytes) === null) return
    const stored = (await this.#stored()).filter(({ digest }) => digest !== incoming)
    const { old, spare } = removable(stored, this.#keeping, this.#options.clock.wall())
    await this.#evict([...old, ...spare], bytes)
    const fault = roomFault(this.#room, this.usage().bytes, bytes)
    if (fault !== null) throw fault
  }

  /** Removes packages, first things first, until so many bytes more have room. */
  async #evict(order: readonly PackageDigest[], bytes: number): Promise<void> {
    for (const digest of order) {
      if (roomFault(this.#room, this.usage().bytes, bytes) === null) return
      this.#options.log.log('info', 'a package is removed to make room', { package: digest })
      await this.#remove(digest)
      await this.#sweep()
      this.#room = await roomOf(this.#options.folder, this.#options.budgetBytes)
    }
  }

  async #remove(digest: PackageDigest): Promise<void> {
    await this.#trees.remove(digest)
    await rm(this.#manifestPath(digest), { force: true })
    await rm(this.#manifestPath(`${digest}${PART}`), { force: true })
    this.#parts.delete(digest)
    this.#setHeld(digest, false)
  }

  /** Removes the chunks that no manifest names. */
  async #sweep(): Promise<void> {
    const kept = new Set<number>()
    for (const digest of [...this.#held, ...this.#parts])
      for (const [chunk] of chunksOf((await this.manifest(digest)) ?? [])) kept.add(markOf(chunk))
    await this.#chunks.sweep(kept)
  }

  async #stored(): Promise<readonly Stored[]> {
    const found: Stored[] = []
    for (const [digests, suffix] of [
      [this.#held, ''],
      [this.#parts, PART],
    ] as const)
      for (const digest of digests) {
        const { mtimeMs } = await stat(this.#manifestPath(`${digest}${suffix}`))
        found.push({ digest, touchedAt: mtimeMs })
      }
    return found
  }

  /** What is needed now is as young as can be: when it is not needed any more, it was needed until lately. */
  async #touch(): Promise<void> {
    const now = new Date(this.#options.clock.wall())
    for (const digest of this.#held)
      if (this.#keeping.needed.has(digest)) await utimes(this.#manifestPath(digest), now, now)
  }

  async #weigh(digest: PackageDigest): Promise<void> {
    const manifest = await this.manifest(digest)
    if (manifest === null) await this.#trees.remove(digest)
    else this.#trees.note(digest, measure(manifest).bytes)
  }

  #setHeld(digest: PackageDigest, isHeld: boolean): void {
    if (this.#held.has(digest) === isHeld) return
    const next = new Set(this.#held)
    if (isHeld) next.add(digest)
    else next.delete(digest)
    this.#held = next
  }

  #manifestPath(name: string): string {
    return join(this.#options.folder, 'manifests', name)
  }
}

/** What cannot be read was written by nobody that matters: the next deploy writes it anew. */
const readUses = (bytes: Uint8Array | null): ReadonlyMap<string, readonly PackageDigest[]> => {
  try {
    const value: unknown = bytes === null ? {} : JSON.parse(textOf(bytes))
    return new Map(Object.entries(value as Readonly<Record<string, readonly PackageDigest[]>>))
  } catch {
    return new Map()
  }
}

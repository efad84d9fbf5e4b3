// The package store of a simulated machine: what a disk would hold, in memory, and it outlives the machine's peer. Chunks can be
// damaged, as on a real disk. There is always room; what is short of it is tested on a real one.

import { TuttiError } from '../lib/errors.ts'
import { sha256Hex } from '../lib/hash.ts'
import type { ChunkDigest, PackageDigest } from '../lib/ids.ts'
import {
  chunksOf,
  decodeManifest,
  digestOfManifest,
  type Chunk,
  type Manifest,
} from '../node/package/manifest.ts'
import type { PackageStore } from '../node/package/store.ts'

export class MemoryPackages implements PackageStore {
  readonly #manifests = new Map<PackageDigest, Uint8Array>()
  readonly #chunks = new Map<ChunkDigest, Uint8Array>()
  #held: ReadonlySet<PackageDigest> = new Set()
  #unpacked: ReadonlySet<PackageDigest> = new Set()
  #uses: ReadonlyMap<string, readonly PackageDigest[]> = new Map()

  async start(): Promise<void> {}

  held(): ReadonlySet<PackageDigest> {
    return this.#held
  }

  unpacked(): ReadonlySet<PackageDigest> {
    return this.#unpacked
  }

  async manifest(digest: PackageDigest): Promise<Manifest | null> {
    const bytes = this.#manifests.get(digest)
    return bytes === undefined ? null : decodeManifest(bytes)
  }

  async manifestBytes(digest: PackageDigest): Promise<Uint8Array | null> {
    return this.#manifests.get(digest) ?? null
  }

  async begin(manifest: Uint8Array): Promise<PackageDigest> {
    decodeManifest(manifest)
    const digest = digestOfManifest(manifest)
    this.#manifests.set(digest, manifest)
    return digest
  }

  async missing(chunks: readonly Chunk[]): Promise<readonly number[]> {
    return [...chunks.keys()].filter((at) => !this.#chunks.has(chunks[at]?.[0] ?? ('' as ChunkDigest)))
  }

  async read(chunk: ChunkDigest): Promise<Uint8Array | null> {
    const bytes = this.#chunks.get(chunk)
    if (bytes === undefined) return null
    if (sha256Hex(bytes) === chunk) return bytes
    this.#chunks.delete(chunk)
    return null
  }

  async write(chunk: ChunkDigest, bytes: Uint8Array): Promise<void> {
    if (sha256Hex(bytes) !== chunk) throw new TuttiError('invalid', 'a chunk is not what its digest says')
    this.#chunks.set(chunk, bytes.slice())
  }

  async finish(digest: PackageDigest): Promise<void> {
    const missing = await this.missing(chunksOf((await this.manifest(digest)) ?? []))
    if (missing.length > 0 || !this.#manifests.has(digest))
      throw new TuttiError('conflict', 'chunks of the package are missing')
    this.#held = new Set([...this.#held, digest])
  }

  async lose(digest: PackageDigest): Promise<void> {
    this.#held = new Set([...this.#held].filter((other) => other !== digest))
  }

  async unpack(digest: PackageDigest): Promise<boolean> {
    for (const [chunk] of chunksOf((await this.manifest(digest)) ?? [])) {
      if ((await this.read(chunk)) !== null) continue
      await this.lose(digest)
      return false
    }
    this.#unpacked = new Set([...this.#unpacked, digest])
    return true
  }

  keep(): void {}

  async tidy(): Promise<void> {}

  remembered(): ReadonlyMap<string, readonly PackageDigest[]> {
    return this.#uses
  }

  async remember(uses: ReadonlyMap<string, readonly PackageDigest[]>): Promise<void> {
    this.#uses = uses
  }

  usage(): { readonly bytes: number; readonly budgetBytes: number } {
    const bytes = [...this.#chunks.values()].reduce((sum, chunk) => sum + chunk.length, 0)
    return { bytes, budgetBytes: Infinity }
  }

  /** Damages a chunk in place. */
  damage(chunk: ChunkDigest): void {
    if (this.#chunks.has(chunk)) this.#chunks.set(chunk, new Uint8Array(1))
  }
}

// Package store port: what of packages is on this machine. node/act/packages implements it on a disk, simulations and tests
// in memory. Also what the agent's keeper of packages offers to the face. Interfaces only.

import type { ChunkDigest, MemberId, PackageDigest } from '../../lib/ids.ts'
import type { Chunk, Manifest } from './manifest.ts'

/** What must not go, and what else there is a reason for. */
export interface Keeping {
  /** Wanted here: by slots placed here, by instances that run, by services that may be rolled back, by a copy under way. */
  readonly needed: ReadonlySet<PackageDigest>
  /** Listed in the document: goes when there is no room for another. What is neither goes when it is old. */
  readonly listed: ReadonlySet<PackageDigest>
  /** Instances run from these, or are about to: their trees stay. */
  readonly run: ReadonlySet<PackageDigest>
}

export interface PackageStore {
  /** Finds what earlier runs left. Once, before anything else. */
  start(): Promise<void>
  /** Packages that are here as a whole. The same set until it changes. */
  held(): ReadonlySet<PackageDigest>
  /** Those that instances can run from: their files lie in a directory. The same set until it changes. */
  unpacked(): ReadonlySet<PackageDigest>
  /** A package's manifest, whole here or not; null: it is not known here. */
  manifest(digest: PackageDigest): Promise<Manifest | null>
  /** The same as bytes, for others. */
  manifestBytes(digest: PackageDigest): Promise<Uint8Array | null>
  /**
   * Takes a manifest in: from then on its chunks stay until it is held, or old. @throws TuttiError `storage` when there is no
   * room for it, `invalid`, `too-large`.
   */
  begin(manifest: Uint8Array): Promise<PackageDigest>
  /** Which of these chunks are not here: their places in the list. */
  missing(chunks: readonly Chunk[]): Promise<readonly number[]>
  /** A chunk's bytes, verified; null: not here, or damaged and therefore gone now. */
  read(chunk: ChunkDigest): Promise<Uint8Array | null>
  /** Keeps a chunk; its bytes are given away, and must not be used afterwards. @throws TuttiError `invalid` when the bytes are not of that digest, `storage`. */
  write(chunk: ChunkDigest, bytes: Uint8Array): Promise<void>
  /** All chunks are here: makes them durable; held from then on. @throws TuttiError `conflict` when one is missing. */
  finish(digest: PackageDigest): Promise<void>
  /** A chunk of it turned out to be missing or damaged: it is not held any more, until it is finished again. */
  lose(digest: PackageDigest): Promise<void>
  /** Makes the directory that instances run from. Resolves false when a chunk is damaged: then it is lost. @throws TuttiError `storage`. */
  unpack(digest: PackageDigest): Promise<boolean>
  /** From now on this is what stays. */
  keep(keeping: Keeping): void
  /** Lets go of what has no reason to stay. */
  tidy(): Promise<void>
  /** The last packages of each service, newest first, as `remember` was told; also by earlier runs. */
  remembered(): ReadonlyMap<string, readonly PackageDigest[]>
  remember(uses: ReadonlyMap<string, readonly PackageDigest[]>): Promise<void>
  /** What everything takes on the disk, and what it may take. */
  usage(): { readonly bytes: number; readonly budgetBytes: number }
}

/** How a package stands on this peer, as a plan needs to know it. */
export type PackageState =
  | { readonly kind: 'ready' }
  /** On its way. In words that change a few times in all. */
  | { readonly kind: 'fetching'; readonly reason: string }
  /** It cannot be had now; it is tried again. */
  | { readonly kind: 'failing'; readonly reason: string }

/** Since the start of the peer, for metrics. */
export interface PackageCounters {
  readonly held: number
  /** Run from, and with too few copies in the cluster for long. */
  readonly short: number
  readonly bytes: number
  readonly budgetBytes: number
  readonly fetchedBytes: number
  readonly servedBytes: number
  readonly refusedChunks: number
}

/** Packages, as the face meets them. */
export interface Packages {
  /** Takes a manifest; says which chunks are to be sent (places in the list of its chunks). @throws TuttiError. */
  begin(
    manifest: Uint8Array,
  ): Promise<{ readonly digest: PackageDigest; readonly missing: readonly number[] }>
  /** Takes one chunk; its bytes are given away. @throws TuttiError `invalid`, `storage`. */
  take(chunk: ChunkDigest, bytes: Uint8Array): Promise<void>
  /**
   * Makes the package durable here and waits until so many members have it, this one included. Resolves with who has it.
   * @throws TuttiError `conflict` (chunks are missing), `storage`, `unreachable` (not so many could take it), `timeout`.
   */
  secure(digest: PackageDigest, copies: number, signal: AbortSignal): Promise<readonly MemberId[]>
  /** Whether it is here as a whole. */
  holds(digest: PackageDigest): boolean
  /** What is in a package, from here or from a member that has it. @throws TuttiError `unreachable`. */
  contents(digest: PackageDigest, signal: AbortSignal): Promise<Manifest>
  counters(): PackageCounters
}

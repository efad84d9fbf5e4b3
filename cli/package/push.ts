// Pushes a packed directory to the peer that a command talks to: asks which chunks are missing, sends those and no others, and
// waits until as many members have it as was asked for. What was sent before a push broke off is not sent again. Lists nothing
// in the document; whoever pushes does that in a change of its own, together with what belongs to it.

import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { concatBytes } from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { ChunkDigest } from '../../lib/ids.ts'
import { formatSize } from '../../lib/time.ts'
import { chunksOf } from '../../node/package/manifest.ts'
import type { PackageSource } from '../../crdt/schema/package.ts'
import type { Operation } from '../../node/serve/api/contract.ts'
import type { ChunksReply, ManifestReply, SecureReply } from '../../node/serve/api/contract-packages.ts'
import { chunkFrame } from '../../node/serve/api/package-frames.ts'
import type { Client } from '../client.ts'
import { packDirectory, type Packed } from './pack.ts'

/** Chunks in one request: half of what one may have, so that the largest chunk still fits. */
const BATCH_BYTES = 8 * 1024 * 1024
/** Copying may take as long as the package is large; the peer itself gives up after ten minutes. */
const SECURE_TIMEOUT_MS = 610_000
const CHUNKS_TIMEOUT_MS = 60_000

export interface PushOptions {
  /** Absolute. */
  readonly directory: string
  /** Of what is packed: `api@1.4.2`. */
  readonly ref: (packed: Packed) => string
  /** Members that are to have it before this returns; null: two, or one in a cluster of one. */
  readonly copies: number | null
  /** So many versions of its name stay listed; null: all. */
  readonly keep: number | null
  /** How far it is, in words. */
  readonly tell: (words: string) => void
}

/** A package that is on the peers and not listed yet. */
export interface Pushed {
  readonly ref: string
  readonly packed: Packed
  /** Bytes that had to be sent to the peer. */
  readonly sentBytes: number
  /** Names of the peers that have it. */
  readonly holders: readonly string[]
  /** Lists it, as a part of the caller's change. */
  readonly operation: Operation
}

/** Packs a directory and pushes it. @throws TuttiError as packing and the peer do. */
export const pushPackage = async (client: Client, options: PushOptions): Promise<Pushed> => {
  options.tell('packs')
  const packed = await packDirectory(options.directory)
  return await pushPacked(client, packed, options)
}

/** Pushes what is packed already. @throws TuttiError, the peer's own, or `conflict` when a file changed meanwhile. */
export const pushPacked = async (
  client: Client,
  packed: Packed,
  options: Omit<PushOptions, 'directory'>,
): Promise<Pushed> => {
  const { tell, copies, keep } = options
  const ref = options.ref(packed)
  // Refused before anything travels: a version that means something else already.
  await client.post('/v1/changes', { operations: [listing(ref, packed, keep)], dry: true })
  const { missing } = await client.send<ManifestReply>('/v1/packages/manifest', {}, packed.text)
  const sentBytes = await sendChunks(client, packed, new Set(missing), tell)
  tell('waits for its copies')
  const { holders } = await client.post<SecureReply>(
    '/v1/packages',
    { digest: packed.digest, ...(copies === null ? {} : { copies }) },
    SECURE_TIMEOUT_MS,
  )
  return { ref, packed, sentBytes, holders, operation: listing(ref, packed, keep) }
}

/** The operation that lists a package, which a dry run may show before anything is pushed. */
export const listing = (
  ref: string,
  packed: Packed,
  keep: number | null,
  source: PackageSource | null = null,
): Operation => ({
  kind: 'put-package',
  ref,
  digest: packed.digest,
  bytes: packed.bytes,
  files: packed.files,
  ...(source === null ? {} : { source }),
  ...(keep === null ? {} : { keep }),
})

/** Sends the chunks at those places, in the order of the files, in batches. Returns how many bytes that were. */
const sendChunks = async (
  client: Client,
  packed: Packed,
  missing: ReadonlySet<number>,
  tell: (words: string) => void,
): Promise<number> => {
  const chunks = chunksOf(packed.manifest)
  const wantedBytes = [...missing].reduce((sum, place) => sum + (chunks[place]?.[1] ?? 0), 0)
  let sentBytes = 0
  let batch: Uint8Array[] = []
  let batchBytes = 0
  const send = async (): Promise<void> => {
    if (batch.length === 0) return
    const body = concatBytes(batch)
    batch = []
    sentBytes += batchBytes
    batchBytes = 0
    await client.send<ChunksReply>('/v1/packages/chunks', { digest: packed.digest }, body, CHUNKS_TIMEOUT_MS)
    tell(`sends ${formatSize(sentBytes)} of ${formatSize(wantedBytes)}`)
  }
  for await (const { place, bytes } of readChunks(packed, missing)) {
    batch.push(chunkFrame({ place, bytes }))
    batchBytes += bytes.length
    if (batchBytes >= BATCH_BYTES) await send()
  }
  await send()
  return sentBytes
}

/** Reads the chunks at those places, each once. @throws TuttiError `conflict` when a file is not what it was. */
async function* readChunks(
  { directory, manifest }: Packed,
  missing: ReadonlySet<number>,
): AsyncGenerator<{ readonly place: number; readonly bytes: Uint8Array }> {
  const places = new Map<ChunkDigest, number>(chunksOf(manifest).map(([digest], place) => [digest, place]))
  for (const entry of manifest) {
    if (entry.kind !== 'file') continue
    if (!entry.chunks.some(([digest]) => missing.has(places.get(digest) ?? -1))) continue
    const file = join(directory, entry.path)
    const handle = await open(file, 'r')
    try {
      let at = 0
      for (const [digest, length] of entry.chunks) {
        const place = places.get(digest)
        // A chunk that several files share is sent with the first of them.
        if (place !== undefined && missing.has(place)) {
          places.delete(digest)
          yield { place, bytes: await readChunk(handle, file, at, length, digest) }
        }
        at += length
      }
    } finally {
      await handle.close()
    }
  }
}

const readChunk = async (
  handle: FileHandle,
  file: string,
  at: number,
  length: number,
  digest: ChunkDigest,
): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length)
  const { bytesRead } = await handle.read(bytes, 0, length, at)
  if (bytesRead === length && sha256Hex(bytes) === digest) return bytes
  throw new TuttiError('conflict', `${file} changed while it was pushed; try again when nothing writes to it`)
}

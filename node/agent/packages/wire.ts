// Questions between members about packages, as bytes. Digests go as 32 bytes each; whatever comes in is checked before it is
// used. What is answered, and when, is packages.ts's.
//
//   package-manifest  package                → the manifest's bytes, in parts
//   package-have      package                → 1: all of it, or 0 and a bitmap over the manifest's chunks; again whenever
//                                              there is more, until it is all or no more will come
//   package-chunks    package, n × chunk     → for each, in order: 1 and its bytes, or 0: not here
//   package-copy      package                → a part now and then while it is fetched; the end: it is held

import { ByteReader, ByteWriter, concatBytes, fromHex, toHex } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { ChunkDigest, PackageDigest } from '../../../lib/ids.ts'

const DIGEST_BYTES = 32
/** A question for more chunks than this is none of ours: a fetch asks for a few hundred at the most. */
const CHUNKS_ASKED_MAX = 1024
/** Of a manifest, in one part: well below what a part may have. */
const MANIFEST_PART_BYTES = 1024 * 1024

const ABSENT = 0
const PRESENT = 1

export const encodePackageQuestion = (digest: PackageDigest): Uint8Array => fromHex(digest)

/** @throws TuttiError `invalid`. */
export const decodePackageQuestion = (body: Uint8Array): PackageDigest => {
  if (body.length !== DIGEST_BYTES) throw new TuttiError('invalid', 'the question names no package')
  return toHex(body) as PackageDigest
}

export const encodeChunksQuestion = (digest: PackageDigest, chunks: readonly ChunkDigest[]): Uint8Array => {
  const writer = new ByteWriter().bytes(fromHex(digest)).varint(chunks.length)
  for (const chunk of chunks) writer.bytes(fromHex(chunk))
  return writer.finish()
}

/** @throws TuttiError `invalid`, `too-large`. */
export const decodeChunksQuestion = (
  body: Uint8Array,
): { readonly digest: PackageDigest; readonly chunks: readonly ChunkDigest[] } => {
  const reader = new ByteReader(body)
  const digest = decodePackageQuestion(reader.bytes(DIGEST_BYTES))
  const count = reader.varint()
  if (count > CHUNKS_ASKED_MAX) throw new TuttiError('too-large', 'the question is for too many chunks')
  const chunks: ChunkDigest[] = []
  for (let at = 0; at < count; at += 1)
    chunks.push(decodePackageQuestion(reader.bytes(DIGEST_BYTES)) as string as ChunkDigest)
  reader.end()
  return { digest, chunks }
}

/** Null: it is not here. */
export const encodeChunk = (bytes: Uint8Array | null): Uint8Array =>
  bytes === null ? Uint8Array.of(ABSENT) : concatBytes([Uint8Array.of(PRESENT), bytes])

/** Null: it is not there. */
export const decodeChunk = (part: Uint8Array): Uint8Array | null =>
  part[0] === PRESENT ? part.subarray(1) : null

/** Null: all of it. */
export const encodeHave = (bits: Uint8Array | null): Uint8Array =>
  bits === null ? Uint8Array.of(PRESENT) : concatBytes([Uint8Array.of(ABSENT), bits])

/** A bitmap over so many chunks. */
export const decodeHave = (part: Uint8Array, chunks: number): Uint8Array => {
  const bits = new Uint8Array(Math.ceil(chunks / 8))
  if (part[0] === PRESENT) bits.fill(0xff)
  else bits.set(part.subarray(1, 1 + bits.length))
  return bits
}

export async function* manifestParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += MANIFEST_PART_BYTES)
    yield bytes.subarray(at, at + MANIFEST_PART_BYTES)
}

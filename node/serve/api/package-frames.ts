// Chunks in the body of a request: of each its place in the list of the manifest's chunks, its length (both four bytes, low
// byte first) and its bytes. Read as they arrive, so that no more than one chunk and a piece is in memory.

import { concatBytes } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'

export interface PlacedChunk {
  readonly place: number
  readonly bytes: Uint8Array
}

const HEAD_BYTES = 8
/** A chunk is at most 256 KiB; what claims to be more is none. */
const CHUNK_BYTES_MAX = 1024 * 1024

export const chunkFrame = ({ place, bytes }: PlacedChunk): Uint8Array => {
  const head = new DataView(new ArrayBuffer(HEAD_BYTES))
  head.setUint32(0, place, true)
  head.setUint32(4, bytes.length, true)
  return concatBytes([new Uint8Array(head.buffer), bytes])
}

/** @throws TuttiError `invalid` for bytes that are no frames, or end within one. */
export async function* chunksIn(body: AsyncIterable<Uint8Array>): AsyncGenerator<PlacedChunk> {
  let waiting: Uint8Array = new Uint8Array()
  for await (const piece of body) {
    waiting = waiting.length === 0 ? piece : concatBytes([waiting, piece])
    for (;;) {
      const next = frameAt(waiting)
      if (next === null) break
      waiting = waiting.subarray(HEAD_BYTES + next.bytes.length)
      yield next
    }
  }
  if (waiting.length > 0) throw new TuttiError('invalid', 'the chunks end in the middle of one')
}

const frameAt = (waiting: Uint8Array): PlacedChunk | null => {
  if (waiting.length < HEAD_BYTES) return null
  const head = new DataView(waiting.buffer, waiting.byteOffset, HEAD_BYTES)
  const length = head.getUint32(4, true)
  if (length > CHUNK_BYTES_MAX) throw new TuttiError('invalid', 'the body is not made of chunks')
  if (waiting.length < HEAD_BYTES + length) return null
  return { place: head.getUint32(0, true), bytes: waiting.subarray(HEAD_BYTES, HEAD_BYTES + length) }
}

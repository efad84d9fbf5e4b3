// What the packages' thread does: chunks written to and read from segments by blocking calls, hashed on the spot, and files of
// trees put together from them. On the peer's own thread each of them would be several waits for a thread of Node.js's pool,
// which together cost more than the disk does. Deliberately absent: where chunks lie and which are wanted (chunk-segments.ts).

import { rmSync } from 'node:fs'
import { systemCodeOf } from '../../../crdt/log/files.ts'
import { unreachable } from '../../../lib/assert.ts'
import { sha256Hex } from '../../../lib/hash.ts'
import { Appender, copyPieces, readPiece, type Copy, type Piece } from './segment-file.ts'

export type ChunkOrder =
  | ({ readonly kind: 'read'; readonly id: number } & Piece)
  /** `isHere`: it is known already; its bytes are compared with its digest, and nothing is written. */
  | {
      readonly kind: 'write'
      readonly id: number
      readonly path: string
      readonly digest: string
      readonly bytes: Uint8Array
      readonly isHere: boolean
    }
  | ({ readonly kind: 'copy'; readonly id: number } & Copy)
  | { readonly kind: 'remove'; readonly id: number; readonly path: string }

export type ChunkWord =
  | { readonly kind: 'read'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Not there, or the bytes are not what the digest says. */
  | { readonly kind: 'lacking'; readonly id: number; readonly digest: string }
  | { readonly kind: 'written'; readonly id: number; readonly at: number }
  /** The bytes to be written are not what the digest says; nothing was written. */
  | { readonly kind: 'false'; readonly id: number }
  | { readonly kind: 'done'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly code: string; readonly message: string }

const appender = new Appender()

/** Never throws. */
export const performOrder = (order: ChunkOrder): ChunkWord => {
  const { id } = order
  try {
    return perform(order)
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return { kind: 'failed', id, code: systemCodeOf(thrown), message }
  }
}

const perform = (order: ChunkOrder): ChunkWord => {
  const { id } = order
  switch (order.kind) {
    case 'read': {
      const bytes = readPiece(order)
      return bytes === null ? { kind: 'lacking', id, digest: order.digest } : { kind: 'read', id, bytes }
    }
    case 'write': {
      const { path, digest, bytes, isHere } = order
      if (sha256Hex(bytes) !== digest) return { kind: 'false', id }
      return isHere ? { kind: 'done', id } : { kind: 'written', id, at: appender.append(path, digest, bytes) }
    }
    case 'copy': {
      const digest = copyPieces(order)
      return digest === null ? { kind: 'done', id } : { kind: 'lacking', id, digest }
    }
    case 'remove':
      // Its room is free only when nobody has it open.
      appender.close(order.path)
      rmSync(order.path, { force: true })
      return { kind: 'done', id }
    default:
      return unreachable(order)
  }
}

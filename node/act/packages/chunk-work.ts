// What the packages' thread does with chunk files: whole files, read or written by blocking calls and hashed on the spot. On the
// peer's own thread each of them would be five waits for a thread of Node.js's pool, which together cost more than the disk
// does. Deliberately absent: where chunks lie and which of them are wanted (chunk-files.ts).

import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { systemCodeOf } from '../../../crdt/log/files.ts'
import { sha256Hex } from '../../../lib/hash.ts'

/** The peer's own user alone, as everything else of its data. */
export const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600

export type ChunkOrder =
  | { readonly kind: 'read'; readonly id: number; readonly path: string; readonly digest: string }
  /** Written to `draft`, which must not be there, and renamed to `path`. */
  | {
      readonly kind: 'write'
      readonly id: number
      readonly path: string
      readonly digest: string
      readonly draft: string
      readonly bytes: Uint8Array
    }

export type ChunkWord =
  | { readonly kind: 'read'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'absent'; readonly id: number }
  /** The file's bytes are not what its name says. */
  | { readonly kind: 'damaged'; readonly id: number; readonly length: number }
  | { readonly kind: 'written'; readonly id: number }
  /** It was there already. */
  | { readonly kind: 'kept'; readonly id: number }
  /** The bytes to be written are not what the digest says; nothing was written. */
  | { readonly kind: 'false'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly code: string; readonly message: string }

/** Never throws. */
export const performOrder = (order: ChunkOrder): ChunkWord => {
  const { id } = order
  try {
    return order.kind === 'read' ? read(order) : write(order)
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return { kind: 'failed', id, code: systemCodeOf(thrown), message }
  }
}

const read = ({ id, path, digest }: Extract<ChunkOrder, { kind: 'read' }>): ChunkWord => {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return { kind: 'absent', id }
    throw thrown
  }
  try {
    const bytes = new Uint8Array(fstatSync(file).size)
    let filled = 0
    while (filled < bytes.length) {
      const count = readSync(file, bytes, filled, bytes.length - filled, null)
      if (count === 0) break
      filled += count
    }
    if (filled < bytes.length || sha256Hex(bytes) !== digest)
      return { kind: 'damaged', id, length: bytes.length }
    return { kind: 'read', id, bytes }
  } finally {
    closeSync(file)
  }
}

const write = (order: Extract<ChunkOrder, { kind: 'write' }>): ChunkWord => {
  const { id, path, digest, draft, bytes } = order
  if (sha256Hex(bytes) !== digest) return { kind: 'false', id }
  if (statSync(path, { throwIfNoEntry: false })?.size === bytes.length) return { kind: 'kept', id }
  try {
    const file = openSync(draft, 'wx', FILE_MODE)
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
    } finally {
      closeSync(file)
    }
    place(draft, path)
  } catch (thrown) {
    rmSync(draft, { force: true })
    throw thrown
  }
  return { kind: 'written', id }
}

const place = (draft: string, path: string): void => {
  try {
    renameSync(draft, path)
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') throw thrown
    mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE })
    renameSync(draft, path)
  }
}

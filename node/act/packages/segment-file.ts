// One segment of chunks on the disk, by blocking calls: records one behind the other, each a header (a mark, the length, the
// digest) and the chunk's bytes. Many chunks in one file, since a file for each costs more than its bytes do: a place for its
// inode, two entries in directories, and a share of every sync. What is read is verified, so a record that was torn by a loss of
// power is found out. Deliberately absent: which segment, and where chunks lie (chunk-segments.ts).

import {
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
  writevSync,
} from 'node:fs'
import { systemCodeOf } from '../../../crdt/log/files.ts'
import { sha256Hex } from '../../../lib/hash.ts'
import { CHUNK_BYTES_MAX } from '../../package/chunker.ts'

/** Four bytes that no run of zeros and no text is. */
const MARK = 0xc4_75_0a_01
const DIGEST_BYTES = 32
export const HEADER_BYTES = 4 + 4 + DIGEST_BYTES
/** The peer's own user alone, as everything else of its data. */
const FILE_MODE = 0o600

/** Where a chunk's bytes lie in a file. */
export interface Piece {
  readonly path: string
  readonly at: number
  readonly bytes: number
  readonly digest: string
}

/** A record that a scan found. */
export interface Found {
  readonly digest: string
  /** Of the chunk's bytes, behind the header. */
  readonly at: number
  readonly bytes: number
}

/** The segment that is being appended to; another path closes it and opens that one. */
export class Appender {
  #open: { readonly path: string; readonly file: number; end: number } | null = null
  /** Ends in half a record, behind which no scan would look. */
  #torn: string | null = null

  /**
   * Returns where the chunk's bytes begin. A record that cannot be written whole is cut off again. Not durable before the
   * file is synced. @throws what the system throws.
   */
  append(path: string, digest: string, bytes: Uint8Array): number {
    const open = this.#opened(path)
    const at = open.end + HEADER_BYTES
    try {
      writeAll(open.file, [headerOf(digest, bytes.length), bytes], open.end)
    } catch (thrown) {
      this.#cut(open)
      throw thrown
    }
    open.end = at + bytes.length
    return at
  }

  /** Lets go of a file, which is about to be removed, or of whatever is open. */
  close(path?: string): void {
    if (this.#open === null || (path !== undefined && this.#open.path !== path)) return
    const { file } = this.#open
    this.#open = null
    closeSync(file)
  }

  #opened(path: string): { readonly path: string; readonly file: number; end: number } {
    if (this.#open?.path === path) return this.#open
    this.close()
    if (path === this.#torn) throw new Error('the segment ends in half a record')
    const file = openForAppending(path)
    this.#open = { path, file, end: fstatSync(file).size }
    return this.#open
  }

  #cut(open: { readonly path: string; readonly file: number; readonly end: number }): void {
    try {
      ftruncateSync(open.file, open.end)
    } catch {
      this.#torn = open.path
      this.close()
    }
  }
}

/** A chunk's bytes, in memory of their own; null: they are not there, or not what the digest says. @throws the system's error. */
export const readPiece = ({ path, at, bytes, digest }: Piece): Uint8Array<ArrayBuffer> | null => {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return null
    throw thrown
  }
  try {
    // Not filled with zeros first, and not part of a pool: it is handed over to another thread.
    const filled = Buffer.allocUnsafeSlow(bytes)
    if (!readAll(file, filled, at) || sha256Hex(filled) !== digest) return null
    return filled
  } finally {
    closeSync(file)
  }
}

/** A part of a file that is put together from chunks. */
export interface Copy {
  readonly target: string
  /** Where the first of the pieces goes; 0 begins the file anew. */
  readonly offset: number
  readonly pieces: readonly Piece[]
  /** What the file gets when it is whole; null: more will come. */
  readonly mode: number | null
}

/** Returns the digest of a piece that is not there or not what it should be; null: all is written. @throws the system's error. */
export const copyPieces = ({ target, offset, pieces, mode }: Copy): string | null => {
  const file = openSync(target, offset === 0 ? 'w' : 'r+', FILE_MODE)
  try {
    let at = offset
    for (const piece of pieces) {
      const bytes = readPiece(piece)
      if (bytes === null) return piece.digest
      writeAll(file, [bytes], at)
      at += bytes.length
    }
    // Whatever the umask of the peer is.
    if (mode !== null) fchmodSync(file, mode)
    return null
  } finally {
    closeSync(file)
  }
}

/** The records of a segment up to its end or to what is none, and how long they and the file are. @throws the system's error. */
export const scanSegment = (
  path: string,
): { readonly found: readonly Found[]; readonly end: number; readonly size: number } => {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const header = Buffer.alloc(HEADER_BYTES)
    const found: Found[] = []
    let end = 0
    while (end + HEADER_BYTES <= size && readAll(file, header, end)) {
      const bytes = header.readUInt32LE(4)
      if (header.readUInt32BE(0) !== MARK || bytes > CHUNK_BYTES_MAX) break
      const at = end + HEADER_BYTES
      if (at + bytes > size) break
      found.push({ digest: header.toString('hex', 8), at, bytes })
      end = at + bytes
    }
    return { found, end, size }
  } finally {
    closeSync(file)
  }
}

const headerOf = (digest: string, bytes: number): Uint8Array => {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(MARK, 0)
  header.writeUInt32LE(bytes, 4)
  header.write(digest, 8, 'hex')
  return header
}

const openForAppending = (path: string): number => {
  try {
    return openSync(path, 'r+', FILE_MODE)
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') throw thrown
    return openSync(path, 'wx', FILE_MODE)
  }
}

const readAll = (file: number, into: Uint8Array, at: number): boolean => {
  for (let filled = 0; filled < into.length;) {
    const count = readSync(file, into, filled, into.length - filled, at + filled)
    if (count === 0) return false
    filled += count
  }
  return true
}

const writeAll = (file: number, parts: readonly Uint8Array[], at: number): void => {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  let done = writevSync(file, parts, at)
  // One call may write fewer than it was given.
  for (let part = 0, before = 0; done < length;) {
    const bytes = parts[part] ?? new Uint8Array()
    if (done - before >= bytes.length) {
      before += bytes.length
      part += 1
    } else done += writeSync(file, bytes, done - before, bytes.length - (done - before), at + done)
  }
}

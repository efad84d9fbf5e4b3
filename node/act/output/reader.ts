// Reads lines of one output file: the last so many, or from an offset on, in pieces, never the whole file. Lines come
// with their offset and the time that the stamps give them. Bytes that are not UTF-8 become replacement characters.

import { open, type FileHandle } from 'node:fs/promises'
import { stampsPathOf, type LogFile } from './log-files.ts'
import { offsetSince, readStamps, timeAt, type Stamp } from './stamps.ts'

/** One line of one file. */
export interface FileLine {
  readonly file: LogFile
  readonly at: number
  readonly text: string
  /** Offset after the line and its line break. */
  readonly end: number
}

/** What to read of a file. */
export interface FileRange {
  readonly from: number
  /** Whether a last line without a line break counts. While it may still grow it does not. */
  readonly partial: boolean
}

const PIECE_BYTES = 64 * 1024
// Longer lines are cut into lines of this size: a binary dump must not become one string of megabytes.
const LINE_BYTES_MAX = 64 * 1024
const LINE_BREAK = 0x0a

const opened = async (path: string): Promise<FileHandle | null> => {
  try {
    return await open(path, 'r')
  } catch {
    return null
  }
}

/** A file's stamps, and where its contents begin. */
export const stampsOf = (file: LogFile): { readonly stamps: readonly Stamp[]; readonly floor: number } => {
  const stamps = readStamps(stampsPathOf(file.path))
  return { stamps, floor: stamps[0]?.end ?? 0 }
}

/** Lines from an offset on, to the end of the file as it is when it is reached. */
export async function* readLines(file: LogFile, range: FileRange): AsyncGenerator<FileLine> {
  const handle = await opened(file.path)
  if (handle === null) return
  try {
    const { stamps } = stampsOf(file)
    const otherwise = Math.round((await handle.stat()).mtimeMs)
    const piece = Buffer.alloc(PIECE_BYTES)
    let rest: Buffer = Buffer.alloc(0)
    let start = range.from
    const lineOf = (bytes: Buffer, end: number): FileLine => {
      const text = bytes.toString('utf8').replace(/\r$/, '')
      const line = { file, at: timeAt(stamps, start, otherwise), text, end }
      start = end
      return line
    }
    for (let position = range.from; ;) {
      const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, position)
      if (bytesRead === 0) break
      position += bytesRead
      let bytes = Buffer.concat([rest, piece.subarray(0, bytesRead)])
      for (;;) {
        const at = bytes.indexOf(LINE_BREAK)
        const length = at < 0 ? bytes.length : at
        if (length > LINE_BYTES_MAX) {
          yield lineOf(bytes.subarray(0, LINE_BYTES_MAX), start + LINE_BYTES_MAX)
          bytes = bytes.subarray(LINE_BYTES_MAX)
        } else if (at >= 0) {
          yield lineOf(bytes.subarray(0, at), start + at + 1)
          bytes = bytes.subarray(at + 1)
        } else break
      }
      rest = Buffer.from(bytes)
    }
    if (range.partial && rest.length > 0) yield lineOf(rest, start + rest.length)
  } finally {
    await handle.close()
  }
}

/** The offset at which the last `count` lines begin. */
export const tailOffset = async (file: LogFile, count: number): Promise<number> => {
  const handle = await opened(file.path)
  if (handle === null) return 0
  try {
    const { floor } = stampsOf(file)
    const piece = Buffer.alloc(PIECE_BYTES)
    const { size } = await handle.stat()
    if (count <= 0) return size
    let left = count
    for (let end = size; end > floor;) {
      const begin = Math.max(floor, end - PIECE_BYTES)
      const { bytesRead } = await handle.read(piece, 0, end - begin, begin)
      for (let at = bytesRead - 1; at >= 0; at -= 1) {
        // The break that ends the last line does not begin another one.
        if (piece[at] !== LINE_BREAK || begin + at === size - 1) continue
        left -= 1
        if (left <= 0) return begin + at + 1
      }
      end = begin
    }
    return await lineStart(handle, floor)
  } finally {
    await handle.close()
  }
}

/** The offset from which lines of `since` and later are to be looked for. */
export const sinceOffset = async (file: LogFile, since: number): Promise<number> => {
  const { stamps } = stampsOf(file)
  const handle = await opened(file.path)
  if (handle === null) return 0
  try {
    return await lineStart(handle, offsetSince(stamps, since))
  } finally {
    await handle.close()
  }
}

/** `offset`, or where the next line begins when a line runs across it. */
const lineStart = async (handle: FileHandle, offset: number): Promise<number> => {
  if (offset === 0) return 0
  const piece = Buffer.alloc(PIECE_BYTES)
  for (let position = offset - 1; ;) {
    const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, position)
    if (bytesRead === 0) return position
    // Dropped contents read as zeros, which end no line.
    const at = piece.subarray(0, bytesRead).indexOf(LINE_BREAK)
    if (at >= 0) return position + at + 1
    position += bytesRead
  }
}

// Reads lines of one output file: the last so many, or from an offset on, in pieces, never the whole file. Lines come
// with their offset and the time that the stamps give them. Bytes that are not UTF-8 become replacement characters. What
// is cut away while it is being read is counted, not guessed.

import { statSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { stampsPathOf, type LogFile } from './log-files.ts'
import { offsetSince, readStamps, timeAt, type Stamp } from './stamps.ts'

/** One line of one file. */
export interface FileLine {
  readonly file: LogFile
  readonly at: number
  /** Never less than the line's before it, whatever the clock did: lines of one file stay in order. */
  readonly key: number
  readonly text: string
  /** Offset after the line and its line break. */
  readonly end: number
  /** It had no line break (yet). */
  readonly isPartial: boolean
  /** Bytes right before it that were dropped before they could be read. */
  readonly skippedBytes: number
}

/** What to read of a file. */
export interface FileRange {
  readonly from: number
  /** Lines that begin before it. */
  readonly to: number
  /** Whether a last line without a line break counts. While it may still grow it does not. */
  readonly partial: boolean
  /** Where contents begin by now; asked after each read, since a cut may come at any time. */
  readonly floor: () => number
}

// Some 600 lines: a millisecond of work between two turns of the event loop.
const PIECE_BYTES = 32 * 1024
/** Longer lines are cut into lines of this size: a binary dump must not become one string of megabytes. */
export const LINE_BYTES_MAX = 64 * 1024
const LINE_BREAK = 0x0a

const opened = async (path: string): Promise<FileHandle | null> => {
  try {
    return await open(path, 'r')
  } catch {
    return null
  }
}

/** A file's size; 0: it is not there. */
export const sizeOf = (file: LogFile): number => statSync(file.path, { throwIfNoEntry: false })?.size ?? 0

/** A file's stamps, and where its contents begin. */
export const stampsOf = (file: LogFile): { readonly stamps: readonly Stamp[]; readonly floor: number } => {
  const stamps = readStamps(stampsPathOf(file.path))
  return { stamps, floor: stamps[0]?.end ?? 0 }
}

/** The lines of a range, or of what is left of it. */
export async function* readLines(file: LogFile, range: FileRange): AsyncGenerator<FileLine> {
  if (range.from >= range.to) return
  const handle = await opened(file.path)
  if (handle === null) return
  try {
    const { stamps } = stampsOf(file)
    const otherwise = Math.round((await handle.stat()).mtimeMs)
    const piece = Buffer.alloc(PIECE_BYTES)
    let rest: Buffer = Buffer.alloc(0)
    let start = range.from
    let key = 0
    let skippedBytes = 0
    const lineOf = (bytes: Buffer, end: number, isPartial = false): FileLine => {
      const at = timeAt(stamps, start, otherwise)
      key = Math.max(key, at)
      const line = { file, at, key, text: textOf(bytes), end, isPartial, skippedBytes }
      start = end
      skippedBytes = 0
      return line
    }
    for (let position = range.from; ;) {
      const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, position)
      const floor = range.floor()
      if (floor > start) {
        // Cut away under the reader, perhaps what it just read: it goes on where contents begin.
        skippedBytes += floor - start
        start = position = floor
        rest = Buffer.alloc(0)
        if (start >= range.to) return
        continue
      }
      if (bytesRead === 0) break
      position += bytesRead
      let bytes = Buffer.concat([rest, piece.subarray(0, bytesRead)])
      for (;;) {
        const at = bytes.indexOf(LINE_BREAK)
        const length = at < 0 ? bytes.length : at
        if (length > LINE_BYTES_MAX) {
          yield lineOf(bytes.subarray(0, LINE_BYTES_MAX), start + LINE_BYTES_MAX, true)
          bytes = bytes.subarray(LINE_BYTES_MAX)
        } else if (at >= 0) {
          yield lineOf(bytes.subarray(0, at), start + at + 1)
          bytes = bytes.subarray(at + 1)
        } else break
        if (start >= range.to) return
      }
      rest = Buffer.from(bytes)
    }
    if (range.partial && rest.length > 0) yield lineOf(rest, start + rest.length, true)
  } finally {
    await handle.close()
  }
}

const textOf = (bytes: Buffer): string => {
  const text = bytes.toString('utf8')
  return text.endsWith('\r') ? text.slice(0, -1) : text
}

/** The offset at which the last `count` lines that begin before `to` begin; not below `floor`, where a line begins. */
export const tailOffset = async (
  file: LogFile,
  count: number,
  { floor, to }: { readonly floor: number; readonly to: number },
): Promise<number> => {
  if (count <= 0) return to
  const handle = await opened(file.path)
  if (handle === null) return 0
  try {
    const piece = Buffer.alloc(PIECE_BYTES)
    let left = count
    for (let end = to; end > floor;) {
      const begin = Math.max(floor, end - PIECE_BYTES)
      const { bytesRead } = await handle.read(piece, 0, end - begin, begin)
      for (let at = bytesRead - 1; at >= 0; at -= 1) {
        // The break that ends the last line does not begin another one.
        if (piece[at] !== LINE_BREAK || begin + at === to - 1) continue
        left -= 1
        if (left <= 0) return begin + at + 1
      }
      end = begin
    }
    return floor
  } finally {
    await handle.close()
  }
}

/** The offset from which lines of `since` and later are to be looked for. */
export const sinceOffset = async (
  file: LogFile,
  stamps: readonly Stamp[],
  since: number,
): Promise<number> => {
  const offset = offsetSince(stamps, since)
  // Contents begin with a line, and what is before them cannot be asked.
  if (offset === (stamps[0]?.end ?? 0)) return offset
  const handle = await opened(file.path)
  if (handle === null) return 0
  try {
    return await lineStart(handle, offset)
  } finally {
    await handle.close()
  }
}

/** `offset`, or where the next line begins when a line runs across it. */
const lineStart = async (handle: FileHandle, offset: number): Promise<number> => {
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

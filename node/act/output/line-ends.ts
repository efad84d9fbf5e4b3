// Where lines end in a file that grows: finding the start of one near an offset, and ending the last one when its writer is
// gone. Synchronous and small, since it belongs to cuts and exits, which are rare. Reads no contents for anybody.

import { appendFileSync, closeSync, fstatSync, openSync, readSync } from 'node:fs'

const LINE_BREAK = 0x0a
// Further than this a line is cut in the middle: one that long is no text that somebody reads.
const NEAR_BYTES_MAX = 64 * 1024

/** The first offset at or after `offset` where a line begins; `offset` itself when none does nearby. */
export const lineStartNear = (path: string, offset: number): number => {
  if (offset <= 0) return 0
  const file = openSync(path, 'r')
  try {
    const piece = Buffer.alloc(NEAR_BYTES_MAX)
    const bytesRead = readSync(file, piece, 0, piece.length, offset - 1)
    const at = piece.subarray(0, bytesRead).indexOf(LINE_BREAK)
    return at < 0 ? offset : offset + at
  } finally {
    closeSync(file)
  }
}

/** Appends a line break where the last line, beginning at or after `floor`, has none. */
export const endLastLine = (path: string, floor: number): void => {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size <= floor) return
    const last = Buffer.alloc(1)
    readSync(file, last, 0, 1, size - 1)
    if (last[0] === LINE_BREAK) return
  } finally {
    closeSync(file)
  }
  appendFileSync(path, '\n')
}

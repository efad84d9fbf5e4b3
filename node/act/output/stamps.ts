// Stamps: when which part of an output file was written. Programs write their files themselves, so that no output
// passes through the peer and none is lost with it; the price is that a line carries no time. The peer notes
// "bytes up to this offset were there at that time" whenever it sees a file grow. A few bytes a tenth of a second. The
// first stamp of a file says where its contents begin: 0, or more once its oldest part was dropped.

import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** Bytes before `end`, from the stamp before it on, appeared by `at` (wall time). */
export interface Stamp {
  readonly end: number
  readonly at: number
}

// Kept for one file at most; then every second one is dropped. At a stamp each 100 ms that is minutes of full precision.
const STAMPS_MAX = 4096

const lineOf = ({ end, at }: Stamp): string => `${end} ${at}\n`

/** All stamps of a file, ascending; damaged lines are left out. */
export const readStamps = (path: string): Stamp[] => {
  let text = ''
  try {
    text = readFileSync(path, 'latin1')
  } catch {
    return []
  }
  const stamps: Stamp[] = []
  for (const line of text.split('\n')) {
    const match = /^(\d+) (\d+)$/.exec(line)
    if (match === null) continue
    const stamp = { end: Number(match[1]), at: Number(match[2]) }
    if (stamp.end >= (stamps.at(-1)?.end ?? 0)) stamps.push(stamp)
  }
  return stamps
}

/**
 * Adds one stamp; `count` is how many the file holds. `afterTorn`: the line before it may be incomplete (a full disk, a
 * peer that was killed), and a line break keeps the two apart. Returns the new count.
 */
export const appendStamp = (path: string, stamp: Stamp, count: number, afterTorn: boolean): number => {
  appendFileSync(path, `${afterTorn ? '\n' : ''}${lineOf(stamp)}`, { mode: 0o600 })
  if (count + 1 < STAMPS_MAX) return count + 1
  // The first stays, and the last: they say where the contents begin, and how far they are stamped.
  const stamps = readStamps(path)
  const thinned = stamps.filter((_, at) => at === 0 || (stamps.length - 1 - at) % 2 === 0)
  replaceStamps(path, thinned)
  return thinned.length
}

/** Writes stamps anew, as a whole. */
export const replaceStamps = (path: string, stamps: readonly Stamp[]): void => {
  writeFileSync(`${path}.tmp`, stamps.map(lineOf).join(''), { mode: 0o600 })
  renameSync(`${path}.tmp`, path)
}

/** When the byte at `offset` appeared; `otherwise` where no stamp says so yet. */
export const timeAt = (stamps: readonly Stamp[], offset: number, otherwise: number): number => {
  let low = 0
  let high = stamps.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((stamps[middle]?.end ?? 0) > offset) high = middle
    else low = middle + 1
  }
  return stamps[low]?.at ?? otherwise
}

/** From where on a file may hold bytes that appeared at or after `since`. */
export const offsetSince = (stamps: readonly Stamp[], since: number): number => {
  const first = stamps.findIndex((stamp) => stamp.at >= since)
  if (first < 0) return stamps.at(-1)?.end ?? 0
  return stamps[first - 1]?.end ?? stamps[0]?.end ?? 0
}

/** Up to where a file may hold bytes that appeared at or before `until`. */
export const offsetUntil = (stamps: readonly Stamp[], until: number, size: number): number => {
  const last = stamps.findLastIndex((stamp) => stamp.at <= until)
  // What is not stamped yet is newer than every stamp; only its reader can say by how much.
  if (last === stamps.length - 1) return size
  return Math.max(stamps[last]?.end ?? 0, stamps[0]?.end ?? 0)
}

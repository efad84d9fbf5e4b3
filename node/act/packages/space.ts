// How much packages may take on this machine, and what goes first when that is not enough. Reads the disk's size; removes
// nothing itself.

import { statfs } from 'node:fs/promises'
import { TuttiError } from '../../../lib/errors.ts'
import type { PackageDigest } from '../../../lib/ids.ts'
import { compareStrings } from '../../../lib/order.ts'
import { formatSize } from '../../../lib/time.ts'
import type { Keeping } from '../../package/store.ts'

/** Without a word of the operator: a fifth of the disk, and never more than this. */
const BUDGET_DEFAULT_MAX_BYTES = 10 * 1024 ** 3
const BUDGET_DEFAULT_SHARE = 5
/**
 * Stays free on the disk whatever the budget says, since the log, the records and the output of what runs need it: a twentieth
 * of small disks, this much of others.
 */
const RESERVE_MAX_BYTES = 256 * 1024 ** 2
const RESERVE_SHARE = 20
/** What is neither listed nor needed: a push that was never finished is gone on the next day. */
export const UNLISTED_KEPT_MS = 24 * 3_600_000

/** What is there for packages. */
export interface Room {
  readonly budgetBytes: number
  readonly freeBytes: number
  readonly reserveBytes: number
}

/** @param budgetBytes as the operator wants it; null: the default. */
export const roomOf = async (folder: string, budgetBytes: number | null): Promise<Room> => {
  const { bsize, blocks, bavail } = await statfs(folder)
  const totalBytes = bsize * blocks
  return {
    budgetBytes:
      budgetBytes ?? Math.min(BUDGET_DEFAULT_MAX_BYTES, Math.floor(totalBytes / BUDGET_DEFAULT_SHARE)),
    freeBytes: bsize * bavail,
    reserveBytes: Math.min(RESERVE_MAX_BYTES, Math.floor(totalBytes / RESERVE_SHARE)),
  }
}

/** Why so many bytes more cannot be taken in; null: they can. */
export const roomFault = (room: Room, usedBytes: number, bytes: number): TuttiError | null => {
  if (usedBytes + bytes > room.budgetBytes)
    return new TuttiError(
      'storage',
      `packages may take ${formatSize(room.budgetBytes)} here and take ${formatSize(usedBytes)}, so ${formatSize(bytes)} more have no room; remove some with tutti package rm, or raise --package-budget`,
    )
  if (room.freeBytes - bytes < room.reserveBytes)
    return new TuttiError(
      'storage',
      `the disk has ${formatSize(room.freeBytes)} free and ${formatSize(room.reserveBytes)} of it are kept for what runs, so a package of ${formatSize(bytes)} has no room; free some space`,
    )
  return null
}

/** A package on the disk, whole or not. */
export interface Stored {
  readonly digest: PackageDigest
  /** Wall time when it was last wanted or touched. */
  readonly touchedAt: number
}

/** What may go, oldest first: `old` at once, `spare` when there is no room for another. */
export const removable = (
  stored: readonly Stored[],
  { needed, listed }: Keeping,
  wall: number,
): { readonly old: readonly PackageDigest[]; readonly spare: readonly PackageDigest[] } => {
  const loose = stored
    .filter(({ digest }) => !needed.has(digest))
    .toSorted((a, b) => a.touchedAt - b.touchedAt || compareStrings(a.digest, b.digest))
  const isOld = ({ digest, touchedAt }: Stored): boolean =>
    !listed.has(digest) && wall - touchedAt >= UNLISTED_KEPT_MS
  return {
    old: loose.filter(isOld).map(({ digest }) => digest),
    spare: loose.filter((each) => !isOld(each)).map(({ digest }) => digest),
  }
}

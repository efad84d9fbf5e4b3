// Where output lies: a folder for each slot, and in it two files for each instance (one a stream) with their stamps
// beside them. An instance's runs append to the same files, so a crash loop reads as one story. Names only, and which
// of them may be dropped; what is in the files is read elsewhere.

import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { instanceIdOf, type InstanceId, type ReleaseId, type SlotId } from '../../../lib/ids.ts'
import { compareStrings } from '../../../lib/order.ts'

export type Stream = 'stdout' | 'stderr'
export const STREAMS: readonly Stream[] = ['stdout', 'stderr']

/** One stream of one instance. */
export interface LogFile {
  readonly slot: SlotId
  readonly instance: InstanceId
  readonly stream: Stream
  readonly path: string
}

// Gone instances of a slot whose output is kept: the present trouble and a few deploys before it.
const GONE_PER_SLOT_MAX = 5
// A week: longer than the longest weekend after which somebody asks what happened.
const GONE_AGE_MAX_MS = 7 * 86_400_000
// Of all slots together, so that a fleet that shrinks or is renamed leaves no more than this.
const GONE_MAX = 500
/** Disk that output of gone instances takes, all slots together; beyond it the longest gone are dropped. */
export const GONE_BYTES_MAX = 1024 * 1024 * 1024
// stat(2) counts blocks of this size, whatever the file system's own is.
const STAT_BLOCK_BYTES = 512

const slotFolderName = (slot: string): string => slot.replaceAll('/', '~')
const idOfFolder = (name: string): SlotId => name.replaceAll('~', '/') as SlotId

/** The file of one stream of an instance under `folder`. */
export const logFileOf = (folder: string, instance: InstanceId, stream: Stream): LogFile => {
  const at = instance.lastIndexOf('@')
  const slot = instance.slice(0, at) as SlotId
  const path = join(folder, slotFolderName(slot), `${instance.slice(at + 1)}.${stream}`)
  return { slot, instance, stream, path }
}

/** Stamps of a stream's file. */
export const stampsPathOf = (path: string): string => `${path}.stamps`

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder).toSorted(compareStrings)
  } catch {
    return []
  }
}

const filesOfSlot = (folder: string, slotFolder: string): LogFile[] =>
  namesIn(join(folder, slotFolder)).flatMap((name) => {
    const match = /^([a-z0-9]+)\.(stdout|stderr)$/.exec(name)
    const slot = idOfFolder(slotFolder)
    if (match === null) return []
    return [
      {
        slot,
        instance: instanceIdOf(slot, match[1] as ReleaseId),
        stream: match[2] === 'stdout' ? 'stdout' : 'stderr',
        path: join(folder, slotFolder, name),
      },
    ]
  })

/** All files of a cell, a service or a slot, named as `shop`, `shop/web` or `shop/web/0`; by slot, release and stream. */
export const findLogFiles = (folder: string, of: string): LogFile[] => {
  const wanted = slotFolderName(of)
  return namesIn(folder)
    .filter((name) => name === wanted || name.startsWith(`${wanted}~`))
    .flatMap((name) => filesOfSlot(folder, name))
}

interface GoneOutput {
  readonly instance: InstanceId
  /** When it last wrote, or ended: its stamps are touched then, since a program may be silent for days and crash. */
  readonly lastedUntil: number
  readonly bytes: number
}

const goneOf = (folder: string, slotFolder: string, live: ReadonlySet<InstanceId>): GoneOutput[] => {
  const gone = new Map<InstanceId, GoneOutput>()
  for (const { instance, path } of filesOfSlot(folder, slotFolder)) {
    if (live.has(instance)) continue
    let { lastedUntil, bytes } = gone.get(instance) ?? { lastedUntil: 0, bytes: 0 }
    for (const file of [path, stampsPathOf(path)]) {
      const stat = statSync(file, { throwIfNoEntry: false })
      if (stat === undefined) continue
      lastedUntil = Math.max(lastedUntil, stat.mtimeMs)
      bytes += stat.blocks * STAT_BLOCK_BYTES
    }
    gone.set(instance, { instance, lastedUntil, bytes })
  }
  return [...gone.values()].toSorted((a, b) => b.lastedUntil - a.lastedUntil)
}

/**
 * Drops output of gone instances beyond the retention: per slot by count and age, of all slots by count and disk. Costs
 * two stats a file; called after instances ended and once an hour.
 */
export const dropOldOutput = (
  folder: string,
  live: ReadonlySet<InstanceId>,
  wall: number,
  bytesMax = GONE_BYTES_MAX,
): void => {
  const kept: GoneOutput[] = []
  for (const slotFolder of namesIn(folder)) {
    for (const [at, gone] of goneOf(folder, slotFolder, live).entries()) {
      if (at < GONE_PER_SLOT_MAX && wall - gone.lastedUntil < GONE_AGE_MAX_MS) kept.push(gone)
      else dropOutputOf(folder, gone.instance)
    }
  }
  kept.sort((a, b) => b.lastedUntil - a.lastedUntil)
  let bytes = 0
  for (const [at, gone] of kept.entries()) {
    bytes += gone.bytes
    if (at >= GONE_MAX || bytes > bytesMax) dropOutputOf(folder, gone.instance)
  }
}

const dropOutputOf = (folder: string, instance: InstanceId): void => {
  for (const stream of STREAMS) {
    const { path } = logFileOf(folder, instance, stream)
    for (const file of [path, stampsPathOf(path)]) rmSync(file, { force: true })
  }
  const { path } = logFileOf(folder, instance, 'stdout')
  const slotFolder = join(path, '..')
  if (namesIn(slotFolder).length === 0) rmSync(slotFolder, { recursive: true, force: true })
}

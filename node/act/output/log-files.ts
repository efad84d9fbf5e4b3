// Where output lies: a folder for each slot, and in it two files for each instance (one a stream) with their stamps
// beside them. An instance's runs append to the same files, so a crash loop reads as one story. Names only, and which
// of them may be dropped; what is in the files is read elsewhere.

import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  instanceIdOf,
  type InstanceId,
  type ReleaseId,
  type ServiceId,
  type SlotId,
} from '../../../lib/ids.ts'
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

/** All files of a service, or of one of its slots; by slot, release and stream. */
export const findLogFiles = (folder: string, service: ServiceId, slot?: SlotId): LogFile[] => {
  const prefix = `${slotFolderName(service)}~`
  return namesIn(folder)
    .filter((name) => (slot === undefined ? name.startsWith(prefix) : name === slotFolderName(slot)))
    .flatMap((name) => filesOfSlot(folder, name))
}

interface GoneOutput {
  readonly instance: InstanceId
  readonly writtenAt: number
}

/** Drops output of gone instances beyond the retention. Costs one stat a file; called at starts and once an hour. */
export const dropOldOutput = (folder: string, live: ReadonlySet<InstanceId>, wall: number): void => {
  const kept: GoneOutput[] = []
  for (const slotFolder of namesIn(folder)) {
    const gone = new Map<InstanceId, number>()
    for (const { instance, path } of filesOfSlot(folder, slotFolder)) {
      if (live.has(instance)) continue
      const writtenAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
      gone.set(instance, Math.max(writtenAt, gone.get(instance) ?? 0))
    }
    const newestFirst = [...gone].toSorted(([, a], [, b]) => b - a)
    for (const [at, [instance, writtenAt]] of newestFirst.entries()) {
      if (at < GONE_PER_SLOT_MAX && wall - writtenAt < GONE_AGE_MAX_MS) kept.push({ instance, writtenAt })
      else dropOutputOf(folder, instance)
    }
  }
  kept.sort((a, b) => b.writtenAt - a.writtenAt)
  for (const { instance } of kept.slice(GONE_MAX)) dropOutputOf(folder, instance)
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

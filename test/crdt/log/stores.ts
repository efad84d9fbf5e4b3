// Stores on simulated disks, and what was found on them, in words for the tests of the log beside this file.

import type { Loaded, Store } from '../../../crdt/store.ts'
import { textOf } from '../../../lib/bytes.ts'
import { seededRandom } from '../../../lib/random.ts'
import { SimulatedDisk } from '../../../simulations/disk.ts'
import { frame, texts } from '../../contracts/store.ts'

/** A disk whose faults follow from this seed. */
export const diskOf = (seed = 'store'): SimulatedDisk => new SimulatedDisk({ random: seededRandom(seed) })

/** The store on a disk, opened and read. */
export const loadedStore = async (disk: SimulatedDisk): Promise<Store> => {
  const store = disk.openStore()
  await store.load()
  return store
}

/** A disk after the power was cut on an idle store that had appended these, each on its own. */
export const diskWith = async (...records: readonly string[]): Promise<SimulatedDisk> => {
  const disk = diskOf()
  const store = await loadedStore(disk)
  for (const record of records) await store.append([frame(record)])
  disk.crash()
  return disk
}

/** Without repeats: after a snapshot the last group before it may be there twice. */
export const distinct = (loaded: Loaded): readonly string[] => [...new Set(texts(loaded.frames))]

/** The document of the snapshot that was found, as text. */
export const snapshotText = (loaded: Loaded): string | null =>
  loaded.snapshot === null ? null : textOf(loaded.snapshot.document)

// One launch from a prepared run directory to a shim that has told its identity: by the launcher, and where that fails once
// more by a fork of the peer itself. Whatever fails is given up first: nothing of it runs afterwards, and nothing will.

import { dirname, join } from 'node:path'
import { storageError, systemCodeOf } from '../../../../crdt/log/files.ts'
import { asTuttiError, TuttiError } from '../../../../lib/errors.ts'
import type { Log } from '../../../../lib/log.ts'
import type { Clock } from '../../../../lib/time.ts'
import type { InstanceRecord } from '../../../ports.ts'
import { watchAlive } from './alive.ts'
import type { Cgroups } from './cgroups/cgroups.ts'
import type { Confined } from './confinement.ts'
import { sweep } from './group.ts'
import { parseIdentity } from './identity.ts'
import { RUN_FILES, type LaunchTexts } from './launch.ts'
import type { RunFolders } from './run-folders.ts'
import { runOf, type Run } from './run.ts'
import { directLauncher, type Launcher } from './spawner.ts'

/** What launches are made with. */
export interface LaunchingOptions {
  readonly launcher: Launcher
  readonly folders: RunFolders
  readonly cgroups: Cgroups
  readonly clock: Clock
  readonly log: Log
}

/** One launch: all but the launcher. */
export interface Launch {
  readonly record: InstanceRecord
  readonly folder: string
  readonly texts: LaunchTexts
  readonly confined: Confined
  /** Writes into the run directory, once it is there, what the launch needs to find. */
  readonly write: () => void
}

// From the request to the shim's first line: 4 ms on a quiet machine; a machine this much slower is not working.
export const SPAWN_TIMEOUT_MS = 15_000

/**
 * What starts meet where a disk is full or out of order, or too much is open: `storageError` has words and a next step for it,
 * which an operator reads as the reason.
 */
const STORAGE_FAILURES: ReadonlySet<string> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EIO',
  'EMFILE',
  'ENFILE',
])

const isOfStorage = (error: unknown): boolean => STORAGE_FAILURES.has(systemCodeOf(error))

/** Makes the places of a run, of which no record need be yet: nothing is started. @throws TuttiError `storage`. */
export const preparePlaces = async (
  folder: string,
  directories: readonly string[],
  { launcher }: LaunchingOptions,
): Promise<void> => {
  try {
    await launcher.prepare(folder, directories)
  } catch (cause) {
    const what = `the directories of a run could not be made in ${dirname(folder)}`
    if (isOfStorage(cause)) throw storageError(cause, what)
    throw new TuttiError('storage', `${what}; see whether its disk has room and may be written to`, { cause })
  }
}

/** In a place that is prepared: one try with the launcher, one by a direct fork: a launcher that failed may or may not have launched. */
export const launchSafely = async (launch: Launch, options: LaunchingOptions): Promise<Run> => {
  const { launcher, cgroups, log } = options
  try {
    return await launchOnce(launcher, launch, options.clock)
  } catch (error) {
    await giveUp(launch, options)
    if (error instanceof TuttiError && error.code !== 'internal') throw error
    log.log('warn', 'a launch failed; it is tried once more by a fork of the peer itself', { error })
  }
  try {
    await cgroups.create(launch.record.nonce, launch.record.definition)
    await directLauncher.prepare(launch.folder, [])
    return await launchOnce(directLauncher, launch, options.clock)
  } catch (error) {
    await giveUp(launch, options)
    if (!isOfStorage(error)) throw asTuttiError(error)
    throw storageError(error, `the files of a run could not be made in ${dirname(launch.folder)}`)
  }
}

const launchOnce = async (launcher: Launcher, launch: Launch, clock: Clock): Promise<Run> => {
  const { record, folder, texts, write } = launch
  write()
  const alive = watchAlive(join(folder, RUN_FILES.alive))
  const late = Promise.withResolvers<never>()
  const cancel = clock.after(SPAWN_TIMEOUT_MS, () => {
    late.reject(new TuttiError('internal', `${record.instance} was not spawned in time`))
  })
  try {
    const started = launcher.launch(folder, texts).then(async () => await alive.told)
    const told = await Promise.race([started, late.promise])
    const shim = parseIdentity(told ?? '')
    if (shim === null) {
      throw new TuttiError(
        'refused',
        `${record.instance} could not be started; the last lines of its output say why`,
      )
    }
    return runOf(launch, shim, alive)
  } catch (error) {
    alive.close()
    throw error
  } finally {
    cancel()
  }
}

/** After it no process of the run exists, and none will. */
const giveUp = async (
  { record, confined }: Launch,
  { folders, cgroups, clock }: LaunchingOptions,
): Promise<void> => {
  const { nonce } = record
  folders.fence(nonce)
  await cgroups.remove(confined.groups)
  await sweep({ nonce, shim: folders.identityOf(nonce), watched: false }, clock)
  await folders.dropFenced(nonce)
}

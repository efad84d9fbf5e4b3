// Ends every instance that a peer left running, without a peer: for a machine that leaves tutti. It holds the data
// directory's lock meanwhile, so that no peer starts them again, and ends exactly what the records prove to be ours (S10).

import { join } from 'node:path'
import type { Log } from '../lib/log.ts'
import { systemClock } from './clock.ts'
import { openDataDirectory } from './act/disk/data-directory.ts'
import { ProcessDriver } from './act/drivers/process/driver.ts'
import { directLauncher } from './act/drivers/process/spawner.ts'
import { OutputStore } from './act/output/output.ts'

const silent: Log = { log: () => undefined }

/**
 * Signals each as its release says, waits its grace, and returns how many there were.
 * @throws TuttiError `busy` while a peer runs on the directory, `storage`.
 */
export const endInstances = async (directory: string): Promise<number> => {
  const data = await openDataDirectory(directory)
  const output = new OutputStore({ folder: data.output, peer: '', clock: systemClock, log: silent })
  const driver = new ProcessDriver({
    folder: join(data.directory, 'instances'),
    peer: '',
    clock: systemClock,
    log: silent,
    output,
    launcher: directLauncher,
  })
  try {
    const found = await driver.start({ exited: () => undefined, succeeded: () => undefined })
    const living = found.filter(({ pid }) => pid !== null)
    await Promise.all(
      living.map(async ({ record }) => {
        const { stopSignal, stopGraceMs } = record.definition
        await driver.stop(record.instance, stopSignal, stopGraceMs)
      }),
    )
    for (const { record } of found) await driver.forget(record.instance)
    return living.length
  } finally {
    await driver.close()
    await output.close()
    await data.close()
  }
}

// The process driver under the contract that every driver keeps.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../../../../node/clock.ts'
import { nonceOf } from '../../../../../node/act/drivers/process/identity.ts'
import { driverContract, type DriverBed } from '../../../../contracts/driver.ts'
import { heirContract } from '../../../../contracts/heirs.ts'
import { childrenOf, lives, makeBed } from '../../support/bed.ts'
import { until } from '../../../../support/until.ts'

const processBed = async (): Promise<DriverBed> => {
  const bed = makeBed()
  const fed = join(bed.folder, 'fed')
  return {
    programs: {
      lasting: ['sleep', '600'],
      // Late enough to be armed on a busy machine: it waits for nobody, so a moment is all there is.
      exits3: ['sh', '-c', 'sleep 0.3; exit 3'],
      exits0: ['sleep', '0.3'],
      leaves: ['sh', '-c', 'setsid sleep 600 & echo deaf; exec sleep 600'],
      deaf: ['sh', '-c', "trap '' TERM; echo deaf; while :; do sleep 600; done"],
      broken: ['no-such-program'],
      // It reads all of its one block into memory.
      hungry: [
        'sh',
        '-c',
        `while [ ! -e ${fed} ]; do sleep 0.01; done; exec dd if=/dev/zero of=/dev/null bs=1G count=1`,
      ],
    },
    makeDriver: () => bed.makeDriver(),
    lives,
    now: () => systemClock.now(),
    settle: async (promise) => await promise,
    deafened: async (instance) => {
      const { stdout } = bed.output.begin(instance)
      await until(() => readFileSync(stdout, 'utf8').includes('deaf'))
    },
    feed: () => writeFileSync(fed, ''),
    crash: async (pid) => {
      await until(() => childrenOf(pid).length > 0)
      for (const child of childrenOf(pid)) process.kill(child, 'SIGKILL')
    },
    followed: async (pid, nonce) => {
      await until(() => nonceOf(pid) === nonce)
    },
    cleanUp: async () => {
      await bed.cleanUp()
    },
  }
}

driverContract('process', processBed)
heirContract('process', processBed)

// The process driver under the contract that every driver keeps.

import { readFileSync } from 'node:fs'
import { systemClock } from '../../../../../node/clock.ts'
import { driverContract } from '../../../../contracts/driver.ts'
import { lives, makeBed, until } from '../../support/bed.ts'

driverContract('process', async () => {
  const bed = makeBed()
  return {
    programs: {
      lasting: ['sleep', '600'],
      exits3: ['sh', '-c', 'exit 3'],
      deaf: ['sh', '-c', "trap '' TERM; echo deaf; while :; do sleep 600; done"],
      broken: ['no-such-program'],
      // It reads all of its one block into memory.
      hungry: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1G', 'count=1'],
    },
    makeDriver: () => bed.makeDriver(),
    lives,
    now: () => systemClock.now(),
    settle: async (promise) => await promise,
    deafened: async (instance) => {
      const { stdout } = bed.output.begin(instance)
      await until(() => readFileSync(stdout, 'utf8').includes('deaf'))
    },
    cleanUp: async () => {
      await bed.cleanUp()
    },
  }
})

// S7: what runs on a machine never reserves more than the machine has, surge and still-stopping instances included. The
// processes themselves are counted, not what the peer says of them.

import { CPUS_MILLI, MEMORY_BYTES } from '../machine.ts'
import type { Checker } from './checker.ts'

export const capacity = (): Checker => ({
  invariant: 'S7',
  spawned: (_scene, machine, { cpusMilli, memoryBytes, instance }) => {
    const living = machine.processes.processes().filter(({ exit }) => exit === null)
    const cpus = living.reduce((sum, { record }) => sum + record.cpusMilli, 0)
    const memory = living.reduce((sum, { record }) => sum + record.memoryBytes, 0)
    const wrongs: string[] = []
    if (cpusMilli > 0 && cpus > CPUS_MILLI)
      wrongs.push(
        `${machine.name} has ${CPUS_MILLI} thousandths of a cpu and ${cpus} reserved since ${instance} started`,
      )
    if (memoryBytes > 0 && memory > MEMORY_BYTES)
      wrongs.push(
        `${machine.name} has ${MEMORY_BYTES} bytes and ${memory} reserved since ${instance} started`,
      )
    return wrongs
  },
})

// The executor under the contract that all hands keep, over the scripted driver.

import { tmpdir } from 'node:os'
import { silentLog } from '../../../lib/log.ts'
import { Executor } from '../../../node/act/executor.ts'
import { createPorts } from '../../../node/act/ports.ts'
import { ScriptedDriver } from '../../../simulations/processes.ts'
import { handsContract } from '../../contracts/hands.ts'

let nonces = 0

handsContract(
  'executor',
  (machine) =>
    new Executor({
      driver: new ScriptedDriver(machine),
      prober: { watch: () => ({ first: Promise.resolve(), stop: () => undefined }) },
      ports: createPorts('a', async () => await Promise.resolve(null)),
      clock: machine.clock,
      log: silentLog,
      peer: { name: 'a', environment: {} },
      directoryOf: () => tmpdir(),
      mintNonce: () => {
        nonces += 1
        return `nonce-${nonces}`
      },
      linkEnvironment: async () => await Promise.resolve({}),
    }),
)

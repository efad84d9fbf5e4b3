// A process of its own that hosts a driver, for tests that kill it. It spawns one instance and says so, or dies by its
// own hand at the named point of the spawn. Arguments: folder, point (`never`, `before-prepare`, `before-launch`,
// `after-launch`), nonce, command words.

import { join } from 'node:path'
import { ProcessDriver } from '../../../../node/act/drivers/process/driver.ts'
import { SafeLauncher, type Launcher } from '../../../../node/act/drivers/process/spawner.ts'
import { OutputStore } from '../../../../node/act/output/output.ts'
import { environmentFor, recordFor } from '../../../contracts/driver.ts'
import { keepingLog } from './bed.ts'
import { silentLog } from '../../../../lib/log.ts'
import { systemClock } from '../../../../node/clock.ts'

const [folder = '', point = 'never', nonce = '', ...command] = process.argv.slice(2)

const dieAt = (here: string): void => {
  if (point === here) process.kill(process.pid, 'SIGKILL')
}

const log = keepingLog()
const inner = new SafeLauncher(log)
const launcher: Launcher = {
  prepare: async (runDirectory, directories) => {
    dieAt('before-prepare')
    await inner.prepare(runDirectory, directories)
  },
  discard: async (runDirectory) => {
    await inner.discard(runDirectory)
  },
  launch: async (runDirectory, texts) => {
    dieAt('before-launch')
    const launched = inner.launch(runDirectory, texts)
    dieAt('after-launch')
    await launched
  },
  close: () => {
    inner.close()
  },
}

const output = new OutputStore({
  folder: join(folder, 'output'),
  peer: 'a',
  clock: systemClock,
  log: silentLog,
})
const driver = new ProcessDriver({
  folder: join(folder, 'instances'),
  peer: 'a',
  clock: systemClock,
  log,
  output,
  launcher,
})
await driver.start({ exited: () => undefined, succeeded: () => undefined })
const record = recordFor(command, { nonce })
const { pid } = await driver.spawn({ record, environment: environmentFor(record) })
process.stdout.write(`${pid}\n`)
// Lives until it is killed.
setInterval(() => undefined, 60_000)

// All machines get a new kernel, one after the other.

import { drain, uncordon } from '../../crdt/edits.ts'
import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

const REPLICAS = 4
/** A server's firmware takes its time. */
const REBOOT_MS = 40_000

export const rollingReboot: Scenario = {
  name: 'rolling-reboot',
  fear: 'while every machine is rebooted in turn, some request finds nobody to answer it',
  machines: 5,
  tell: async (stage) => {
    await stage.deployed(stage.machine(0), program('web', { replicas: REPLICAS }))
    stage.always('every replica of web answers', () => stage.ready('web') === REPLICAS)
    for (const [at, machine] of stage.machines.entries()) {
      const console = stage.machine((at + 1) % stage.machines.length)
      await stage.edit(console, `drain ${machine.name}`, (view) => drain(view, machine.name))
      await stage.until(`${machine.name} is empty`, () => stage.nonces(machine).length === 0)
      stage.power(machine, false)
      await stage.wait(REBOOT_MS)
      stage.power(machine, true)
      await stage.until(`${machine.name} is in sync`, () => machine.agent !== null && stage.agree())
      await stage.edit(console, `uncordon ${machine.name}`, (view) => uncordon(view, machine.name))
      await stage.wait(15_000)
    }
  },
}

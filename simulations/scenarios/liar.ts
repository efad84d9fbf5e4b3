// A member gone bad sends forged changes, broken signatures and rubbish for a minute, over its sound connections.

import { defined } from '../../lib/assert.ts'
import { LIARS } from '../faults/liars.ts'
import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

const LIES = 120
const BETWEEN_MS = 500
const REPLICAS = 4

export const liar: Scenario = {
  name: 'liar',
  fear: 'one machine that was broken into makes the others do what it says, or stops them',
  machines: 4,
  tell: async (stage) => {
    await stage.deployed(stage.machine(0), program('web', { replicas: REPLICAS }))
    await stage.wait(5000)
    const digest = stage.view(stage.machine(0)).digest
    const before = stage.machines.map((machine) => stage.nonces(machine).join())
    stage.always('every replica of web answers', () => stage.ready('web') === REPLICAS)
    stage.always('no document changes', () =>
      stage.world.snapshots().every(({ view }) => view.digest === digest),
    )
    stage.always('nothing is restarted', () =>
      stage.machines.every((machine, at) => stage.nonces(machine).join() === before[at]),
    )
    const fault = defined(LIARS[0], 'a fault that lies')
    const random = stage.world.random.fork('lies')
    for (let id = 0; id < LIES; id += 1) {
      const { word = '', amount = 0 } = fault.draw(random, stage.machines.length)
      const step = { id, atMs: 0, kind: fault.kind, machines: [3], lastsMs: 0, amount, word }
      stage.say(fault.say(step, stage.scene))
      fault.begin(stage.scene, step)
      stage.scene.disturb()
      await stage.wait(BETWEEN_MS)
    }
  },
}

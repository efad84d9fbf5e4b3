// Faults of machines and of the peers on them: kill -9, power loss, a frozen process, restarts in a row and of everybody
// at once. At most half of the machines less one is taken by those that last; mass restarts take all.

import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'
import type { Step } from '../schedule.ts'
import { lasting, namesOf, oneOf, seconds, type Begun, type Fault } from './fault.ts'

const take = (scene: Scene, step: Step, act: (machine: Machine) => void): Begun => {
  const [machine] = scene.machinesOf(step)
  if (machine === undefined || !scene.claim(machine, step)) return 'skipped'
  act(machine)
  return () => {
    scene.release(machine)
    scene.say(`${machine.name}: started`)
    scene.start(machine)
  }
}

export const PEER_FAULTS: readonly Fault[] = [
  {
    kind: 'kill',
    draw: (random, peers) => ({ machines: oneOf(random, peers), lastsMs: lasting(random, 100, 60_000) }),
    say: (step) => `${namesOf(step)}: kill -9 of the peer, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => take(scene, step, (machine) => machine.kill()),
  },
  {
    kind: 'power-off',
    draw: (random, peers) => ({ machines: oneOf(random, peers), lastsMs: lasting(random, 500, 90_000) }),
    say: (step) => `${namesOf(step)}: power loss, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => take(scene, step, (machine) => machine.powerOff()),
  },
  {
    kind: 'freeze',
    draw: (random, peers) => ({ machines: oneOf(random, peers), lastsMs: lasting(random, 200, 45_000) }),
    say: (step) => `${namesOf(step)}: frozen for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      if (machine === undefined || !scene.claim(machine, step)) return 'skipped'
      machine.freeze()
      return () => {
        scene.release(machine)
        scene.say(`${machine.name}: thawed`)
        machine.thaw()
      }
    },
  },
  {
    kind: 'restart-all',
    weight: 0.2,
    draw: (random, peers) => ({
      machines: Array.from({ length: peers }, (_, at) => at),
      lastsMs: lasting(random, 100, 20_000),
      amount: random.below(2),
    }),
    say: (step) =>
      `every machine ${step.amount === 0 ? 'loses its peer' : 'loses power'}, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const taken = scene.world.present().filter((machine) => scene.claim(machine, step))
      if (taken.length === 0) return 'skipped'
      for (const machine of taken) {
        if (step.amount === 0) machine.kill()
        else machine.powerOff()
      }
      return () => {
        scene.say('they are started again')
        for (const machine of taken) {
          scene.release(machine)
          scene.start(machine)
        }
      }
    },
  },
]

// Faults of what runs: instances that die by themselves. How they start, answer, hang, fork and ignore signals comes with
// the commands that operators deploy (services.ts).

import { namesOf, oneOf, type Fault } from './fault.ts'

export const INSTANCE_FAULTS: readonly Fault[] = [
  {
    kind: 'process-killed',
    weight: 0.8,
    draw: (random, peers) => ({ machines: oneOf(random, peers) }),
    say: (step) => `${namesOf(step)}: one of its processes is killed`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      const living = machine?.processes.processes().filter(({ exit }) => exit === null) ?? []
      const victim = living[scene.random(step).below(Math.max(1, living.length))]
      if (machine === undefined || victim === undefined) return 'skipped'
      machine.processes.kill(victim.record.instance)
      return 'done'
    },
  },
]

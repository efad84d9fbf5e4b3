// What a lease has to fear besides cuts and clocks: answers that take their time, and a holder that dies while it counts on
// them. Each alone is drawn elsewhere; together, and in this order, they would meet too seldom to prove anything.

import { ANSWER_MS, LEASE_MS } from '../../node/plan/lease/terms.ts'
import type { Scene } from '../scene.ts'
import type { Step } from '../schedule.ts'
import { lasting, namesOf, oneOf, pick, seconds, type Begun, type Fault } from './fault.ts'

/** How late, in parts of the patience of a round: all of them are still in time. */
const LATE = [0.3, 0.6, 0.9] as const
/** For so long nobody starts the dead peer: a lease, and whatever was counted on top of it. */
const DEAD_MS = 1.5 * LEASE_MS
/** What is added at random, so that answers of several voters come apart. */
const SPREAD_MS = 50

export const LEASE_FAULTS: readonly Fault[] = [
  {
    kind: 'late-answers',
    weight: 0.4,
    draw: (random, peers) => ({
      machines: oneOf(random, peers),
      lastsMs: DEAD_MS + lasting(random, 4000, 20_000),
      amount: pick(random, LATE) * ANSWER_MS,
    }),
    say: (step) =>
      `${namesOf(step)}: all that it is told comes ${seconds(step.amount)} late, for ${seconds(step.lastsMs - DEAD_MS)}; then kill -9 of its peer, for ${seconds(DEAD_MS)}`,
    begin: (scene, step) => deafen(scene, step),
  },
]

const deafen = (scene: Scene, step: Step): Begun => {
  const [machine] = scene.machinesOf(step)
  if (machine === undefined || !scene.claim(machine, step)) return 'skipped'
  const { member } = machine.signer
  const mend = scene.links.add({
    concerns: (_, to) => to === member,
    conditions: { delayMinMs: step.amount, delayMaxMs: step.amount + SPREAD_MS },
  })
  const cancel = scene.world.simulator.after(step.lastsMs - DEAD_MS, () => {
    mend()
    if (!machine.retired) machine.kill()
  })
  return () => {
    cancel()
    mend()
    scene.release(machine)
    scene.start(machine)
  }
}

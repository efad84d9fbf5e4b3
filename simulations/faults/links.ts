// Faults of the network: loss, delay, reordering, repetition and bit flips on some links, and cuts of every shape that
// Alquraan et al. found in the field (An Analysis of Network-Partitioning Failures in Cloud Systems, OSDI 2018): complete,
// partial (a bridge still sees both sides) and simplex (one way only); and links that flap.

import type { MemberId } from '../../lib/ids.ts'
import type { LinkConditions } from '../network.ts'
import type { Scene } from '../scene.ts'
import type { Step } from '../schedule.ts'
import { lasting, namesOf, oneOf, pick, seconds, someOf, type Fault } from './fault.ts'

const membersOf = (scene: Scene, step: Step): ReadonlySet<MemberId> =>
  new Set(scene.machinesOf(step).map(({ signer }) => signer.member))

/** Bad conditions on every link of some machines, by a name and an amount. */
const CONDITIONS: Readonly<Record<string, (amount: number) => Partial<LinkConditions>>> = {
  loss: (amount) => ({ lossRate: amount }),
  delay: (amount) => ({ delayMinMs: 20, delayMaxMs: 20 + amount * 1000 }),
  reorder: (amount) => ({ reorderRate: amount }),
  repeat: (amount) => ({ duplicateRate: amount }),
  flip: (amount) => ({ flipRate: amount / 10 }),
}

const bad = (name: string, weight: number): Fault => ({
  kind: `link-${name}`,
  weight,
  draw: (random, peers) => ({
    machines: someOf(random, peers),
    lastsMs: lasting(random, 1000, 60_000),
    amount: pick(random, [0.02, 0.1, 0.3]),
  }),
  say: (step) => `links of ${namesOf(step)}: ${name} of ${step.amount}, for ${seconds(step.lastsMs)}`,
  begin: (scene, step) => {
    const some = membersOf(scene, step)
    return scene.links.add({
      concerns: (from, to) => some.has(from) || some.has(to),
      conditions: CONDITIONS[name]?.(step.amount) ?? {},
    })
  },
})

/** Up for a while, down for a while: whoever toggles faster than others decide must move nothing (L4). */
const FLAP_MS = [300, 1500, 4000] as const

export const LINK_FAULTS: readonly Fault[] = [
  bad('loss', 0.6),
  bad('delay', 0.6),
  bad('reorder', 0.4),
  bad('repeat', 0.4),
  bad('flip', 0.4),
  {
    kind: 'partition',
    draw: (random, peers) => ({ machines: someOf(random, peers), lastsMs: lasting(random, 500, 60_000) }),
    say: (step) => `split: ${namesOf(step)} | the rest, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const side = membersOf(scene, step)
      return scene.links.add({ cut: true, concerns: (from, to) => side.has(from) !== side.has(to) })
    },
  },
  {
    kind: 'one-way',
    weight: 0.7,
    draw: (random, peers) => ({ machines: someOf(random, peers), lastsMs: lasting(random, 500, 60_000) }),
    say: (step) => `nothing leaves ${namesOf(step)} for the rest, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const side = membersOf(scene, step)
      return scene.links.add({ cut: true, concerns: (from, to) => side.has(from) && !side.has(to) })
    },
  },
  {
    kind: 'bridge',
    weight: 0.7,
    // The last machine is the bridge.
    draw: (random, peers) => {
      const bridge = random.below(peers)
      const side = someOf(random, peers).filter((machine) => machine !== bridge)
      return { machines: [...side, bridge], lastsMs: lasting(random, 500, 60_000) }
    },
    say: (step) =>
      `split with a bridge: ${namesOf({ ...step, machines: step.machines.slice(0, -1) })} | m${step.machines.at(-1)} | the rest, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const bridge = scene.machine(step.machines.at(-1))?.signer.member
      const side = membersOf(scene, { ...step, machines: step.machines.slice(0, -1) })
      return scene.links.add({
        cut: true,
        concerns: (from, to) => from !== bridge && to !== bridge && side.has(from) !== side.has(to),
      })
    },
  },
  {
    kind: 'flapping',
    weight: 0.5,
    draw: (random, peers) => ({
      machines: oneOf(random, peers),
      lastsMs: lasting(random, 5000, 60_000),
      amount: pick(random, FLAP_MS),
    }),
    say: (step) =>
      `links of ${namesOf(step)} flap every ${seconds(step.amount)}, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => flap(scene, step),
  },
]

const flap = (scene: Scene, step: Step): (() => void) => {
  const some = membersOf(scene, step)
  const { simulator } = scene.world
  let mend: (() => void) | null = null
  let cancel = (): void => undefined
  const turn = (): void => {
    if (mend === null)
      mend = scene.links.add({ cut: true, concerns: (from, to) => some.has(from) || some.has(to) })
    else {
      mend()
      mend = null
    }
    cancel = simulator.after(step.amount, turn)
  }
  turn()
  return () => {
    cancel()
    mend?.()
  }
}

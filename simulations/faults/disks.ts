// Faults of disks: full, slow, failing to sync, wiped, replaced by an old backup, and cloned. Torn and lost unsynced writes
// come with every power loss (disk.ts). Whoever loses a disk for good first lets the referee see what was on it.

import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'
import type { Step } from '../schedule.ts'
import { noteEdits } from '../services.ts'
import { isKnown, turnAwayStrangers } from '../strangers.ts'
import { lasting, namesOf, oneOf, pick, seconds, type Begun, type Fault } from './fault.ts'

/** Each operation of a slow disk takes one of these. */
const SLOW_MS = [20, 300, 2000] as const

const trouble = (
  kind: string,
  words: string,
  weight: number,
  begin: (machine: Machine, step: Step) => void,
): Fault => ({
  kind,
  weight,
  draw: (random, peers) => ({
    machines: oneOf(random, peers),
    lastsMs: lasting(random, 500, 40_000),
    amount: pick(random, SLOW_MS),
  }),
  say: (step) => `${namesOf(step)}: disk ${words}, for ${seconds(step.lastsMs)}`,
  begin: (scene, step) => {
    const [machine] = scene.machinesOf(step)
    if (machine === undefined) return 'skipped'
    begin(machine, step)
    return () => machine.disk.heal()
  },
})

/** Stops a peer, lets its disk change hands, and starts it. */
const exchange = (scene: Scene, step: Step, act: (machine: Machine) => Promise<void> | void): Begun => {
  const [machine] = scene.machinesOf(step)
  if (machine === undefined || !scene.claim(machine, step)) return 'skipped'
  void lose(scene, machine, act)
  return () => {
    scene.release(machine)
    scene.say(`${machine.name}: started on that disk`)
    scene.start(machine)
  }
}

/** Takes the disk away. The last of several copies may go: what nobody else has is excused, by whoever answers for it. */
const lose = async (
  scene: Scene,
  machine: Machine,
  act: (machine: Machine) => Promise<void> | void,
): Promise<void> => {
  machine.powerOff()
  // Two that lose theirs at one instant could each count on the other's.
  await scene.inTurn(async () => {
    await scene.referee.askLater('losing', (check, whole) => check(whole, machine))
    await act(machine)
    await turnAwayStrangers(scene)
  })
}

/** A cluster whose last disk is destroyed is lost, and no rule could mend that. Reads disks, and awaits nothing else. */
const isLastOne = async ({ world }: Scene, machine: Machine): Promise<boolean> =>
  !(await isKnown(machine, world.present()))

const bootstrapOf = (scene: Scene, machine: Machine) =>
  scene.world
    .present()
    .filter((other) => other !== machine)
    .map(({ signer: { member } }) => ({ id: member, addresses: [scene.world.network.addressOf(member)] }))

export const DISK_FAULTS: readonly Fault[] = [
  trouble('disk-full', 'full', 0.6, ({ disk }) => {
    disk.full = true
  }),
  trouble('disk-slow', 'slow', 0.6, ({ disk }, { amount }) => {
    disk.slowMs = amount
  }),
  trouble('disk-sync', 'fails its next sync', 0.6, ({ disk }) => disk.failNext('sync', 'EIO')),
  {
    kind: 'disk-refuses',
    weight: 0.4,
    draw: (random, peers) => ({ machines: oneOf(random, peers), lastsMs: lasting(random, 4000, 40_000) }),
    say: (step) =>
      `${namesOf(step)}: an edit meets a full disk, and a process dies meanwhile, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      if (machine === undefined || machine.agent === null || scene.isBroken(machine)) return 'skipped'
      machine.disk.full = true
      void scene.edit(machine, `note-${step.id}`, (view) => noteEdits(view, `note-${step.id}`))
      let isOver = false
      scene.world.simulator.after(step.lastsMs / 4, () => {
        if (isOver) return
        const ready = machine.processes
          .processes()
          .filter(({ record }) => machine.processes.isWell(record.instance))
        const victim = ready[scene.random(step).below(Math.max(1, ready.length))]
        if (victim !== undefined) machine.processes.kill(victim.record.instance)
      })
      return () => {
        isOver = true
        machine.disk.heal()
      }
    },
  },
  {
    kind: 'disk-wiped',
    weight: 0.2,
    draw: (random, peers) => ({ machines: oneOf(random, peers), lastsMs: lasting(random, 500, 30_000) }),
    say: (step) => `${namesOf(step)}: its disk is wiped; back in ${seconds(step.lastsMs)}`,
    begin: (scene, step) =>
      exchange(scene, step, async (machine) => {
        if (await isLastOne(scene, machine))
          scene.say(`${machine.name}: nobody else has the document, so its disk is spared`)
        else machine.wipe(bootstrapOf(scene, machine))
      }),
  },
  {
    kind: 'disk-old',
    weight: 0.3,
    // The backup is taken at the step, and put back at its end.
    draw: (random, peers) => ({ machines: oneOf(random, peers), lastsMs: lasting(random, 2000, 60_000) }),
    say: (step) => `${namesOf(step)}: a backup is taken, and will be put back in ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      if (machine === undefined) return 'skipped'
      const backup = machine.backup()
      return () => {
        if (!scene.claim(machine, step)) return
        scene.say(`${machine.name}: the backup is put back`)
        void lose(scene, machine, () => machine.restore(backup)).then(() => {
          scene.release(machine)
          scene.start(machine)
        })
      }
    },
  },
  {
    kind: 'disk-cloned',
    weight: 0.2,
    draw: (random, peers) => ({ machines: oneOf(random, peers), lastsMs: lasting(random, 3000, 30_000) }),
    say: (step) =>
      `${namesOf(step)}: a clone of it runs elsewhere, and takes its place in ${seconds(step.lastsMs)}`,
    begin: (scene, step) => clone(scene, step),
  },
]

/** Two peers of one identity write at once; later only the clone's disk is left, and what the other wrote is with the others. */
const clone = (scene: Scene, step: Step): Begun => {
  const [machine] = scene.machinesOf(step)
  // Claimed for as long as there are two: a clone that could not take the place would take its acknowledged edit away.
  if (machine === undefined || !scene.claim(machine, step)) return 'skipped'
  const twin = machine.clone()
  scene.world.simulator.after(step.lastsMs / 2, () => {
    if (twin.agent === null || machine.agent === null) return
    // Both write, at one instant, on top of the same history.
    void scene.edit(twin, 'write at the clone', (view) => noteEdits(view, `clone-${step.id}`))
    void scene.edit(machine, 'write at the original', (view) => noteEdits(view, `original-${step.id}`))
  })
  twin.start().catch(() => twin.kill())
  return () => {
    const backup = twin.backup()
    if (twin.running) twin.kill()
    scene.say(`${machine.name}: the clone takes its place`)
    void lose(scene, machine, () => machine.restore(backup)).then(() => {
      scene.release(machine)
      scene.start(machine)
    })
  }
}

// Operators: they deploy, scale, restart, stop, drain, cordon, remove and join at whatever machine answers, also on both
// sides of a split, and against each other at one instant. Edits are begun and never waited for, as in life: one may hang
// on a slow disk, or its peer may die.

import {
  applyCell,
  cordon,
  drain,
  removeMember,
  removeService,
  restart,
  scale,
  start,
  stop,
  uncordon,
} from '../../crdt/edits.ts'
import type { Edit } from '../../crdt/edit.ts'
import type { View } from '../../crdt/schema/view.ts'
import { asTuttiError } from '../../lib/errors.ts'
import { serviceIdOf } from '../../lib/ids.ts'
import type { Random } from '../../lib/random.ts'
import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'
import type { Draw, Step } from '../schedule.ts'
import { CELL, drawCommand, noteEdits, REPLICAS_MAX, SERVICES, specOf } from '../services.ts'
import { isNewcomer, newcomerName, turnAwayStrangers } from '../strangers.ts'
import { oneOf, pick, type Begun, type Fault } from './fault.ts'

type Edits = (view: View) => readonly Edit[]

const at = (scene: Scene, machine: Machine | undefined, what: string, edits: Edits): Begun => {
  if (machine === undefined || machine.agent === null || scene.isBroken(machine)) return 'skipped'
  void scene.edit(machine, what, edits)
  return 'done'
}

/** An act on one service at one machine. */
const onService = (
  kind: string,
  weight: number,
  words: (step: Step) => string,
  edits: (view: View, step: Step, scene: Scene) => readonly Edit[],
  draw: (random: Random) => Partial<Draw> = () => ({}),
): Fault => ({
  kind,
  weight,
  draw: (random, peers) => ({
    machines: oneOf(random, peers),
    word: pick(random, SERVICES),
    ...draw(random),
  }),
  say: (step) => `m${step.machines[0]}: ${words(step)}`,
  begin: (scene, step) =>
    at(scene, scene.machinesOf(step)[0], words(step), (view) => edits(view, step, scene)),
})

/** An act on one machine at another. */
const onMachine = (
  kind: string,
  weight: number,
  edits: (view: View, name: string) => readonly Edit[],
): Fault => ({
  kind,
  weight,
  draw: (random, peers) => ({ machines: [random.below(peers), random.below(peers)] }),
  say: (step) => `m${step.machines[0]}: ${kind} m${step.machines[1]}`,
  begin: (scene, step) => {
    const [by, whom] = scene.machinesOf(step)
    return whom === undefined
      ? 'skipped'
      : at(scene, by, `${kind} ${whom.name}`, (view) => edits(view, whom.name))
  },
})

const service = (step: Step) => serviceIdOf(CELL, step.word)

/** A cell file with the commands that a step names, one for each service, `-` where a service is left out of it. */
export const cellEdits = (scene: Scene, view: View, word: string): readonly Edit[] => {
  const commands = word.split(',')
  const services = SERVICES.flatMap((name, number) => {
    const [replicas = '1', command = ''] = (commands[number] ?? '-').split(':')
    if (replicas === '-') return []
    const spec = specOf(scene.world.random, name, command)
    return [spec.mode === 'global' ? spec : { ...spec, replicas: Number(replicas) }]
  })
  return applyCell(view, { name: CELL, services }).edits
}

const drawCell = (random: Random): string =>
  SERVICES.map(() =>
    random.below(7) === 0 ? '-' : `${1 + random.below(REPLICAS_MAX)}:${drawCommand(random)}`,
  ).join(',')

const ACTS: readonly Fault[] = [
  {
    kind: 'deploy',
    weight: 1.5,
    draw: (random, peers) => ({ machines: oneOf(random, peers), word: drawCell(random) }),
    say: (step) => `m${step.machines[0]}: apply ${step.word}`,
    begin: (scene, step) =>
      at(scene, scene.machinesOf(step)[0], `apply ${step.word}`, (view) => cellEdits(scene, view, step.word)),
  },
  onService(
    'scale',
    1,
    (step) => `scale ${step.word}=${step.amount}`,
    (view, step) => scale(view, service(step), step.amount),
    (random) => ({ amount: random.below(REPLICAS_MAX + 1) }),
  ),
  onService(
    'restart',
    0.7,
    (step) => `restart ${step.word}`,
    (view, step) => restart(view, service(step), `${step.id}`),
  ),
  onService(
    'stop',
    0.3,
    (step) => `${step.amount === 0 ? 'stop' : 'start'} ${step.word}`,
    (view, step) => (step.amount === 0 ? stop : start)(view, service(step)),
    (random) => ({ amount: random.below(2) }),
  ),
  onService(
    'delete',
    0.3,
    (step) => `rm ${step.word}`,
    (view, step) => removeService(view, service(step)),
  ),
  onMachine('drain', 0.4, drain),
  onMachine('cordon', 0.4, cordon),
  onMachine('uncordon', 0.8, uncordon),
  {
    kind: 'note',
    draw: (random, peers) => ({ machines: oneOf(random, peers) }),
    say: (step) => `m${step.machines[0]}: create note-${step.id}`,
    begin: (scene, step) => {
      const name = `note-${step.id}`
      return at(scene, scene.machinesOf(step)[0], `create ${name}`, (view) => noteEdits(view, name))
    },
  },
  {
    kind: 'rivals',
    weight: 0.6,
    draw: (random, peers) => ({
      machines: [random.below(peers), random.below(peers)],
      word: pick(random, SERVICES),
      amount: random.below(REPLICAS_MAX),
    }),
    say: (step) =>
      `m${step.machines[0]} and m${step.machines[1]}: scale ${step.word} to ${step.amount} and to ${step.amount + 1}`,
    begin: (scene, step) => {
      const [one, other] = scene.machinesOf(step)
      const begun = [one, other].map((machine, more) =>
        at(scene, machine, `scale ${step.word}=${step.amount + more}`, (view) =>
          scale(view, service(step), step.amount + more),
        ),
      )
      return begun.includes('done') ? 'done' : 'skipped'
    },
  },
  {
    kind: 'join',
    weight: 0.2,
    draw: (random, peers) => ({ machines: oneOf(random, peers) }),
    say: (step, scene) => `m${step.machines[0]}: a ticket for m${scene.world.machines.length - 1}`,
    begin: (scene, step) => join(scene, step),
  },
  {
    kind: 'remove',
    weight: 0.15,
    draw: (random, peers) => ({ machines: [random.below(peers), random.below(peers)] }),
    say: (step) => `m${step.machines[0]}: rm the peer of m${step.machines[1]}, whose machine is taken away`,
    begin: (scene, step) => remove(scene, step),
  },
]

/** Every act; those that change who is there may take something away. */
export const OPERATOR_ACTS: readonly Fault[] = ACTS.map((act) => ({
  ...act,
  gentle: act.kind !== 'remove' && act.kind !== 'join',
}))

/** How long a removed machine runs on where it does: longer than a redial and an exchange. */
const LINGER_MS = 5000

/** Machines that join beyond this make a run another size. */
const JOINS_MAX = 3

const join = (scene: Scene, step: Step): Begun => {
  const { world } = scene
  const [by] = scene.machinesOf(step)
  const joined = world.machines.filter(isNewcomer).length
  if (by === undefined || by.agent === null || scene.isBroken(by) || joined >= JOINS_MAX) return 'skipped'
  const machine = world.machine(newcomerName(step))
  // Until it is admitted it is nobody whom a verdict could wait for.
  machine.retired = true
  world
    .joinSoon(machine, by)
    .then(() => {
      machine.retired = false
      scene.links.refresh()
      scene.disturb()
    })
    .catch((thrown: unknown) => scene.say(`${machine.name}: did not join: ${asTuttiError(thrown).message}`))
  return 'done'
}

const remove = (scene: Scene, step: Step): Begun => {
  const [by, whom] = scene.machinesOf(step)
  // The first machine stays, so that there is an operator; and two must be left to make a cluster.
  if (by === undefined || whom === undefined || by === whom || whom === scene.world.machines[0])
    return 'skipped'
  if (by.agent === null || scene.isBroken(by) || scene.world.present().length <= 2) return 'skipped'
  const removal = scene.edit(by, `rm ${whom.name}`, (view) => removeMember(view, whom.name))
  void removal.then(async (acknowledged) => {
    if (!acknowledged || whom.retired) return
    await scene.referee.askLater('losing', (check, whole) => check(whole, whom))
    whom.retired = true
    scene.disturb()
    // Some machines are taken away at once; others run on, and must find every door closed.
    const takeAway = (): void => {
      if (whom.running) whom.powerOff()
      // Not before: one that is frozen stays so as long as it is there.
      scene.release(whom)
      void scene.inTurn(() => turnAwayStrangers(scene))
    }
    if (scene.random(step).below(2) === 0) takeAway()
    else scene.world.simulator.after(LINGER_MS, takeAway)
  })
  return 'done'
}

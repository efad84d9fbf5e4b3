// Mixed fleets: machines whose peer is restarted as an older or a newer version, or as the present one again, and stays
// so. And operators who use a field of the document that an older version cannot read: whoever of the peers knows of an
// older one refuses that, and of most that come one operator finds it out. Two histories are left out, since no rule of a cluster without a server could mend them: a peer
// that is put back to an older version once such a field has been used, and an edit in the moments in which its peer
// cannot know yet that another one was put back.

import { applyCell } from '../../crdt/edits.ts'
import type { Edit } from '../../crdt/edit.ts'
import type { View } from '../../crdt/schema/view.ts'
import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'
import type { Step } from '../schedule.ts'
import { CELL, SERVICES } from '../services.ts'
import type { Version } from '../versions.ts'
import { lasting, namesOf, oneOf, pick, seconds, type Begun, type Fault } from './fault.ts'

const VERSIONS = ['older', 'older', 'newer', 'present'] as const

/** After a peer is back as an older version most others have heard so, and most of what befalls it is still to come. */
const HEARD_MIN_MS = 2000
const HEARD_MAX_MS = 15_000

const exchange = (scene: Scene, step: Step): Begun => {
  const [machine] = scene.machinesOf(step)
  const version = step.word as Version
  if (machine === undefined || machine.version === version) return 'skipped'
  if (version === 'older' && scene.laterFields) return 'skipped'
  if (!scene.claim(machine, step)) return 'skipped'
  machine.kill()
  machine.version = version
  return () => {
    scene.release(machine)
    scene.say(`${machine.name}: started`)
    scene.start(machine)
    if (version === 'older') confineLater(scene, step)
  }
}

/**
 * Steps that confine come alone, and hardly ever while an older version is about: so some of those who have heard of this one
 * are asked for what it cannot read. Drawn apart from the schedule, which stays as it was.
 */
const confineLater = (scene: Scene, step: Step): void => {
  const random = scene.random(step).fork('confine')
  const service = pick(random, SERVICES)
  scene.later(lasting(random, HEARD_MIN_MS, HEARD_MAX_MS), () => {
    const older = olderOf(scene)
    const asked = scene.world
      .present()
      .filter((machine) => machine.agent !== null && !scene.isBroken(machine) && knowsOf(machine, older))
    const machine = asked[random.below(asked.length)]
    if (older.length > 0 && machine !== undefined) confine(scene, machine, 'sandbox', service)
  })
}

const olderOf = ({ world }: Scene): readonly Machine[] =>
  world.present().filter(({ version }) => version === 'older')

const confine = (scene: Scene, machine: Machine, isolation: 'none' | 'sandbox', service: string): void =>
  void scene.edit(machine, `isolate ${service}`, (view) => confined(view, isolation, service))

/** Every service of the cell as it is, confined or not. */
const confined = (view: View, isolation: 'none' | 'sandbox', service: string): readonly Edit[] => {
  const services = view.services.filter(({ cell }) => cell === CELL)
  return applyCell(view, {
    name: CELL,
    services: services.map((one) => (one.name === service ? { ...one, isolation } : one)),
  }).edits
}

/** What the machine's peer has heard of every older one is that one's word since it is older. */
const knowsOf = (machine: Machine, older: readonly Machine[]): boolean =>
  older.every(({ signer }) => {
    const said = machine.agent?.snapshot().statuses.get(signer.member)
    return said !== undefined && said.facts !== null && said.formats === undefined
  })

export const VERSION_FAULTS: readonly Fault[] = [
  {
    kind: 'version',
    weight: 0.8,
    draw: (random, peers) => ({
      machines: oneOf(random, peers),
      lastsMs: lasting(random, 100, 5000),
      word: pick(random, VERSIONS),
    }),
    say: (step) =>
      `${namesOf(step)}: its peer is exchanged for the ${step.word} version, within ${seconds(step.lastsMs)}`,
    begin: exchange,
  },
  {
    kind: 'confine',
    weight: 0.4,
    draw: (random, peers) => ({
      machines: oneOf(random, peers),
      word: pick(random, SERVICES),
      amount: random.below(3),
    }),
    say: (step) => `${namesOf(step)}: ${step.word} is isolated: ${step.amount === 0 ? 'no' : 'yes'}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      if (machine === undefined || machine.agent === null || scene.isBroken(machine)) return 'skipped'
      const older = olderOf(scene)
      if (!knowsOf(machine, older)) return 'skipped'
      if (older.length === 0) scene.laterFields = true
      confine(scene, machine, step.amount === 0 ? 'none' : 'sandbox', step.word)
      return 'done'
    },
  },
]

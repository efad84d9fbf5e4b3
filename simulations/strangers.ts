// Machines that are strangers to their cluster: whoever admitted one lost its disk, or was taken away, before anybody else
// had heard of it. The newcomer alone knows that it was admitted, and no member opens a door to a stranger on the
// stranger's word. No rule could mend that: its operator lets it join again, which here is to take it away.

import type { MemberId } from '../lib/ids.ts'
import { seededRandom } from '../lib/random.ts'
import type { Machine } from './machine.ts'
import { scratchReplica } from './records.ts'
import type { Scene } from './scene.ts'
import type { Step } from './schedule.ts'

/** How the names of machines that join begin. */
const NEWCOMER = 'j'

/** The name of a machine that joins by that step. */
export const newcomerName = (step: Step): string => `${NEWCOMER}${step.id}`

export const isNewcomer = ({ name }: Machine): boolean => name.startsWith(NEWCOMER)

/**
 * Takes away every newcomer of whom no older member's disk knows, nor the disk of a newcomer of whom one does: two strangers may
 * well know each other. Reads disks, and awaits nothing else.
 */
export const turnAwayStrangers = async (scene: Scene): Promise<void> => {
  const { world, referee } = scene
  const present = world.present()
  const documents = await membersOnDisks(present)
  const known = new Set([...documents.keys()].filter((machine) => !isNewcomer(machine)))
  // Where no other disk holds one, the newcomers' is the document.
  if (known.size === 0) return
  // A set is walked in the order of its growth: whoever is added is asked as well.
  for (const one of known) {
    for (const other of present) if (documents.get(one)?.has(other.signer.member) === true) known.add(other)
  }
  for (const newcomer of present.filter((machine) => isNewcomer(machine) && !known.has(machine))) {
    await referee.askLater('losing', (check, whole) => check(whole, newcomer))
    scene.say(`${newcomer.name}: nobody has heard of its admission, and it is taken away`)
    scene.disturb()
    newcomer.retired = true
    if (newcomer.running) newcomer.powerOff()
    scene.release(newcomer)
  }
}

/** Whether another one of these machines has it among its members on its disk. */
export const isKnown = async (machine: Machine, machines: readonly Machine[]): Promise<boolean> =>
  [...(await membersOnDisks(machines))].some(
    ([other, members]) => other !== machine && members.has(machine.signer.member),
  )

/** Of every machine whose disk holds a document: the members that it names. */
const membersOnDisks = async (
  machines: readonly Machine[],
): Promise<ReadonlyMap<Machine, ReadonlySet<MemberId>>> => {
  const found = new Map<Machine, ReadonlySet<MemberId>>()
  for (const machine of machines) {
    const replica = await scratchReplica(machine, seededRandom('strangers'))
    const members = replica?.view().members ?? []
    if (members.length > 0) found.set(machine, new Set(members.map(({ id }) => id)))
  }
  return found
}

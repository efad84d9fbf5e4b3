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
  const unknown = new Set(present.filter(isNewcomer))
  const known = present.filter((machine) => !unknown.has(machine))
  let documents = 0
  // An array is walked in the order of its growth: whoever is added is asked as well. A disk is only read while somebody is unknown.
  for (const one of known) {
    if (unknown.size === 0) return
    const members = await membersOnDisk(one)
    if (members.size > 0) documents += 1
    for (const other of unknown)
      if (members.has(other.signer.member) && unknown.delete(other)) known.push(other)
  }
  // Where no other disk holds one, the newcomers' is the document.
  if (documents === 0) return
  for (const newcomer of unknown) {
    await referee.askLater('losing', (check, whole) => check(whole, newcomer))
    scene.say(`${newcomer.name}: nobody has heard of its admission, and it is taken away`)
    scene.disturb()
    newcomer.retired = true
    if (newcomer.running) newcomer.powerOff()
    scene.release(newcomer)
  }
}

/** Whether another one of these machines has it among its members on its disk. Reads no more disks than it must. */
export const isKnown = async (machine: Machine, machines: readonly Machine[]): Promise<boolean> => {
  for (const other of machines)
    if (other !== machine && (await membersOnDisk(other)).has(machine.signer.member)) return true
  return false
}

/** The members that the document on this machine's disk names; none where there is no document. */
const membersOnDisk = async (machine: Machine): Promise<ReadonlySet<MemberId>> => {
  const replica = await scratchReplica(machine, seededRandom('strangers'))
  return new Set(replica?.view().members.map(({ id }) => id))
}

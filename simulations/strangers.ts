// Machines that are strangers to their cluster: whoever admitted one lost its disk before anybody else had heard of it. The
// newcomer alone knows that it was admitted, and no member opens a door to a stranger on the stranger's word. No rule could
// mend that: its operator lets it join again, which here is to take it away.

import type { MemberId } from '../lib/ids.ts'
import { seededRandom } from '../lib/random.ts'
import { NEWCOMER } from './faults/operators.ts'
import type { Machine } from './machine.ts'
import { scratchReplica } from './records.ts'
import type { Scene } from './scene.ts'

/** Takes away every newcomer whom no other disk knows that holds a document. Reads disks, and awaits nothing else. */
export const turnAwayStrangers = async (scene: Scene): Promise<void> => {
  const { world, referee } = scene
  for (const newcomer of world.present().filter(({ name }) => name.startsWith(NEWCOMER))) {
    const others = await membersOnDisks(newcomer, world.present())
    // Where no other disk holds one, the newcomer's is the document.
    if (others.length === 0 || others.some((members) => members.has(newcomer.signer.member))) continue
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
  (await membersOnDisks(machine, machines)).some((members) => members.has(machine.signer.member))

/** Of every other machine whose disk holds a document: the members that it names. */
const membersOnDisks = async (
  { signer }: Machine,
  machines: readonly Machine[],
): Promise<readonly ReadonlySet<MemberId>[]> => {
  const found: ReadonlySet<MemberId>[] = []
  for (const other of machines) {
    if (other.signer.member === signer.member) continue
    const replica = await scratchReplica(other, seededRandom('strangers'))
    const members = replica?.view().members ?? []
    if (members.length > 0) found.push(new Set(members.map(({ id }) => id)))
  }
  return found
}

// Machines that are strangers to their cluster: whoever admitted one lost its disk before anybody else had heard of it. The
// newcomer alone knows that it was admitted, and no member opens a door to a stranger on the stranger's word. No rule could
// mend that: its operator lets it join again, which here is to take it away.

import { seededRandom } from '../lib/random.ts'
import { NEWCOMER } from './faults/operators.ts'
import type { Machine } from './machine.ts'
import { scratchReplica } from './records.ts'
import type { Scene } from './scene.ts'

/** Takes away every newcomer whom no other machine's disk knows. Reads disks, and awaits nothing else. */
export const turnAwayStrangers = async (scene: Scene): Promise<void> => {
  const { world, referee } = scene
  for (const newcomer of world.present().filter(({ name }) => name.startsWith(NEWCOMER))) {
    if (await isKnown(newcomer, world.machines)) continue
    await referee.askLater('losing', (check, whole) => check(whole, newcomer))
    scene.say(`${newcomer.name}: nobody has heard of its admission, and it is taken away`)
    scene.disturb()
    newcomer.retired = true
    if (newcomer.running) newcomer.powerOff()
    scene.release(newcomer)
  }
}

/** Whether another one of these machines has it among its members on its disk. */
export const isKnown = async ({ signer }: Machine, machines: readonly Machine[]): Promise<boolean> => {
  for (const other of machines) {
    if (other.signer.member === signer.member) continue
    const replica = await scratchReplica(other, seededRandom('strangers'))
    if (replica?.view().members.some(({ id }) => id === signer.member) === true) return true
  }
  return false
}

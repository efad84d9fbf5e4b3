// What a disk holds, read as a peer would after the worst power loss, for checkers and liars. It reads copies: the machine
// whose disk it is notices nothing.

import { decodeRecord } from '../crdt/record.ts'
import { IntentReplica } from '../crdt/replica.ts'
import { toHex } from '../lib/bytes.ts'
import type { ActorId, ChangeHash } from '../lib/ids.ts'
import { seededRandom, type Random } from '../lib/random.ts'
import { SimulatedDisk } from './disk.ts'
import type { Machine } from './machine.ts'
import { noteEdits } from './services.ts'

const ACTOR_BYTES = 16

/** Intent records that would be left if the machine lost power now and kept nothing unsynced. */
const durableIntent = async (machine: Machine): Promise<readonly Uint8Array[]> => {
  const scratch = new SimulatedDisk({ random: seededRandom('scratch') })
  scratch.restore(machine.disk.image())
  const { snapshot, frames } = await scratch.openStore().load()
  return [...(snapshot?.frames ?? []), ...frames]
    .filter(({ kind }) => kind === 'intent')
    .map(({ bytes }) => bytes)
}

/** Hashes of the changes on the machine's medium. */
export const durableChanges = async (machine: Machine): Promise<ReadonlySet<ChangeHash>> =>
  new Set((await durableIntent(machine)).map((bytes) => decodeRecord(bytes).hash))

/** A replica of what is on the machine's medium, writing in its name. */
export const scratchReplica = async (machine: Machine, random: Random): Promise<IntentReplica | null> => {
  const cluster = machine.origin?.cluster
  if (cluster === undefined) return null
  const actor = toHex(random.fork('actor').bytes(ACTOR_BYTES)) as ActorId
  return IntentReplica.restore(
    { cluster, actor, signer: machine.signer },
    { document: null, records: await durableIntent(machine), later: [] },
  )
}

/** A record that creates a cell of that name, as the replica's member would write it; null where it may not. */
export const recordOfCell = async (
  replica: Promise<IntentReplica | null>,
  cell: string,
): Promise<Uint8Array | null> => {
  const scratch = await replica
  if (scratch === null) return null
  try {
    return scratch.draft(noteEdits(scratch.view(), cell), { message: cell, at: 0 })?.record ?? null
  } catch {
    // Its disk does not know yet that it is a member.
    return null
  }
}

// Liars: a member gone bad sends, over its sound connections, changes that no member signed, changes with broken
// signatures, changes beyond the limits, rubbish, and messages of the largest size. Keys that are not admitted never get a connection, so what they
// have to say can come through a bad member only.

import { recordOfCell, scratchReplica } from '../records.ts'
import { changeHashOf, decodeChange, encodeChange, type SetOp } from '../../crdt/change-codec.ts'
import { ownActor } from '../../crdt/genesis.ts'
import { decodeRecord, encodeRecord, signRecord, type IntentRecord } from '../../crdt/record.ts'
import { sealStatus } from '../../crdt/status-record.ts'
import { concatBytes, utf8 } from '../../lib/bytes.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { ClusterId } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Random } from '../../lib/random.ts'
import { signerFromSeed, type Signer } from '../../lib/signature.ts'
import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'
import { namesOf, oneOf, pick, type Fault } from './fault.ts'

/** First byte of a gossiped message (node/agent/replication.ts). */
const INTENT = 1
const STATUS = 2
const SEED_BYTES = 32

/** A message that no correct peer may pass on. */
const spread = (scene: Scene, machine: Machine, kind: number, body: Uint8Array): void => {
  const message = concatBytes([Uint8Array.of(kind), body])
  scene.forged.add(sha256Hex(message))
  machine.publish(message)
}

/** A well-made change with something wrong about it, told to everybody. */
const forge = async (
  scene: Scene,
  machine: Machine,
  random: Random,
  spoil: (record: IntentRecord, cluster: ClusterId) => IntentRecord,
): Promise<void> => {
  const cluster = machine.origin?.cluster
  if (cluster === undefined) return
  const record = await recordOfCell(scratchReplica(machine, random), `forged-${random.below(1_000_000)}`)
  if (record === null) return
  const forged = spoil(decodeRecord(record), cluster)
  scene.forged.add(forged.hash)
  spread(scene, machine, INTENT, encodeRecord(forged))
}

/** The change made anew by somebody, under an actor of theirs. */
const remade = (
  { bytes }: IntentRecord,
  cluster: ClusterId,
  signer: Signer,
  alter: (op: SetOp) => SetOp = (op) => op,
): IntentRecord => {
  const { actor: before, ...change } = decodeChange(bytes)
  const actor = ownActor(signer.member, before)
  const anew = encodeChange({ ...change, actor, ops: change.ops.map(alter) })
  return signRecord(signer, cluster, { actor, seq: change.seq, hash: changeHashOf(anew), bytes: anew })
}

/** The longest value of a change, as a number of its own: a bound that was lifted by mistake must not lift the lie with it. */
const VALUE_BYTES_MAX = 32 * 1024

/** A command just longer than any value may be. */
const grown = (op: SetOp): SetOp =>
  op.key.endsWith('/command') ? { ...op, value: JSON.stringify(['x'.repeat(VALUE_BYTES_MAX)]) } : op

type Lie = (scene: Scene, machine: Machine, random: Random) => void

const LIES: Readonly<Record<string, Lie>> = {
  'a change of a stranger': (scene, machine, random) => {
    const stranger = signerFromSeed(random.bytes(SEED_BYTES))
    void forge(scene, machine, random, (record, cluster) => remade(record, cluster, stranger))
  },
  'a change with a broken signature': (scene, machine, random) =>
    void forge(scene, machine, random, (record) => ({
      ...record,
      signature: record.signature.map((byte) => byte ^ 1),
    })),
  'a status of a stranger': (scene, machine, random) => {
    const stranger = signerFromSeed(random.bytes(SEED_BYTES))
    const entries = [{ key: `alert/${machine.signer.member}`, value: '{"incarnation":1,"silent":true}' }]
    spread(scene, machine, STATUS, sealStatus(stranger, { incarnation: 1, seq: 1, retained: [], entries }))
  },
  'a malformed status of its own': (scene, machine, random) => {
    const entries = [{ key: `instance/${random.below(1000)}`, value: '{"state":"nonsense"' }]
    // Newer than its own: if it were taken, it would void what the member really says.
    const record = { incarnation: 2 ** 40, seq: 1, retained: [], entries }
    const sealed = sealStatus({ ...machine.signer, sign: () => new Uint8Array(64) }, record)
    spread(scene, machine, STATUS, sealed)
  },
  rubbish: (scene, machine, random) =>
    spread(scene, machine, random.below(4), random.bytes(1 + random.below(300))),
  'a message of the largest size': (scene, machine, random) => {
    if (random.below(2) === 0)
      void forge(scene, machine, random, (record, cluster) => remade(record, cluster, machine.signer, grown))
    else {
      const body = new Uint8Array(LIMITS.gossipBytesMax - 1).fill(random.below(256))
      spread(scene, machine, pick(random, [INTENT, STATUS]), body)
    }
  },
  'rubbish on its streams': (scene, machine, random) => {
    for (const { signer } of scene.world.present()) {
      machine.send(signer.member, 'sync', random.bytes(1 + random.below(200)))
      machine.send(signer.member, 'beat', utf8('x'.repeat(random.below(30))))
    }
  },
}

const NAMES = Object.keys(LIES)

export const LIARS: readonly Fault[] = [
  {
    kind: 'lie',
    weight: 0.8,
    draw: (random, peers) => ({
      machines: oneOf(random, peers),
      word: NAMES[random.below(NAMES.length)] ?? '',
    }),
    say: (step) => `${namesOf(step)} sends ${step.word}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      const lie = LIES[step.word]
      if (lie === undefined || machine === undefined || machine.agent === null || scene.isBroken(machine))
        return 'skipped'
      lie(scene, machine, scene.random(step))
      return 'done'
    },
  },
]

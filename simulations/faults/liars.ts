// Liars: a member gone bad sends, over its sound connections, changes that no member signed, changes with broken
// signatures, rubbish, and messages of the largest size. Keys that are not admitted never get a connection, so what they
// have to say can come through a bad member only.

import { recordOfCell, scratchReplica } from '../records.ts'
import { decodeRecord, encodeRecord, signRecord } from '../../crdt/record.ts'
import { sealStatus } from '../../crdt/status-record.ts'
import { concatBytes, utf8 } from '../../lib/bytes.ts'
import { sha256Hex } from '../../lib/hash.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Random } from '../../lib/random.ts'
import { signerFromSeed } from '../../lib/signature.ts'
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

/** A well-made change under a key of no member, or one whose signature is broken. */
const forge = async (scene: Scene, machine: Machine, random: Random, signed: boolean): Promise<void> => {
  const cluster = machine.origin?.cluster
  if (cluster === undefined) return
  const record = await recordOfCell(scratchReplica(machine, random), `forged-${random.below(1_000_000)}`)
  if (record === null) return
  const { author, signature, ...change } = decodeRecord(record)
  const stranger = signerFromSeed(random.bytes(SEED_BYTES))
  const forged = signed
    ? signRecord(stranger, cluster, change)
    : { ...change, author, signature: signature.map((byte) => byte ^ 1) }
  scene.forged.add(change.hash)
  spread(scene, machine, INTENT, encodeRecord(forged))
}

type Lie = (scene: Scene, machine: Machine, random: Random) => void

const LIES: Readonly<Record<string, Lie>> = {
  'a change of a stranger': (scene, machine, random) => void forge(scene, machine, random, true),
  'a change with a broken signature': (scene, machine, random) => void forge(scene, machine, random, false),
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
  'a message of the largest size': (scene, machine, random) =>
    spread(
      scene,
      machine,
      pick(random, [INTENT, STATUS]),
      new Uint8Array(LIMITS.gossipBytesMax - 1).fill(random.below(256)),
    ),
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

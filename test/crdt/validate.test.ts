// S4: forged, stale and broken changes are refused with a reason, by every replica alike, and harm nothing.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { changeHashOf, decodeChange, encodeChange, type Change } from '../../crdt/change-codec.ts'
import { applyCell, foundingEdits, removeMember, scale } from '../../crdt/edits.ts'
import { containerPathOf, genesisOf, ownActor } from '../../crdt/genesis.ts'
import { decodeRecord, encodeRecord, signRecord } from '../../crdt/record.ts'
import { IntentReplica } from '../../crdt/replica.ts'
import { seededRandom } from '../../lib/random.ts'
import type { ChangeHash, ServiceId } from '../../lib/ids.ts'
import type { Signer } from '../../lib/signature.ts'
import {
  actorOf,
  cell,
  CLUSTER,
  edit,
  foundedCluster,
  join,
  memberOf,
  pull,
  replicaOf,
  service,
  signerOf,
} from './cluster.ts'

const genesis = genesisOf(CLUSTER)
const WEB = 'shop/web' as ServiceId

/** A sound change of bob's on top of everything, as a starting point for forgery. */
const soundCase = (): { readonly ada: IntentReplica; readonly change: Change; readonly bob: Signer } => {
  const [ada, bob] = foundedCluster('bob')
  assert.ok(ada && bob)
  edit(ada, applyCell(ada.view(), cell('shop', service('web'))).edits)
  pull(bob, ada)
  const staged = bob.draft(scale(bob.view(), WEB, 3), { message: 'scale', at: 5 })
  assert.ok(staged)
  return { ada, bob: signerOf('bob'), change: decodeChange(decodeRecord(staged.record).bytes) }
}

const recordOf = (signer: Signer, change: Change): Uint8Array => {
  const bytes = encodeChange(change)
  const { actor, seq } = change
  return encodeRecord(signRecord(signer, CLUSTER, { actor, seq, hash: changeHashOf(bytes), bytes }))
}

const refusalOf = (replica: IntentReplica, record: Uint8Array): string => {
  const { staged, invalid, orphans } = replica.judge([record])
  assert.deepEqual([staged.length, orphans], [0, 0])
  return invalid[0]?.reason ?? 'known'
}

const only = <T>(items: readonly T[]): T => {
  const [item] = items
  assert.ok(item !== undefined)
  return item
}

describe('validation', () => {
  it('accepts the sound change that the forgeries below start from', () => {
    const { ada, bob, change } = soundCase()
    assert.equal(ada.judge([recordOf(bob, change)]).staged.length, 1)
  })

  const forgeries: readonly [string, (change: Change) => Change, RegExp][] = [
    ['skips a seq', (c) => ({ ...c, seq: c.seq + 1 }), /not the actor's change before it/],
    ['starts its ops too high', (c) => ({ ...c, startOp: 2 ** 32 - 10 }), /ops start at 4294967286/],
    ['starts its ops too low', (c) => ({ ...c, startOp: c.startOp - 1 }), /ops start at/],
    ['depends on nothing', (c) => ({ ...c, deps: [] }), /depends on nothing/],
    [
      'founds the cluster again',
      (c) => ({ ...c, deps: [genesis.hash], startOp: genesis.opMax + 1 }),
      /claims to found/,
    ],
    [
      'writes under a stranger actor',
      (c) => ({ ...c, actor: actorOf('eve') }),
      /actor id is not one of its author/,
    ],
    [
      'writes to a container that is none',
      (c) => ({ ...c, ops: c.ops.map((op) => ({ ...op, object: { ...op.object, counter: 9999 } })) }),
      /genesis did not make/,
    ],
    [
      'writes to the parent of the buckets',
      (c) => ({ ...c, ops: c.ops.map((op) => ({ ...op, object: { ...op.object, counter: 6 } })) }),
      /genesis did not make/,
    ],
    [
      'writes into a wrong bucket',
      (c) => ({
        ...c,
        ops: c.ops.map((op) => ({
          ...op,
          object: { ...op.object, counter: op.object.counter === 7 ? 8 : 7 },
        })),
      }),
      /does not belong into/,
    ],
    [
      'replaces nothing of what it saw',
      (c) => ({
        ...c,
        ops: c.ops.map((op) => ({ ...op, replaces: [{ counter: 1, actor: genesis.actor }] })),
      }),
      /does not replace/,
    ],
    [
      'sets an unknown field',
      (c) => ({ ...c, ops: c.ops.map((op) => ({ ...op, key: 'shop/web/1/colour' })) }),
      /is not a field of services/,
    ],
    [
      'sets a value that the field may not hold',
      (c) => ({ ...c, ops: c.ops.map((op) => ({ ...op, value: -1 })) }),
      /not one that the field may hold/,
    ],
    ['sets a key twice', (c) => ({ ...c, ops: [...c.ops, ...c.ops] }), /twice/],
    [
      'edits a generation that never was',
      (c) => ({ ...c, ops: c.ops.map((op) => ({ ...op, key: 'shop/web/2/replicas', replaces: [] })) }),
      /does not exist, or not any more/,
    ],
    [
      'uses up all generations at once',
      (c) => ({
        ...c,
        ops: c.ops.map((op) => ({ ...op, key: 'shop/web/@', value: '999999999:live', replaces: [] })),
      }),
      /does not replace|cannot follow/,
    ],
  ]
  for (const [claim, forge, reason] of forgeries)
    it(`refuses a change that ${claim}`, () => {
      const { ada, bob, change } = soundCase()
      const digest = ada.view().digest
      assert.match(refusalOf(ada, recordOf(bob, forge(change))), reason)
      assert.equal(ada.view().digest, digest)
      assert.equal(ada.judge([recordOf(bob, change)]).staged.length, 1, 'the sound one is still welcome')
    })

  it('refuses a change of somebody who is no member, or only a runner', () => {
    const [ada] = foundedCluster()
    assert.ok(ada)
    join(ada, 'rick', 'runner')
    for (const name of ['eve', 'rick']) {
      const theirs = replicaOf(name)
      pull(theirs, ada)
      assert.throws(
        () => theirs.draft([{ container: 'cluster', key: 'name', value: 'mine' }], { message: '', at: 0 }),
        /not an operator/,
      )
    }
  })

  it('judges membership in the causal past: concurrent with the removal stands, after it does not', () => {
    const [ada, bob] = foundedCluster('bob')
    assert.ok(ada && bob)
    const before = edit(bob, [{ container: 'cluster', key: 'name', value: 'before' }])
    edit(ada, removeMember(ada.view(), 'bob'))
    assert.equal(ada.judge([before.record]).staged.length, 1)
    pull(bob, ada)
    assert.throws(
      () => bob.draft([{ container: 'cluster', key: 'name', value: 'after' }], { message: '', at: 0 }),
      /not an operator/,
    )
  })

  it('founds a cluster only with the key and the nonce that its id is made of', () => {
    const eve = new IntentReplica({ cluster: CLUSTER, actor: actorOf('eve'), signer: signerOf('eve') })
    const edits = foundingEdits({
      member: memberOf('eve'),
      nonce: '0123456789abcdef',
      name: 'eve',
      addresses: [],
    })
    assert.throws(() => eve.draft(edits, { message: '', at: 0 }), /cluster id is not made of/)
  })

  it('refuses a second change of the same actor and seq, and keeps the first', () => {
    const { ada, bob, change } = soundCase()
    const other = { ...change, ops: change.ops.map((op) => ({ ...op, value: 4 })) }
    ada.commit(ada.judge([recordOf(bob, change)]).staged)
    assert.match(refusalOf(ada, recordOf(bob, other)), /another change of the same actor/)
    assert.equal(only(ada.view().services).replicas, 3)
  })

  it('refuses a record whose hash, author, signature or envelope is not that of its change', () => {
    const { ada, bob, change } = soundCase()
    const record = decodeRecord(recordOf(bob, change))
    const broken = [
      [{ ...record, hash: '00'.repeat(32) as ChangeHash }, /hash is not that/],
      [{ ...record, author: memberOf('ada') }, /signature is not that/],
      [{ ...record, signature: new Uint8Array(64) }, /signature is not that/],
      [{ ...record, seq: record.seq + 1 }, /another actor or seq/],
      [{ ...record, actor: ownActor(memberOf('bob'), actorOf('else')) }, /another actor or seq/],
    ] as const
    for (const [forged, reason] of broken) assert.match(refusalOf(ada, encodeRecord(forged)), reason)
  })

  it('refuses thousands of mutated changes, signed by a true operator, and stays sound (S4)', () => {
    const { ada, bob, change } = soundCase()
    const sound = encodeChange(change)
    const random = seededRandom('mutations')
    const digest = ada.view().digest
    for (let round = 0; round < 2000; round += 1) {
      const bytes = sound.slice()
      for (let flips = 1 + random.below(4); flips > 0; flips -= 1)
        bytes[8 + random.below(bytes.length - 8)] = random.below(256)
      const hash = changeHashOf(bytes)
      if (hash === changeHashOf(sound)) continue
      // The checksum is the first four bytes of the hash.
      bytes.set(Buffer.from(hash.slice(0, 8), 'hex'), 4)
      const { actor, seq } = change
      const record = encodeRecord(signRecord(bob, CLUSTER, { actor, seq, hash, bytes }))
      const judged = ada.judge([record])
      // A mutation may still be a sound change (another time, message or value): then it is staged, and abandoned.
      assert.equal(judged.staged.length + judged.invalid.length + judged.orphans, 1)
      for (const { reason } of judged.invalid) assert.match(reason, /^[a-z'].{8,}$/s)
      if (judged.staged.length > 0) ada.abandon(actorOf(`ada after ${round}`))
    }
    assert.equal(ada.view().digest, digest)
    ada.commit(ada.judge([recordOf(bob, change)]).staged)
    const { document, records } = ada.snapshot()
    const restored = IntentReplica.restore(
      { cluster: CLUSTER, actor: actorOf('again'), signer: signerOf('ada') },
      { document, records, later: [] },
    )
    assert.deepEqual(restored.problems, [])
    assert.equal(restored.view().digest, ada.view().digest)
  })

  it('places every service in the bucket that its id hashes to', () => {
    assert.match(containerPathOf('services', 'shop/web/@'), /^services\/[0-9a-f]{2}$/)
  })
})

// What is on the disk when: others' changes act at once and are written soon, own edits are written before they act.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell } from '../../../crdt/edits.ts'
import type { IntentReplica } from '../../../crdt/replica.ts'
import type { Frame, Store } from '../../../crdt/store.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { IntentQueue } from '../../../node/agent/intent-queue.ts'
import { Simulator } from '../../../simulations/simulator.ts'
import { actorOf, cell, edit, foundedCluster, memberOf, service } from '../../crdt/cluster.ts'

/** A disk that holds an append until it is let go, or refuses it. */
class HeldStore implements Pick<Store, 'append'> {
  readonly written: Uint8Array[] = []
  refuses = false

  append(frames: readonly Frame[]): Promise<void> {
    if (this.refuses) return Promise.reject(new TuttiError('storage', 'the disk is full; free some space'))
    this.written.push(...frames.map(({ bytes }) => bytes))
    return Promise.resolve()
  }
}

const setUp = (replica: IntentReplica) => {
  const simulator = new Simulator()
  const store = new HeldStore()
  const told: string[] = []
  const published: Uint8Array[] = []
  const queue = new IntentQueue({
    replica,
    store: store as unknown as Store,
    clock: simulator.clock(),
    log: { log: () => undefined },
    spread: () => 0.5,
    newActor: () => actorOf('fresh'),
    publish: (record) => published.push(record),
    applied: () => told.push('applied'),
    durable: () => told.push('durable'),
    quarantined: () => told.push('quarantined'),
    storage: (trouble) => told.push(trouble === null ? 'disk well' : 'disk refused'),
  })
  return { simulator, store, told, published, queue }
}

const apply = (replica: IntentReplica, name: string) =>
  applyCell(replica.view(), cell('shop', service(name))).edits

describe('intent queue', () => {
  it("applies another member's change at once and writes it soon after", async () => {
    const [ada, bob] = foundedCluster('bob') as [IntentReplica, IntentReplica]
    const { queue, store, simulator, told } = setUp(bob)
    const { record } = edit(ada, apply(ada, 'web'))
    assert.equal(await queue.records(memberOf('ada'), [record]), 'accept')
    assert.notEqual(bob.view().digest, ada.view().digest, 'it is passed on first')
    await simulator.run(1)
    assert.equal(bob.view().digest, ada.view().digest)
    assert.deepEqual([queue.isDurable, store.written.length, told], [false, 0, ['applied']])
    await simulator.run(1000)
    assert.deepEqual([queue.isDurable, store.written], [true, [record]])
    assert.deepEqual(told, ['applied', 'disk well', 'durable'])
  })

  it('acknowledges an own edit only when it and everything before it is on the disk (S2)', async () => {
    const [ada, bob] = foundedCluster('bob') as [IntentReplica, IntentReplica]
    const { queue, store, published, simulator } = setUp(bob)
    const { record } = edit(ada, apply(ada, 'web'))
    await queue.records(memberOf('ada'), [record])
    await simulator.run(1)
    const { change } = await queue.edit(apply(bob, 'api'), { message: 'm', at: 1 })
    assert.notEqual(change, null)
    assert.deepEqual(store.written, [record, ...published])
    assert.equal(queue.isDurable, true)
  })

  it('refuses an own edit that the disk refuses, goes on following others, and writes when it can (S2)', async () => {
    const [ada, bob] = foundedCluster('bob') as [IntentReplica, IntentReplica]
    const { queue, store, simulator, told, published } = setUp(bob)
    store.refuses = true
    await assert.rejects(queue.edit(apply(bob, 'api'), { message: 'm', at: 1 }), /full/)
    assert.deepEqual([published, told], [[], ['disk refused']])
    const { record } = edit(ada, apply(ada, 'web'))
    await queue.records(memberOf('ada'), [record])
    await simulator.run(1)
    assert.equal(bob.view().digest, ada.view().digest)
    await simulator.run(5000)
    assert.equal(queue.isDurable, false)
    store.refuses = false
    await simulator.run(10_000)
    assert.deepEqual([queue.isDurable, store.written], [true, [record]])
  })

  it('makes one of two edits that were asked for on the same digest, and refuses the other', async () => {
    const [ada] = foundedCluster() as [IntentReplica]
    const { queue, store } = setUp(ada)
    const { digest } = ada.view()
    const both = await Promise.allSettled([
      queue.edit(apply(ada, 'web'), { message: 'first', at: 1 }, { ifDigest: digest }),
      queue.edit(apply(ada, 'api'), { message: 'second', at: 1 }, { ifDigest: digest.slice(0, 8) }),
    ])
    assert.deepEqual(
      both.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
    const [, refused] = both
    assert.ok(refused?.status === 'rejected' && refused.reason instanceof TuttiError)
    assert.equal(refused.reason.code, 'conflict')
    assert.equal(store.written.length, 1)
    await queue.edit(apply(ada, 'api'), { message: 'third', at: 1 }, { ifDigest: ada.view().digest })
    assert.equal(store.written.length, 2)
  })

  it('writes what it holds before it ends', async () => {
    const [ada, bob] = foundedCluster('bob') as [IntentReplica, IntentReplica]
    const { queue, store, simulator } = setUp(bob)
    const { record } = edit(ada, apply(ada, 'web'))
    await queue.records(memberOf('ada'), [record])
    await simulator.run(1)
    await queue.stop()
    assert.deepEqual(store.written, [record])
  })
})

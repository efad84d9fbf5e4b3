// The past of the intent: what it says of changes and moments, and that the view of a moment is the very view that a
// replica had which knew exactly that.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { cordon, removeMember, scale } from '../../crdt/edits.ts'
import { decodeRecord } from '../../crdt/record.ts'
import { edit, foundedCluster, memberOf, pull, pullAll, replicaOf } from './cluster.ts'
import { apply, deployed, perform, serviceIn, steps, WEB } from './histories.ts'

describe('past', () => {
  it('shows at a change the view its author had after it, whatever came before, beside and since (S1)', () => {
    fc.assert(
      fc.property(steps, (todo) => {
        const replicas = foundedCluster('bob', 'cem')
        const made = todo.flatMap((one) => perform(replicas, one) ?? [])
        pullAll(replicas)
        for (const replica of replicas)
          for (const { hash, view } of made) assert.deepEqual(replica.past.viewAfter(hash), view)
      }),
      { numRuns: 40 },
    )
  })

  it('lists the same changes in the same order everywhere, causes after effects, and each moment of the list is whole', () => {
    fc.assert(
      fc.property(steps, (todo) => {
        const replicas = foundedCluster('bob', 'cem')
        for (const one of todo) perform(replicas, one)
        pullAll(replicas)
        const [ada, bob] = replicas
        assert.ok(ada && bob)
        const { changes, more } = ada.past.changes({ limit: 1000 })
        assert.equal(more, false)
        assert.equal(changes.length, ada.changesCount)
        const listed = changes.map(({ hash }) => hash)
        assert.deepEqual(
          bob.past.changes({ limit: 1000 }).changes.map(({ hash }) => hash),
          listed,
        )
        const seen = new Set<string>()
        for (const { hash, parents } of changes) {
          for (const parent of parents) assert.ok(!seen.has(parent), 'a cause stands after its effect')
          seen.add(hash)
        }
        // A fresh replica that is given all but the newest has the view of that moment.
        for (let back = 0; back <= Math.min(listed.length, 12); back += 3) {
          const newest = new Set(listed.slice(0, back))
          const older = ada.snapshot().records.filter((record) => !newest.has(decodeRecord(record).hash))
          const reader = replicaOf('ada', 2)
          reader.commit(reader.judge(older).staged)
          assert.deepEqual(ada.past.viewAt(ada.past.moment(`now~${back}`)), reader.view())
        }
      }),
      { numRuns: 10 },
    )
  })

  it('is the present view at now, and empty before the first change', () => {
    const ada = deployed('1', '2')
    assert.equal(ada.past.viewAt(ada.past.moment('now')).digest, ada.view().digest)
    const first = ada.past.viewAt(ada.past.moment(`now~${ada.changesCount}`))
    assert.deepEqual([first.members, first.services], [[], []])
    assert.throws(() => ada.past.moment(`now~${ada.changesCount + 1}`), /does not go back to/)
  })

  it('finds a change by the start of its hash, and what was before it', () => {
    const ada = deployed('1', '2')
    const { hash } = apply(ada, '3', 300)
    edit(ada, scale(ada.view(), WEB, 9))
    const start = hash.slice(0, 10)
    assert.equal(ada.past.change(start).message, 'apply 3')
    assert.equal(serviceIn(ada.past.viewAt(ada.past.moment(start))).environment['VERSION'], '3')
    assert.equal(serviceIn(ada.past.viewAt(ada.past.moment(`${start}~`))).environment['VERSION'], '2')
    assert.equal(serviceIn(ada.past.viewAt(ada.past.moment(`${start}~2`))).environment['VERSION'], '1')
    assert.throws(() => ada.past.moment('ffffffffffff'), /there is no change 'ffffffffffff' here/)
    assert.throws(() => ada.past.moment('yesterday'), /is no change; write the start of one/)
  })

  it('narrows to a cell or service and to a time, and says when there is more', () => {
    const ada = deployed('1', '2', '3')
    edit(ada, cordon(ada.view(), 'ada'), 'cordon', 500)
    const messages = (query: Parameters<typeof ada.past.changes>[0]): string[] =>
      ada.past.changes(query).changes.map(({ message }) => message)
    assert.deepEqual(messages({ limit: 9, of: 'shop' }), ['apply 3', 'apply 2', 'apply 1'])
    assert.deepEqual(messages({ limit: 9, of: 'sho' }), [])
    assert.deepEqual(messages({ limit: 9, since: 102 }), ['cordon', 'apply 3'])
    assert.equal(ada.past.changes({ limit: 2, of: 'shop/web' }).more, true)
    assert.equal(ada.past.changes({ limit: 3, of: 'shop/web' }).more, false)
  })

  it('names members that were removed', () => {
    const [ada, bob] = foundedCluster('bob')
    assert.ok(ada && bob)
    const { hash } = apply(bob, '1', 1)
    pull(ada, bob)
    edit(ada, removeMember(ada.view(), 'bob'))
    const { author } = ada.past.change(hash)
    assert.equal(author, memberOf('bob'))
    assert.equal(ada.past.nameOf(author), 'bob')
    assert.deepEqual(ada.past.changes({ limit: 1 }).changes[0]?.edits, [
      { path: 'peer bob', from: 'present', to: null },
    ])
  })

  it('finds releases among many changes that made none', () => {
    const ada = deployed('1')
    for (let at = 0; at < 300; at += 1) edit(ada, scale(ada.view(), WEB, 2 + (at % 7)))
    apply(ada, '2', 900)
    assert.deepEqual(
      ada.past.releasesOf(WEB).map(({ message, current }) => [message, current]),
      [
        ['apply 2', true],
        ['apply 1', false],
      ],
    )
  })
})

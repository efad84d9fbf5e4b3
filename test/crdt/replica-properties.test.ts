// Safety of the intent over random edits, deliveries and partitions: S1 convergence, S2 nothing silently lost,
// S11 deletion is final. The registers are compared with Automerge's own reading of the same document.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as Automerge from '@automerge/automerge'
import * as fc from 'fast-check'
import { applyCell, removeService, scale } from '../../crdt/edits.ts'
import type { IntentReplica, Judged } from '../../crdt/replica.ts'
import { TuttiError } from '../../lib/errors.ts'
import type { ServiceId } from '../../lib/ids.ts'
import { editsOf, type Step } from './histories.ts'
import { cell, edit, foundedCluster, pull, pullAll, service } from './cluster.ts'

const step = fc.record({
  who: fc.nat(2),
  what: fc.nat(7),
  value: fc.nat(5),
  from: fc.nat(2),
})
const steps = fc.array(step, { minLength: 5, maxLength: 25 })

/** Performs one step; what an operator may not do now is skipped. Returns the change made. */
const perform = (replicas: readonly IntentReplica[], one: Step): ReturnType<IntentReplica['draft']> => {
  const replica = replicas[one.who]
  const other = replicas[one.from]
  assert.ok(replica && other)
  if (one.what >= 6) {
    pull(replica, other)
    return null
  }
  try {
    const staged = replica.draft(editsOf(replica.view(), one), { message: 'step', at: one.value })
    if (staged !== null) replica.commit([staged])
    return staged
  } catch (thrown) {
    assert.ok(thrown instanceof TuttiError && thrown.code === 'unknown', String(thrown))
    return null
  }
}

describe('intent', () => {
  it('converges to equal heads and byte-equal views, whatever was edited where (S1)', () => {
    fc.assert(
      fc.property(steps, (todo) => {
        const replicas = foundedCluster('bob', 'cem')
        for (const one of todo) perform(replicas, one)
        pullAll(replicas)
        const [first, ...others] = replicas
        assert.ok(first)
        for (const other of others) {
          assert.equal(other.headsDigest(), first.headsDigest())
          assert.equal(JSON.stringify(other.view()), JSON.stringify(first.view()))
        }
      }),
      { numRuns: 20 },
    )
  })

  it('does not depend on order, repetition or batching of delivery (S1)', () => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.nat()), (todo, chance) => {
        const replicas = foundedCluster('bob', 'cem')
        for (const one of todo) perform(replicas, one)
        pullAll(replicas)
        const [first, second] = replicas
        assert.ok(first && second)
        const records = [...first.snapshot().records, ...first.snapshot().records]
          .map((record) => ({ record, rank: chance.next().value }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ record }) => record)
        const [fresh] = foundedCluster()
        assert.ok(fresh)
        while (records.length > 0) {
          const batch: readonly Uint8Array[] = records.splice(0, 1 + (chance.next().value % 4))
          const judged: Judged = fresh.judge(batch)
          assert.equal(judged.invalid.length, 0)
          fresh.commit(judged.staged)
        }
        assert.equal(fresh.headsDigest(), first.headsDigest())
        assert.equal(JSON.stringify(fresh.view()), JSON.stringify(first.view()))
      }),
      { numRuns: 12 },
    )
  })

  it('never loses an edit silently: it holds, is overwritten by one that saw it, or is named as a conflict (S2)', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), fc.boolean()), { maxLength: 8 }), (todo) => {
        const replicas = foundedCluster('bob', 'cem')
        const [first] = replicas
        assert.ok(first)
        edit(first, applyCell(first.view(), cell('shop', service('web'))).edits)
        pullAll(replicas)
        // Each side edits alone: removals, and scales to a number that no other edit uses.
        const lastOf = new Map<number, { readonly hash: string; readonly value: number | null }>()
        for (const [index, [who, remove]] of todo.entries()) {
          const replica = replicas[who]
          assert.ok(replica)
          if (replica.view().services.length === 0) continue
          const id = 'shop/web' as ServiceId
          const edits = remove ? removeService(replica.view(), id) : scale(replica.view(), id, 10 + index)
          lastOf.set(who, { hash: edit(replica, edits).hash, value: remove ? null : 10 + index })
        }
        pullAll(replicas)
        const { services, conflicts = [] } = first.view()
        const lost = [...services.flatMap((web) => web.conflicts), ...conflicts]
        for (const { hash, value } of lastOf.values()) {
          const holds = value === null ? services.length === 0 : services[0]?.replicas === value
          assert.ok(holds || lost.some(({ change }) => change === hash), 'the edit holds or is named')
        }
      }),
      { numRuns: 20 },
    )
  })

  it('keeps what was deleted deleted, however stale the peer that returns (S11)', () => {
    const [ada, stale] = foundedCluster('bob')
    assert.ok(ada && stale)
    const id = 'shop/web' as ServiceId
    edit(ada, applyCell(ada.view(), cell('shop', service('web', { environment: { OLD: '1' } }))).edits)
    pull(stale, ada)
    edit(ada, removeService(ada.view(), id))
    for (let round = 0; round < 5; round += 1) edit(stale, scale(stale.view(), id, round + 2))
    pull(ada, stale)
    assert.deepEqual(ada.view().services, [])
    assert.deepEqual(
      ada.view().conflicts?.map(({ path, value, winner }) => [path, value, winner]),
      [['shop/web replicas', '6', 'removed']],
    )
    // Created again, it is a new one: nothing of the old generation leaks into it.
    edit(ada, applyCell(ada.view(), cell('shop', service('web'))).edits)
    edit(stale, scale(stale.view(), id, 9))
    pull(ada, stale)
    pull(stale, ada)
    const [web] = stale.view().services
    assert.deepEqual([web?.generation, web?.replicas, web?.environment], [2, 1, {}])
    assert.deepEqual(
      ada.view().conflicts?.map(({ value, winner }) => [value, winner]),
      [['9', 'created again']],
    )
    assert.equal(ada.view().digest, stale.view().digest)
  })

  it('reads every field as Automerge reads it', () => {
    const replicas = foundedCluster('bob', 'cem')
    for (let index = 0; index < 60; index += 1)
      perform(replicas, {
        who: index % 3,
        what: (index * 7) % 8,
        value: (index * 5) % 6,
        from: (index * 11) % 3,
      })
    pullAll(replicas)
    const [first] = replicas
    assert.ok(first)
    const doc = Automerge.load<{ readonly services: Record<string, Record<string, unknown>> }>(
      first.snapshot().document,
    )
    const held = new Map(Object.values(doc.services).flatMap((bucket) => Object.entries(bucket)))
    for (const { id, generation, replicas: count, stopGraceMs, environment } of first.view().services) {
      assert.equal(held.get(`${id}/${generation}/replicas`) ?? 1, count)
      assert.equal(held.get(`${id}/${generation}/stopGraceMs`), stopGraceMs)
      for (const [name, value] of Object.entries(environment))
        assert.equal(String(held.get(`${id}/${generation}/environment/${name}`)), value)
    }
  })
})

// Going back to what was: what returns with a release, what with a service, and what it does to conflicts (S11).

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell, removeService, restart, scale } from '../../crdt/edits.ts'
import { backToRelease, backToService } from '../../crdt/rollback.ts'
import { cell, edit, foundedCluster, pull, service } from './cluster.ts'
import { apply, deployed, serviceIn, WEB } from './histories.ts'

describe('rollback', () => {
  it('of a release leaves placement and replicas, of a service the replicas alone', () => {
    const ada = deployed('1')
    const first = serviceIn(ada.view())
    const wide = {
      ...service('web', { environment: { VERSION: '2', EXTRA: 'x' } }),
      constraints: ['node.name != a'],
    }
    edit(ada, applyCell(ada.view(), cell('shop', wide)).edits)
    edit(ada, scale(ada.view(), WEB, 7))
    const release = ada.preview(backToRelease(ada.view(), first)).services[0]
    assert.deepEqual(
      [release?.environment, release?.constraints, release?.replicas, release?.release],
      [{ VERSION: '1' }, ['node.name != a'], 7, first.release],
    )
    const whole = ada.preview(backToService(ada.view(), first)).services[0]
    assert.deepEqual([whole?.environment, whole?.constraints, whole?.replicas], [{ VERSION: '1' }, [], 7])
    assert.deepEqual(backToService(ada.view(), serviceIn(ada.view())), [])
  })

  it('brings a deleted service back as a later life, which no stale edit reaches (S11)', () => {
    const [ada, bob] = foundedCluster('bob')
    assert.ok(ada && bob)
    apply(ada, '1', 1)
    edit(ada, scale(ada.view(), WEB, 4))
    const { hash } = edit(ada, restart(ada.view(), WEB, 'again'))
    pull(bob, ada)
    edit(ada, removeService(ada.view(), WEB), 'rm')
    const stale = edit(bob, scale(bob.view(), WEB, 9))
    const then = serviceIn(ada.past.viewAfter(hash))
    edit(ada, backToService(ada.view(), then), 'rollback')
    pull(ada, bob)
    const now = serviceIn(ada.view())
    assert.deepEqual([now.generation, now.replicas, now.release], [2, 4, then.release])
    assert.deepEqual(
      ada.view().conflicts?.map(({ change, winner }) => [change, winner]),
      [[stale.hash, 'created again']],
    )
  })

  it('settles a conflict in the fields that it sets, also where the value holds already', () => {
    const [ada, bob] = foundedCluster('bob')
    assert.ok(ada && bob)
    apply(ada, '1', 1)
    pull(bob, ada)
    apply(ada, '2', 2)
    apply(bob, '3', 3)
    pull(ada, bob)
    const now = serviceIn(ada.view())
    assert.equal(now.conflicts.length, 1)
    edit(ada, backToRelease(ada.view(), now))
    assert.deepEqual(serviceIn(ada.view()).conflicts, [])
    assert.equal(serviceIn(ada.view()).release, now.release)
  })
})

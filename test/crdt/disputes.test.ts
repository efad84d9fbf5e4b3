// Disputes: what lies behind the conflicts of a view, and what settles them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell, cordon, removeService, scale, uncordon } from '../../crdt/edits.ts'
import { disputesOf, pathOf, settle } from '../../crdt/disputes.ts'
import type { IntentReplica } from '../../crdt/replica.ts'
import type { ServiceId } from '../../lib/ids.ts'
import { cell, edit, foundedCluster, memberOf, pull, service } from './cluster.ts'

const WEB = 'shop/web' as ServiceId
const nameOf = (id: string): string => (id === memberOf('bob') ? 'bob' : 'other')

const pair = (): readonly [IntentReplica, IntentReplica] => {
  const [ada, bob] = foundedCluster('bob')
  assert.ok(ada && bob)
  edit(ada, applyCell(ada.view(), cell('shop', service('web'))).edits)
  pull(bob, ada)
  return [ada, bob]
}

const shown = (replica: IntentReplica) =>
  disputesOf(replica.view(), replica.past.registerOf).map((dispute) => [
    pathOf(dispute, nameOf),
    String(dispute.holds.value),
    dispute.field === null,
    dispute.lost.map(({ value }) => value),
  ])

describe('disputes', () => {
  it('name fields of services and of members, with what holds and what lost', () => {
    const [ada, bob] = pair()
    edit(ada, [...scale(ada.view(), WEB, 5), ...cordon(ada.view(), 'bob')])
    edit(bob, scale(bob.view(), WEB, 6))
    edit(bob, scale(bob.view(), WEB, 7))
    edit(bob, [...scale(bob.view(), WEB, 8), ...cordon(bob.view(), 'bob')])
    edit(bob, uncordon(bob.view(), 'bob'))
    pull(ada, bob)
    assert.deepEqual(shown(ada), [
      ['shop/web replicas', '8', false, ['5']],
      ['peer bob cordoned', 'false', false, ['true']],
    ])
    edit(ada, settle(ada.view(), ada.past.registerOf, 'peer bob cordoned'))
    edit(
      ada,
      settle(
        ada.view(),
        ada.past.registerOf,
        'shop/web replicas',
        ada.view().services[0]?.conflicts[0]?.change,
      ),
    )
    assert.deepEqual(shown(ada), [])
    assert.equal(ada.view().services[0]?.replicas, 5)
  })

  it('keep a dispute of this life apart from what was lost to the end of the last one', () => {
    const [ada, bob] = pair()
    edit(ada, removeService(ada.view(), WEB))
    edit(ada, applyCell(ada.view(), cell('shop', service('web'))).edits)
    const late = edit(bob, scale(bob.view(), WEB, 3))
    pull(bob, ada)
    pull(ada, bob)
    edit(ada, scale(ada.view(), WEB, 4))
    edit(bob, scale(bob.view(), WEB, 5))
    edit(bob, scale(bob.view(), WEB, 6))
    pull(ada, bob)
    assert.deepEqual(shown(ada), [
      ['shop/web replicas', '6', false, ['4']],
      ['shop/web replicas', '2:live', true, ['3']],
    ])
    edit(ada, settle(ada.view(), ada.past.registerOf, 'shop/web replicas'))
    assert.deepEqual(shown(ada), [['shop/web replicas', '2:live', true, ['3']]])
    assert.throws(
      () => settle(ada.view(), ada.past.registerOf, 'shop/web replicas', late.hash),
      /belongs to a service that was removed meanwhile/,
    )
    assert.throws(() => settle(ada.view(), ada.past.registerOf, 'shop/web nothing'), /there is no conflict/)
  })
})

// Peers of one process that share documents and what changes say: they hold what they would hold alone.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shareDocuments } from '../../crdt/automerge.ts'
import { applyCell } from '../../crdt/edits.ts'
import { shareStates, shareStatuses } from '../../crdt/status-share.ts'
import { cell, edit, foundedCluster, pull, service } from './cluster.ts'

/** Edits at both sides of a split, some of them against each other, and what everybody makes of them. */
const story = () => {
  const replicas = foundedCluster('bob', 'cem')
  const [ada, bob, cem] = replicas
  assert.ok(ada && bob && cem)
  edit(ada, applyCell(ada.view(), cell('shop', service('web'), service('db'))).edits)
  pull(bob, ada)
  edit(ada, applyCell(ada.view(), cell('shop', service('web', { replicas: 3 }))).edits)
  edit(bob, applyCell(bob.view(), cell('shop', service('web', { replicas: 4 }), service('db'))).edits)
  for (const [to, from] of [
    [cem, bob],
    [cem, ada],
    [ada, cem],
    [bob, cem],
  ] as const)
    pull(to, from)
  return replicas.map((replica) => ({
    heads: replica.headsDigest(),
    view: replica.view(),
    document: Buffer.from(replica.snapshot().document).toString('hex'),
  }))
}

describe('replicas that share documents', () => {
  it('hold what they would hold alone', () => {
    const alone = story()
    shareStatuses(1000)
    shareStates(true)
    shareDocuments(true)
    try {
      assert.deepEqual(story(), alone)
      assert.deepEqual(story(), alone)
    } finally {
      shareDocuments(false)
      shareStates(false)
      shareStatuses(0)
    }
  })
})

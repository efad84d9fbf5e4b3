// Differences of two views: all of them, and none where there are none.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { diffViews } from '../../crdt/diff-views.ts'
import { applyCell, cordon } from '../../crdt/edits.ts'
import type { View } from '../../crdt/schema/view.ts'
import { defined } from '../../lib/assert.ts'
import { cell, edit, foundedCluster, service } from './cluster.ts'
import { deployed, perform, steps } from './histories.ts'

/** What a diff looks at. */
const shown = ({ members, services, packages = [], buildDuties = [] }: View): string =>
  JSON.stringify([
    members,
    services.map((one) => ({ ...one, conflicts: [] })),
    packages.flatMap(({ ref, removed }) => (removed ? [] : [ref])),
    buildDuties.map(({ name, branch }) => [name, branch]),
  ])

describe('diff of two views', () => {
  it('names what came, went and changed, and nothing else', () => {
    const ada = deployed('1')
    const before = ada.view()
    edit(
      ada,
      applyCell(
        ada.view(),
        cell('shop', service('web', { environment: { VERSION: '2' } }), service('db', { stopGraceMs: 5 })),
      ).edits,
    )
    edit(ada, cordon(ada.view(), 'ada'))
    assert.deepEqual(diffViews(before, ada.view()), [
      { path: 'peer ada cordoned', from: 'false', to: 'true' },
      { path: 'shop/db', from: null, to: 'present' },
      { path: 'shop/db command', from: null, to: '["node","db.js"]' },
      { path: 'shop/db stopGraceMs', from: null, to: '5' },
      { path: 'shop/web environment.VERSION', from: '1', to: '2' },
    ])
    assert.deepEqual(diffViews(ada.view(), before, 'shop/db'), [
      { path: 'shop/db', from: 'present', to: null },
    ])
    assert.deepEqual(diffViews(before, before), [])
  })

  it('is empty exactly between equal views', () => {
    fc.assert(
      fc.property(steps, (todo) => {
        const replicas = foundedCluster('bob', 'cem')
        const views = [
          defined(replicas[0], 'ada').view(),
          ...todo.flatMap((one) => perform(replicas, one)?.view ?? []),
        ]
        for (const [at, view] of views.entries()) {
          const other = defined(views[(at + 1) % views.length], 'a view')
          const same = shown(view) === shown(other)
          assert.equal(diffViews(view, other).length === 0, same)
        }
      }),
      { numRuns: 20 },
    )
  })
})

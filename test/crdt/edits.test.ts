// Builders of edits: as little as possible, and a sentence for what does not exist.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeEdits } from '../../crdt/describe-edits.ts'
import * as edits from '../../crdt/edits.ts'
import type { IntentReplica } from '../../crdt/replica.ts'
import type { ServiceId } from '../../lib/ids.ts'
import { cell, edit, foundedCluster, join, memberOf, pull, service } from './cluster.ts'

const WEB = 'shop/web' as ServiceId
const withShop = (...names: readonly string[]): IntentReplica[] => {
  const replicas = foundedCluster(...names)
  const [ada, ...others] = replicas
  assert.ok(ada)
  edit(ada, edits.applyCell(ada.view(), cell('shop', service('web', { replicas: 2 }), service('db'))).edits)
  for (const other of others) pull(other, ada)
  return replicas
}

const first = (replicas: readonly IntentReplica[]): IntentReplica => {
  const [ada] = replicas
  assert.ok(ada)
  return ada
}

describe('edits', () => {
  it('applies a cell field by field: only what differs is written', () => {
    const ada = first(withShop())
    const changed = cell(
      'shop',
      service('web', { replicas: 2, stopGraceMs: 1, environment: { A: 'x' } }),
      service('db'),
    )
    assert.deepEqual(
      edits.applyCell(ada.view(), changed).edits.map(({ key, value }) => [key, value]),
      [
        ['shop/web/1/stopGraceMs', 1],
        ['shop/web/1/environment/A', 'x'],
      ],
    )
  })

  it('takes out variables and services that the file no longer names, and keeps hand-set replicas', () => {
    const ada = first(withShop())
    edit(ada, edits.applyCell(ada.view(), cell('shop', service('web', { environment: { A: 'x' } }))).edits)
    edit(ada, edits.scale(ada.view(), WEB, 7))
    edit(ada, edits.applyCell(ada.view(), cell('shop', service('web'))).edits)
    const [web, ...others] = ada.view().services
    assert.deepEqual(others, [])
    assert.deepEqual([web?.replicas, web?.environment], [7, {}])
  })

  it('creates again in the next generation what was removed', () => {
    const ada = first(withShop())
    edit(ada, edits.removeCell(ada.view(), 'shop'))
    assert.deepEqual(ada.view().generations, { 'shop/db': 1, 'shop/web': 1 })
    edit(ada, edits.applyCell(ada.view(), cell('shop', service('web'))).edits)
    assert.equal(ada.view().services[0]?.generation, 2)
    assert.deepEqual(ada.view().generations, { 'shop/db': 1 })
  })

  it('settles a conflict by applying the file again, even when its value won', () => {
    const [ada, bob] = withShop('bob')
    assert.ok(ada && bob)
    edit(ada, edits.scale(ada.view(), WEB, 5))
    edit(bob, edits.scale(bob.view(), WEB, 6))
    pull(ada, bob)
    const [conflict] = ada.view().services.find(({ id }) => id === WEB)?.conflicts ?? []
    assert.ok(conflict)
    assert.deepEqual([conflict.value, conflict.winner].toSorted(), ['5', '6'])
    assert.equal(conflict.path, 'shop/web replicas')
    const file = cell('shop', service('web', { replicas: Number(conflict.winner) }), service('db'))
    edit(ada, edits.applyCell(ada.view(), file).edits)
    assert.deepEqual(
      ada.view().services.flatMap(({ conflicts }) => conflicts),
      [],
    )
  })

  it('changes the release on a restart and on nothing that is not part of it', () => {
    const ada = first(withShop())
    const release = () => ada.view().services.find(({ id }) => id === WEB)?.release
    const before = release()
    edit(ada, edits.scale(ada.view(), WEB, 3))
    edit(ada, edits.stop(ada.view(), WEB))
    edit(ada, edits.start(ada.view(), WEB))
    assert.equal(release(), before)
    edit(ada, edits.restart(ada.view(), WEB, 'token-1'))
    assert.notEqual(release(), before)
  })

  it('says what does not exist, and what may have been meant', () => {
    const ada = first(withShop('bob'))
    const view = ada.view()
    assert.throws(
      () => edits.scale(view, 'shop/wev' as ServiceId, 1),
      /no service 'shop\/wev'; did you mean 'shop\/web'\?/,
    )
    assert.throws(() => edits.removeCell(view, 'shopp'), /did you mean 'shop'\?/)
    assert.throws(() => edits.cordon(view, 'bib'), /no peer 'bib'; did you mean 'bob'\?/)
    assert.throws(() => edits.scale(view, WEB, 2001), /from 0 to 2000/)
    assert.throws(
      () => edits.applyCell(view, cell('x', service('a', { dependsOn: { b: 'started' } }))),
      /'a' depends on 'b'/,
    )
  })

  it('cordons, drains and uncordons by name', () => {
    const ada = first(withShop('bob'))
    const bob = () => ada.view().members.find(({ name }) => name === 'bob')
    edit(ada, edits.drain(ada.view(), 'bob'))
    assert.deepEqual([bob()?.cordoned, bob()?.draining], [true, true])
    edit(ada, edits.uncordon(ada.view(), 'bob'))
    assert.deepEqual([bob()?.cordoned, bob()?.draining], [false, false])
  })

  it('removes members but never the last operator, and admits a removed one in a new generation', () => {
    const ada = first(withShop('bob'))
    edit(ada, edits.removeMember(ada.view(), 'bob'))
    assert.deepEqual(ada.view().removed, [memberOf('bob')])
    assert.throws(() => edits.removeMember(ada.view(), 'ada'), /last operator/)
    join(ada, 'bob')
    assert.deepEqual([ada.view().members.length, ada.view().removed], [2, []])
    assert.deepEqual(ada.view().generations, { [memberOf('bob')]: 2 })
    edit(ada, edits.removeMember(ada.view(), 'bob'))
    assert.deepEqual(ada.view().removed, [memberOf('bob')])
  })

  it('gives the later of two equal names a suffix of its id', () => {
    const ada = first(foundedCluster())
    for (const name of ['bob', 'cem'])
      edit(
        ada,
        edits.addMember(ada.view(), {
          id: memberOf(name),
          name: 'web',
          role: 'runner',
          addresses: [],
          invite: null,
        }),
      )
    const [earlier, later] = ada.view().members.filter(({ name }) => name.startsWith('web'))
    assert.ok(earlier && later && earlier.id < later.id)
    assert.equal(earlier.name, 'web')
    assert.equal(later.name, `web-${later.id.slice(-4).toLowerCase()}`)
  })

  it('counts how often a ticket was used', () => {
    const ada = first(foundedCluster())
    const ticket = memberOf('ticket')
    edit(ada, edits.putInvite(ada.view(), { id: ticket, expiresAt: 9, uses: 2, role: 'operator' }))
    edit(
      ada,
      edits.addMember(ada.view(), {
        id: memberOf('bob'),
        name: 'bob',
        role: 'operator',
        addresses: [],
        invite: ticket,
      }),
    )
    assert.deepEqual(ada.view().invites, [{ id: ticket, expiresAt: 9, uses: 2, role: 'operator', used: 1 }])
    edit(ada, edits.removeInvite(ada.view(), ticket))
    assert.deepEqual(ada.view().invites, [])
  })

  it('describes edits in words, without what is as it is by default', () => {
    const ada = first(withShop())
    const view = ada.view()
    const file = cell('shop', service('web', { replicas: 3 }), service('api', { ports: { http: 0 } }))
    assert.deepEqual(describeEdits(view, edits.applyCell(view, file).edits), [
      { path: 'shop/web replicas', from: '2', to: '3' },
      { path: 'shop/api', from: null, to: 'present' },
      { path: 'shop/api command', from: null, to: '["node","api.js"]' },
      { path: 'shop/api ports.http', from: null, to: '0' },
      { path: 'shop/db', from: 'present', to: null },
    ])
  })
})

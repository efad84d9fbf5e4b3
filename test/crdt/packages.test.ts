// Packages in the document: one content a version for good, whoever writes what at the same time.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { changeHashOf, decodeChange, encodeChange } from '../../crdt/change-codec.ts'
import { applyCell } from '../../crdt/edits.ts'
import { packageOf, putPackage, removePackage } from '../../crdt/edits-package.ts'
import { decodeRecord, encodeRecord, signRecord } from '../../crdt/record.ts'
import { canonicalJson } from '../../lib/order.ts'
import { sha256Hex } from '../../lib/hash.ts'
import { cell, CLUSTER, edit, foundedCluster, pull, service, signerOf } from './cluster.ts'

const content = (name: string) => ({ digest: sha256Hex(name), bytes: name.length, files: 1 })
const ONE = { ref: 'api@1', ...content('one') }
const OTHER = { ref: 'api@1', ...content('other') }

const two = () => {
  const [ada, bob] = foundedCluster('bob')
  assert.ok(ada !== undefined && bob !== undefined)
  return { ada, bob }
}

describe('packages', () => {
  it('are listed with who pushed them and when', () => {
    const { ada } = two()
    assert.equal(ada.view().packages, undefined)
    edit(ada, putPackage(ada.view(), ONE), 'push api@1', 1234)
    const [found] = ada.view().packages ?? []
    assert.deepEqual(found, { ...ONE, removed: false, author: signerOf('ada').member, at: 1234 })
  })

  it('mean one content for good: another one is refused, also after a removal (S11)', () => {
    const { ada } = two()
    edit(ada, putPackage(ada.view(), ONE))
    assert.throws(() => putPackage(ada.view(), OTHER), /another content already/)
    assert.deepEqual(putPackage(ada.view(), ONE), [], 'the same again is no change')
    edit(ada, removePackage(ada.view(), 'api@1'))
    assert.throws(() => packageOf(ada.view(), 'api@1'), /was removed/)
    assert.throws(() => putPackage(ada.view(), OTHER), /another content already/)
    edit(ada, putPackage(ada.view(), ONE))
    assert.equal(packageOf(ada.view(), 'api@1').digest, ONE.digest)
  })

  it('keep out a forged change that overwrites a version, by its own causal past (S4)', () => {
    const { ada, bob } = two()
    edit(ada, putPackage(ada.view(), ONE))
    pull(bob, ada)
    const staged = bob.draft(removePackage(bob.view(), 'api@1'), { message: 'forge', at: 1 })
    assert.ok(staged !== null)
    const change = decodeChange(decodeRecord(staged.record).bytes)
    const { digest, bytes, files } = OTHER
    const value = canonicalJson({ digest, bytes, files })
    const forged = encodeChange({ ...change, ops: change.ops.map((op) => ({ ...op, value })) })
    const { actor, seq } = change
    const record = signRecord(signerOf('bob'), CLUSTER, {
      actor,
      seq,
      hash: changeHashOf(forged),
      bytes: forged,
    })
    const { invalid } = ada.judge([encodeRecord(record)])
    assert.match(invalid[0]?.reason ?? '', /another content/)
  })

  it('that two push at once show as a conflict with one winner, and a removal beats a push (S1)', () => {
    const { ada, bob } = two()
    edit(ada, putPackage(ada.view(), ONE))
    edit(bob, putPackage(bob.view(), OTHER))
    pull(ada, bob)
    pull(bob, ada)
    assert.equal(ada.view().digest, bob.view().digest)
    assert.deepEqual(
      (ada.view().conflicts ?? []).map(({ path }) => path),
      ['package api@1'],
    )
    const winner = packageOf(ada.view(), 'api@1')
    edit(ada, removePackage(ada.view(), 'api@1'))
    // To settle it the other way is legal for who has not seen the removal.
    const { digest, bytes, files } = winner.digest === ONE.digest ? OTHER : ONE
    edit(bob, [{ container: 'packages', key: 'api@1', value: canonicalJson({ digest, bytes, files }) }])
    pull(ada, bob)
    pull(bob, ada)
    assert.equal(ada.view().digest, bob.view().digest)
    assert.throws(() => packageOf(bob.view(), 'api@1'), /was removed/)
  })

  it('are pruned to the newest when asked to, but for what services run from', () => {
    const { ada } = two()
    for (const at of [1, 2, 3, 4])
      edit(ada, putPackage(ada.view(), { ref: `api@${at}`, ...content(`v${at}`) }), 'push', at)
    edit(ada, applyCell(ada.view(), cell('shop', service('api', { package: 'api@1' }))).edits)
    edit(ada, putPackage(ada.view(), { ref: 'api@5', ...content('v5') }, 2), 'push', 5)
    const live = (ada.view().packages ?? []).flatMap(({ ref, removed }) => (removed ? [] : [ref]))
    assert.deepEqual(live, ['api@1', 'api@4', 'api@5'])
  })
})

describe('a service that runs from a package', () => {
  it('is pinned to its content: two versions of one content are one release', () => {
    const { ada } = two()
    edit(ada, putPackage(ada.view(), ONE))
    edit(ada, putPackage(ada.view(), { ...ONE, ref: 'api@2' }))
    edit(ada, putPackage(ada.view(), { ref: 'api@3', ...content('three') }))
    const releaseOf = (named: string): string => {
      edit(ada, applyCell(ada.view(), cell('shop', service('api', { package: named }))).edits)
      const [found] = ada.view().services
      assert.equal(found?.package?.split('#')[0], named)
      return found?.release ?? ''
    }
    const first = releaseOf('api@1')
    assert.equal(releaseOf('api@2'), first)
    assert.notEqual(releaseOf('api@3'), first)
    assert.equal(ada.view().services[0]?.definition.package, content('three').digest)
  })

  it('keeps its release when its version is contested or taken away elsewhere', () => {
    const { ada, bob } = two()
    edit(ada, putPackage(ada.view(), ONE))
    edit(ada, applyCell(ada.view(), cell('shop', service('api', { package: 'api@1' }))).edits)
    const release = ada.view().services[0]?.release
    edit(bob, putPackage(bob.view(), OTHER))
    pull(ada, bob)
    pull(bob, ada)
    assert.equal(ada.view().services[0]?.release, release)
    assert.throws(() => removePackage(ada.view(), 'api@7'), /there is no package/)
  })

  it('cannot name what is not listed, nor lead out of it; and cannot lose what it runs from', () => {
    const { ada } = two()
    const apply = (over: object) => applyCell(ada.view(), cell('shop', service('api', over)))
    assert.throws(() => apply({ package: 'api@1' }), /there is no package 'api@1'/)
    edit(ada, putPackage(ada.view(), ONE))
    assert.throws(() => apply({ package: `api@1#${content('x').digest}` }), /not the content/)
    assert.throws(() => apply({ package: 'api@1', workingDir: '../x' }), /outside of its package/)
    assert.throws(() => apply({ package: 'api@1', workingDir: '/x' }), /outside of its package/)
    edit(ada, apply({ package: 'api@1', workingDir: 'lib' }).edits)
    assert.throws(() => removePackage(ada.view(), 'api@1'), /runs from/)
  })

  it('has the release it always had while it has none: nothing of it is hashed or written', () => {
    const { ada } = two()
    const { edits } = applyCell(ada.view(), cell('shop', service('web')))
    assert.ok(edits.every(({ key }) => !key.endsWith('/package')))
    edit(ada, edits)
    assert.ok(!('package' in (ada.view().services[0]?.definition ?? {})))
  })
})

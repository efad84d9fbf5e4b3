// Build duties in the document: one value each, followed by how the last commit fared.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { recordBuild, removeBuildDuty, retryBuild, setBuildDuty } from '../../crdt/build-duty-edits.ts'
import { describeEdits } from '../../crdt/describe-edits.ts'
import { fieldFault } from '../../crdt/fields.ts'
import type { IntentReplica } from '../../crdt/replica.ts'
import type { BuildDuty, BuildOutcome } from '../../crdt/schema/build-duty.ts'
import { canonicalJson } from '../../lib/order.ts'
import { edit, foundedCluster, pull } from './cluster.ts'

const DUTY: BuildDuty = {
  repository: 'https://git.example.org/shop.git',
  branch: 'main',
  file: 'cell.yaml',
  everyMs: 10_000,
}
const commit = (letter: string): string => letter.repeat(40)
const outcome = (letter: string, kind: BuildOutcome['kind'] = 'released'): BuildOutcome => ({
  commit: commit(letter),
  version: 'v1',
  kind,
  message: 'words',
  output: [],
})

const cluster = (...names: readonly string[]): IntentReplica[] => foundedCluster(...names)
const first = (replicas: readonly IntentReplica[]): IntentReplica => {
  const [ada] = replicas
  assert.ok(ada)
  return ada
}

describe('build duty', () => {
  it('is in the view with its last outcome, and leaves a cluster without one its digest', () => {
    const ada = first(cluster())
    const before = ada.view()
    assert.ok(!('buildDuties' in before))
    edit(ada, setBuildDuty(ada.view(), 'shop', DUTY))
    assert.deepEqual(ada.view().buildDuties, [{ ...DUTY, name: 'shop', outcome: null }])
    edit(ada, recordBuild(ada.view(), 'shop', outcome('a'), null))
    assert.deepEqual(ada.view().buildDuties?.[0]?.outcome, outcome('a'))
    edit(ada, removeBuildDuty(ada.view(), 'shop'))
    assert.equal(ada.view().digest, before.digest)
    assert.throws(() => removeBuildDuty(ada.view(), 'shop'), { code: 'unknown' })
  })

  it('takes an outcome only on top of the one that its build began from', () => {
    const ada = first(cluster())
    edit(ada, setBuildDuty(ada.view(), 'shop', DUTY))
    edit(ada, recordBuild(ada.view(), 'shop', outcome('a'), null))
    edit(ada, recordBuild(ada.view(), 'shop', outcome('b'), commit('a')))
    assert.throws(() => recordBuild(ada.view(), 'shop', outcome('c'), commit('a')), {
      code: 'conflict',
      message: "build duty 'shop' is at bbbbbbbbbbbb by now; nothing was changed",
    })
  })

  it('forgets the outcome when another branch or file is meant, or a failure is to be tried again', () => {
    const ada = first(cluster())
    edit(ada, setBuildDuty(ada.view(), 'shop', DUTY))
    edit(ada, recordBuild(ada.view(), 'shop', outcome('a', 'failed'), null))
    edit(ada, setBuildDuty(ada.view(), 'shop', { ...DUTY, everyMs: 5000 }))
    assert.equal(ada.view().buildDuties?.[0]?.outcome?.kind, 'failed')
    edit(ada, retryBuild(ada.view(), 'shop'))
    assert.equal(ada.view().buildDuties?.[0]?.outcome, null)
    assert.throws(() => retryBuild(ada.view(), 'shop'), { code: 'refused' })
    edit(ada, recordBuild(ada.view(), 'shop', outcome('a'), null))
    edit(ada, setBuildDuty(ada.view(), 'shop', { ...DUTY, branch: 'stable' }))
    assert.equal(ada.view().buildDuties?.[0]?.outcome, null)
  })

  it('has no secret in its repository (S13)', () => {
    const ada = first(cluster())
    for (const repository of [
      'https://ada:secret@git.example.org/shop.git',
      'https://token@git.example.org/shop.git',
      'ssh://git:secret@git.example.org/shop.git',
    ])
      assert.throws(() => setBuildDuty(ada.view(), 'shop', { ...DUTY, repository }), { code: 'invalid' })
    for (const repository of [
      'ssh://git@git.example.org/shop.git',
      'git@git.example.org:shop.git',
      '/srv/shop',
    ])
      assert.equal(setBuildDuty(ada.view(), 'shop', { ...DUTY, repository }).length, 1)
  })

  it('converges when two stewards write at once: equal words are one, others a conflict (S1, S2)', () => {
    const [ada, bob] = cluster('bob')
    assert.ok(ada && bob)
    edit(ada, setBuildDuty(ada.view(), 'shop', DUTY))
    pull(bob, ada)
    edit(ada, recordBuild(ada.view(), 'shop', outcome('a'), null))
    edit(bob, recordBuild(bob.view(), 'shop', outcome('a'), null))
    pull(ada, bob)
    pull(bob, ada)
    assert.equal(ada.view().digest, bob.view().digest)
    assert.deepEqual(ada.view().conflicts, [])
    edit(ada, recordBuild(ada.view(), 'shop', outcome('b'), commit('a')))
    edit(bob, recordBuild(bob.view(), 'shop', outcome('b', 'failed'), commit('a')))
    pull(ada, bob)
    pull(bob, ada)
    assert.equal(ada.view().digest, bob.view().digest)
    assert.deepEqual(
      ada.view().conflicts?.map(({ path }) => path),
      ['build duty shop outcome'],
    )
  })

  it('is described as people read it', () => {
    const ada = first(cluster())
    const edits = setBuildDuty(ada.view(), 'shop', DUTY)
    assert.deepEqual(describeEdits(ada.view(), edits), [
      { path: 'build duty shop', from: null, to: canonicalJson(DUTY) },
    ])
  })

  it('refuses what is no repository, branch, file or name (S4)', () => {
    const faultOf = (key: string, duty: object): string | null =>
      fieldFault('cells', key, canonicalJson({ ...DUTY, ...duty }))
    assert.equal(faultOf('build-duties/shop/duty', {}), null)
    for (const duty of [
      { repository: '--upload-pack=evil' },
      { repository: '' },
      { repository: 'a\u0000b' },
      { branch: '../x' },
      { branch: '-x' },
      { branch: 'a..b' },
      { branch: 'a.lock' },
      { file: '/etc/passwd' },
      { file: '../cell.yaml' },
      { file: 'a/../../cell.yaml' },
      { everyMs: 10 },
      { extra: 1 },
    ])
      assert.notEqual(faultOf('build-duties/shop/duty', duty), null, JSON.stringify(duty))
    for (const key of [
      'build-duties/Shop/duty',
      'build-duties/shop',
      'build-duties/shop/duty/x',
      'shop/duty',
    ])
      assert.notEqual(faultOf(key, {}), null, key)
  })
})

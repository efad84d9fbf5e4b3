// The past of the intent: what it says of changes, moments and releases, and that the view of a moment is the very view
// that a replica had which knew exactly that.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { removeBuildDuty, setBuildDuty } from '../../crdt/build-duty-edits.ts'
import { diffViews } from '../../crdt/diff-views.ts'
import type { Edit } from '../../crdt/edit.ts'
import {
  applyCell,
  cordon,
  removeMember,
  removeService,
  restart,
  scale,
  stop,
  uncordon,
} from '../../crdt/edits.ts'
import { putPackage, removePackage } from '../../crdt/edits-package.ts'
import { releaseBefore } from '../../crdt/past-releases.ts'
import type { IntentReplica, Staged } from '../../crdt/replica.ts'
import { decodeRecord } from '../../crdt/record.ts'
import { backToRelease, backToService } from '../../crdt/rollback.ts'
import type { View } from '../../crdt/schema/view.ts'
import { defined } from '../../lib/assert.ts'
import { TuttiError } from '../../lib/errors.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { ChangeHash, ServiceId } from '../../lib/ids.ts'
import { cell, edit, foundedCluster, memberOf, pull, replicaOf, service } from './cluster.ts'

const WEB = 'shop/web' as ServiceId
const serviceIn = (view: View, id: ServiceId = WEB) =>
  defined(
    view.services.find((one) => one.id === id),
    id,
  )

const apply = (replica: IntentReplica, version: string, at: number): Staged =>
  edit(
    replica,
    applyCell(replica.view(), cell('shop', service('web', { environment: { VERSION: version } }))).edits,
    `apply ${version}`,
    at,
  )

const deployed = (...versions: readonly string[]): IntentReplica => {
  const [ada] = foundedCluster()
  assert.ok(ada)
  versions.forEach((version, index) => apply(ada, version, 100 + index))
  return ada
}

interface Step {
  readonly who: number
  readonly what: number
  readonly value: number
  readonly from: number
}

const steps = fc.array(fc.record({ who: fc.nat(2), what: fc.nat(12), value: fc.nat(5), from: fc.nat(2) }), {
  minLength: 5,
  maxLength: 30,
})

const editsOf = (view: View, { what, value }: Step): readonly Edit[] => {
  const id = `shop/${value % 2 === 0 ? 'web' : 'db'}` as ServiceId
  switch (what) {
    case 0:
      return applyCell(view, cell('shop', service('web', { stopGraceMs: value }), service('db'))).edits
    case 1:
      return applyCell(view, cell('shop', service('web', { environment: { A: String(value) } }))).edits
    case 2:
      return scale(view, id, value)
    case 3:
      return removeService(view, id)
    case 4:
      return stop(view, id)
    case 5:
      return value % 2 === 0 ? cordon(view, 'bob') : uncordon(view, 'bob')
    case 6:
      return restart(view, id, `t${value}`)
    case 7:
      return putPackage(view, { ref: `api@${value}`, digest: sha256Hex(`api ${value}`), bytes: 1, files: 1 })
    case 8:
      return removePackage(view, `api@${value}`)
    case 9:
      return value === 0
        ? removeBuildDuty(view, 'main')
        : setBuildDuty(view, 'main', {
            repository: '/src',
            branch: `b${value}`,
            file: 'cell.yaml',
            everyMs: 60_000,
          })
    default:
      return []
  }
}

/** Performs a step; returns the change it made and what its author saw after it. */
const perform = (
  replicas: readonly IntentReplica[],
  one: Step,
): { readonly hash: ChangeHash; readonly view: View } | null => {
  const replica = defined(replicas[one.who], 'a replica')
  if (one.what >= 10) {
    pull(replica, defined(replicas[one.from], 'a replica'))
    return null
  }
  try {
    const staged = replica.draft(editsOf(replica.view(), one), { message: 'step', at: one.value })
    if (staged === null) return null
    replica.commit([staged])
    return { hash: staged.hash, view: replica.view() }
  } catch (thrown) {
    assert.ok(thrown instanceof TuttiError && thrown.code === 'unknown', String(thrown))
    return null
  }
}

describe('past', () => {
  it('shows at a change the view its author had after it, whatever came before, beside and since (S1)', () => {
    fc.assert(
      fc.property(steps, (todo) => {
        const replicas = foundedCluster('bob', 'cem')
        const made = todo.flatMap((one) => perform(replicas, one) ?? [])
        for (const to of replicas) for (const from of replicas) pull(to, from)
        for (const to of replicas) for (const from of replicas) pull(to, from)
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
        for (const to of replicas) for (const from of replicas) pull(to, from)
        for (const to of replicas) for (const from of replicas) pull(to, from)
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

describe('releases of a service', () => {
  it('are each named once, newest first, with the change that brought them', () => {
    const ada = deployed('1', '2')
    edit(ada, scale(ada.view(), WEB, 5), 'scale')
    const back = defined(ada.past.releasesOf(WEB)[1], 'the first release')
    edit(ada, backToRelease(ada.view(), back.service), 'rollback')
    const releases = ada.past.releasesOf(WEB)
    assert.deepEqual(
      releases.map(({ message, current }) => [message, current]),
      [
        ['rollback', true],
        ['apply 2', false],
      ],
    )
    assert.equal(releases[0]?.release, back.release)
    assert.equal(serviceIn(ada.view()).release, back.release)
    assert.equal(serviceIn(ada.view()).replicas, 5)
  })

  it('are those of the moments of the history', () => {
    fc.assert(
      fc.property(steps, (todo) => {
        const replicas = foundedCluster('bob', 'cem')
        for (const one of todo) perform(replicas, one)
        for (const to of replicas) for (const from of replicas) pull(to, from)
        const ada = defined(replicas[0], 'ada')
        const moments = Array.from({ length: ada.changesCount + 1 }, (_, back) =>
          ada.past.viewAt(ada.past.moment(`now~${back}`)).services.find(({ id }) => id === WEB),
        )
        const expected = [...new Set(moments.flatMap((web) => web?.release ?? []))]
        const found = ada.past.releasesOf(WEB, 100)
        assert.deepEqual(
          found.map(({ release }) => release),
          expected,
        )
        assert.deepEqual(
          found.map(({ service }) => service),
          expected.map((release) => moments.find((web) => web?.release === release)),
        )
        assert.equal(found[0]?.current ?? false, moments[0] !== undefined)
      }),
      { numRuns: 25 },
    )
  })

  it('are looked for no further than asked', () => {
    assert.equal(deployed('1', '2', '3').past.releasesOf(WEB, 2).length, 2)
    assert.deepEqual(deployed('1').past.releasesOf('shop/none' as ServiceId), [])
  })

  it('go back over restarts to what ran before them', () => {
    const ada = deployed('1', '2')
    edit(ada, restart(ada.view(), WEB, 'one'), 'restart')
    edit(ada, restart(ada.view(), WEB, 'two'), 'restart')
    const before = releaseBefore(ada.past.releasesOf(WEB))
    assert.equal(before?.message, 'apply 1')
    edit(ada, backToRelease(ada.view(), before.service))
    assert.equal(serviceIn(ada.view()).release, before.release)
  })

  it('have none before the only one', () => {
    assert.equal(releaseBefore(deployed('1').past.releasesOf(WEB)), null)
  })
})

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

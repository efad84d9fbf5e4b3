// The releases that a service had: which, in which order, and which came before.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { restart, scale } from '../../crdt/edits.ts'
import { releaseBefore } from '../../crdt/past-releases.ts'
import { backToRelease } from '../../crdt/rollback.ts'
import { defined } from '../../lib/assert.ts'
import type { ServiceId } from '../../lib/ids.ts'
import { edit, foundedCluster, pull } from './cluster.ts'
import { deployed, perform, serviceIn, steps, WEB } from './histories.ts'

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

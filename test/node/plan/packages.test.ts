// A start waits for its package, and nothing that serves does.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256Hex } from '../../../lib/hash.ts'
import type { PackageDigest } from '../../../lib/ids.ts'
import { makePlan } from '../../../node/plan/make-plan.ts'
import type { PlanInput } from '../../../node/plan/plan.ts'
import { numbered, service } from './fleet.ts'
import { Stage } from './stage.ts'

const ONE = sha256Hex('one') as PackageDigest
const TWO = sha256Hex('two') as PackageDigest
const web = (digest: PackageDigest, over: object = {}) =>
  service('shop/web', { ports: { http: 0 }, replicas: 1, package: `web@1#${digest}`, ...over })

const planWith = (stage: Stage, packages: PlanInput['packages']) =>
  makePlan({ ...stage.input('m0'), ...(packages === undefined ? {} : { packages }) })

describe('a plan with packages', () => {
  it('names what runs here and what is placed here, long before its turn', () => {
    const stage = new Stage(numbered(1), [web(ONE)])
    stage.settle()
    stage.services = [web(TWO)]
    assert.deepEqual(planWith(stage, new Map()).packages, [ONE, TWO].toSorted())
    stage.services = []
    assert.deepEqual(planWith(stage, new Map()).packages, [ONE])
  })

  it('starts nothing whose package is on its way, and says how far it is', () => {
    const stage = new Stage(numbered(1), [web(ONE)])
    const fetching = planWith(stage, new Map([[ONE, { kind: 'fetching', reason: 'fetches web@1: 40 %' }]]))
    assert.deepEqual(fetching.actions, [])
    assert.deepEqual(
      fetching.reports.map(({ state, reason }) => [state, reason]),
      [['fetching', 'fetches web@1: 40 %']],
    )
    assert.equal(planWith(stage, new Map()).reports[0]?.state, 'fetching')
    const [start] = planWith(stage, new Map([[ONE, { kind: 'ready' }]])).actions
    assert.equal(start?.kind, 'start')
  })

  it('lets the old release serve until the package of the new one is here, stop-first too (S8)', () => {
    for (const order of ['start-first', 'stop-first'] as const) {
      const update = { order, parallelism: 1 }
      const stage = new Stage(numbered(1), [web(ONE, { update })])
      stage.settle()
      stage.services = [web(TWO, { update })]
      // That nothing is prepared to follow the old one by itself any more does not touch it.
      const { actions } = planWith(stage, new Map([[ONE, { kind: 'ready' }]]))
      assert.deepEqual(
        actions.filter(({ kind }) => kind !== 'disarm'),
        [],
        order,
      )
      const ready = new Map([ONE, TWO].map((digest) => [digest, { kind: 'ready' as const }]))
      assert.ok(planWith(stage, ready).actions.length > 0, order)
    }
  })

  it('reports a slot as unfulfilled whose package cannot be had in time, with the reason (L2)', () => {
    const stage = new Stage(numbered(1), [web(ONE)])
    const packages: PlanInput['packages'] = new Map([[ONE, { kind: 'failing', reason: 'the disk is full' }]])
    const { unreadySinceMs = new Map() } = planWith(stage, packages)
    stage.nowMs += 60_000
    const plan = makePlan({ ...stage.input('m0'), packages, unreadySinceMs })
    assert.deepEqual(
      plan.unfulfilled.map(({ reason }) => reason),
      ['the disk is full'],
    )
    assert.equal(plan.reports[0]?.state, 'unfulfilled')
  })
})

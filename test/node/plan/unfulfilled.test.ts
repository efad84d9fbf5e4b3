// Unfulfilled slots say their cause in one word beside the reason: what alerts are told apart by.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makePlan } from '../../../node/plan/make-plan.ts'
import type { LocalInstance } from '../../../node/plan/local.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import { fleet, instance, service } from './fleet.ts'

const NOW = 1_000_000

const causesOf = (spec: ServiceView, local: readonly LocalInstance[]): readonly string[] => {
  const input = fleet({ members: { oak: {} }, services: [spec], local, nowMs: NOW })
  const unreadySinceMs = makePlan(input).unreadySinceMs ?? new Map()
  const later = { ...input, nowMs: NOW + 60_000, unreadySinceMs }
  return makePlan(later).unfulfilled.map(({ cause }) => cause)
}

describe('cause of an unfulfilled slot', () => {
  const exit = { code: 1, signal: null, atMs: NOW }

  it('is no-member when nobody can hold it', () => {
    assert.deepEqual(causesOf(service('a/b', { constraints: ['node.name == nowhere'] }), []), ['no-member'])
  })

  it('tells a crash loop, a refused start and one that is given up apart', () => {
    const spec = service('a/b')
    const ended = { phase: 'exited', exit, pid: null } as const
    const loop = instance(spec, 0, { ...ended, failuresInARow: 9 })
    assert.deepEqual(causesOf(spec, [loop]), ['crash-loop'])
    const refused = instance(spec, 0, {
      phase: 'broken',
      refused: true,
      error: 'not there',
      failuresInARow: 1,
    })
    assert.deepEqual(causesOf(spec, [refused]), ['refused'])
    const once = service('a/b', { restart: { ...spec.restart, condition: 'none' } })
    assert.deepEqual(causesOf(once, [instance(once, 0, { ...ended, failuresInARow: 1 })]), ['given-up'])
  })

  it('tells what fails its checks from what never became ready', () => {
    const healthcheck = {
      kind: 'tcp',
      intervalMs: 1000,
      timeoutMs: 500,
      retries: 3,
      startPeriodMs: 0,
    } as const
    const spec = service('a/b', { ports: { http: 0 }, healthcheck })
    const probe = { okInARow: 0, failedInARow: 3, everOk: true, lastFailure: 'x' }
    assert.deepEqual(causesOf(spec, [instance(spec, 0, { probe })]), ['failing'])
    const never = { ...probe, failedInARow: 0, everOk: false }
    assert.deepEqual(causesOf(spec, [instance(spec, 0, { probe: never })]), ['not-ready'])
  })

  it('is its turn where nobody serves the slot and the rollout is held up, and only there (L2)', () => {
    const old = service('a/b', { replicas: 2, command: ['old'] })
    const spec = service('a/b', { replicas: 2, command: ['new'] })
    const exited = { phase: 'exited', exit, pid: null } as const
    const loop = instance(spec, 0, { ...exited, failuresInARow: 9 })
    const unwell = instance(old, 1, { ...exited, failuresInARow: 3 })
    assert.deepEqual(causesOf(spec, [loop, unwell]), ['crash-loop', 'blocked'])
    assert.deepEqual(causesOf(spec, [loop, instance(old, 1)]), ['crash-loop'], 'the old one serves')
    const slow = service('a/b', { replicas: 2, command: ['new'], unfulfilledAfterMs: 100_000 })
    const begun = instance(slow, 0, { ...exited, failuresInARow: 1 })
    assert.deepEqual(causesOf(slow, [begun, unwell]), [], 'the rollout goes on')
  })
})

// How long a change takes at least: what the wave rule, the proofs and the drains add up to.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import { forecastView } from '../../../node/plan/forecast.ts'
import { leastDuration, type LeastDuration } from '../../../node/plan/least-duration.ts'
import { fleet, numbered, service, viewOf, type ServiceOptions } from './fleet.ts'

const durationOf = (before: readonly ServiceView[], after: readonly ServiceView[]): LeastDuration => {
  const input = fleet({ members: numbered(3), services: before })
  const view = viewOf(input.view.members, after)
  return leastDuration(forecastView(input, view).slots, view)
}

const released = (options: ServiceOptions): number => {
  const before = service('shop/web', options)
  return durationOf([before], [service('shop/web', { ...options, restartToken: 'new' })]).leastMs
}

const ports = { ports: { http: 0 } }

describe('least duration', () => {
  it('counts the turns of a rollout, the proof of each and one drain', () => {
    assert.equal(released({ replicas: 4 }), 4 * 2000)
    assert.equal(released({ replicas: 4, update: { order: 'start-first', parallelism: 3 } }), 2 * 2000)
    assert.equal(released({ replicas: 4, update: { order: 'start-first', parallelism: 0 } }), 2000)
    assert.equal(released({ replicas: 2, ...ports }), 1000)
    assert.equal(released({ replicas: 2, ...ports, update: { order: 'stop-first', parallelism: 1 } }), 2000)
    assert.equal(released({ replicas: 2, update: { order: 'stop-first', parallelism: 1 } }), 2 * 250)
  })

  it('counts the canary as a turn of its own, what a steward watches, and names what nobody can know', () => {
    const order = 'start-first'
    const canary = { order, parallelism: 3, canary: 1, monitorMs: 5000 } as const
    assert.equal(released({ replicas: 4, update: canary }), 2 * (2000 + 5000))
    assert.equal(released({ replicas: 4, update: { ...canary, delayMs: 1000 } }), 2 * (2000 + 5000) + 1000)
    const update = { ...canary, promote: 'manual' } as const
    const hook = { command: ['true'], timeoutMs: 1000 }
    const before = service('shop/web', { replicas: 4, update })
    const after = service('shop/web', { replicas: 4, update, restartToken: 'new', preDeploy: hook })
    assert.equal(
      durationOf([before], [after]).services[0]?.reason,
      '2 turns of 3, the first of 1, each 2s to prove itself, 10s to be watched, as long as pre_deploy takes, until it is promoted',
    )
  })

  it('is that of the slowest service, which it names first', () => {
    const slow = service('shop/slow', { replicas: 3 })
    const fast = service('shop/fast', { replicas: 1 })
    const again = (one: ServiceView): ServiceView =>
      service(one.id, { replicas: one.replicas, restartToken: 'new' })
    const { leastMs, services } = durationOf([slow, fast], [again(slow), again(fast)])
    assert.equal(leastMs, 6000)
    assert.deepEqual(
      services.map(({ service, waves, reason }) => [service, waves, reason]),
      [
        ['shop/slow', 3, '3 turns of 1, each 2s to prove itself'],
        ['shop/fast', 1, '2s to prove itself'],
      ],
    )
  })

  it('adds what a new service waits for, and nothing for what runs already', () => {
    const db = service('shop/db', {})
    const api = service('shop/api', { dependsOn: { db: 'healthy' } })
    const web = service('shop/web', { dependsOn: { api: 'healthy' } })
    assert.equal(durationOf([], [db, api, web]).leastMs, 750)
    assert.equal(durationOf([db], [db, api, web]).leastMs, 500)
    const circle = service('shop/db', { dependsOn: { web: 'healthy' } })
    assert.ok(durationOf([], [circle, api, web]).leastMs > 0)
  })

  it('is nothing where nothing starts', () => {
    const web = service('shop/web', { replicas: 3 })
    assert.deepEqual(durationOf([web], [web]), { leastMs: 0, services: [] })
    assert.deepEqual(durationOf([web], [service('shop/web', { replicas: 1 })]), { leastMs: 0, services: [] })
  })
})

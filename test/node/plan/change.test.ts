// Changes watched at every instant, over several members that plan for themselves (S7, S8, L2, L4).

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { defined } from '../../../lib/assert.ts'
import { numbered, service, type MemberOptions, type ServiceOptions } from './fleet.ts'
import { Stage } from './stage.ts'
import { play, quietStep, steps, type Step } from './turmoil.ts'

const ports = { http: 0 }
const web = (options: ServiceOptions = {}) => service('shop/web', { ports, replicas: 3, ...options })

/** Settles a fleet, then watches that ready instances stay within bounds while something changes. */
const settled = (members: Record<string, MemberOptions>, ...services: ReturnType<typeof web>[]): Stage => {
  const stage = new Stage(members, services)
  stage.settle()
  return stage
}

const bound = (stage: Stage, low: number, high: number): void => {
  stage.watch = (ready) => {
    const count = defined(ready.get(web().id), 'the count')
    assert.ok(count >= low && count <= high, `${count} ready at ${stage.nowMs}, not ${low} to ${high}`)
  }
}

/**
 * Two members that changed places between two views, each ending its instance since the other had been ready, and of the
 * same view, a moment ago; found by the property below when agreement of views was all that was asked for.
 */
const CROSSINGS: [Step[]][] = [
  [
    [
      { ...quietStep, parallelism: 0, draining: 0, cordoned: 0, late: [0] },
      { ...quietStep, draining: 3, cordoned: 2, late: [0] },
      { ...quietStep, turns: 2, parallelism: 0, draining: 0, cordoned: 0, late: [1] },
      { ...quietStep, draining: 3, cordoned: 2, late: [1] },
    ],
  ],
  [
    [
      { ...quietStep, parallelism: 2, deaf: 0 },
      { ...quietStep, turns: 4, parallelism: 0, draining: 0, late: [1] },
      { ...quietStep, parallelism: 2, late: [1] },
      { ...quietStep, parallelism: 0, draining: 0 },
    ],
  ],
  // What one that hears late is to hand over is handed on meanwhile: three instances of a slot are ready for a moment.
  [
    [
      { ...quietStep, turns: 6, parallelism: 0, draining: 1, deaf: 0 },
      { ...quietStep, turns: 1, parallelism: 0, draining: 0, cordoned: 0, deaf: 0 },
      { ...quietStep, turns: 4, parallelism: 0, draining: 0, cordoned: 0, members: 4, deaf: 0 },
      { ...quietStep, turns: 6, parallelism: 0, draining: 0, cordoned: 0 },
    ],
  ],
]

describe('changes of a start-first service: safety', () => {
  it('never has fewer ready than replicas in a rollout, nor more than one above with parallelism 1 (S8)', () => {
    for (const count of [1, 2, 3, 5]) {
      const stage = settled(numbered(count), web())
      bound(stage, 3, 4)
      stage.services = [web({ restartToken: 'again' })]
      stage.settle()
      assert.ok(stage.picture().every((line) => line.includes(web({ restartToken: 'again' }).release)))
    }
  })

  it('surges by as many as parallelism allows, all at once with 0', () => {
    for (const [parallelism, surge] of [
      [2, 2],
      [0, 6],
    ] as const) {
      const update = { order: 'start-first' as const, parallelism }
      const stage = settled(numbered(3), web({ replicas: 6, update }))
      bound(stage, 6, 6 + surge)
      stage.services = [web({ replicas: 6, update, restartToken: 'again' })]
      stage.settle()
    }
  })

  it('keeps replicas ready while a member drains, is cordoned, or joins', () => {
    const stage = settled(numbered(4), web({ replicas: 6 }))
    bound(stage, 6, 12)
    stage.members = numbered(4, (at) => ({ draining: at === 1 }))
    stage.settle()
    assert.deepEqual(stage.local('m1'), [])
    stage.members = { ...numbered(4, (at) => ({ draining: at === 1, cordoned: at === 2 })), m9: {} }
    stage.settle()
  })

  it('holds an old release up when the new one never becomes ready', () => {
    const stage = settled(numbered(3), web())
    bound(stage, 3, 3)
    const broken = web({ restartToken: 'broken' })
    stage.healthy = (instance) => instance.release !== broken.release
    stage.services = [broken]
    for (let turn = 0; turn < 100; turn += 1) stage.turn()
    const reports = ['m0', 'm1', 'm2'].flatMap((name) => stage.plan(name)?.unfulfilled ?? [])
    assert.deepEqual(
      reports.map(({ slot }) => slot),
      ['shop/web/0'],
    )
    assert.equal(stage.ready().get(broken.id), 3)
  })

  it('survives an edit of the release in the middle of a rollout, back and forth', () => {
    const stage = settled(numbered(3), web())
    bound(stage, 3, 4)
    for (const token of ['b', 'c', '', 'b', '']) {
      stage.services = [web({ restartToken: token })]
      for (let turn = 0; turn < 7; turn += 1) stage.turn()
    }
    stage.settle()
    assert.equal(stage.ready().get(web().id), 3)
  })

  for (const [title, kinds] of Object.entries({
    'edited, drained, cordoned or joined': { scaled: false, lost: false },
    'scaled, lost or found again': { scaled: true, lost: true },
  })) {
    it(`never lets a slot be without a ready instance, whatever is ${title} meanwhile (S8)`, () => {
      fc.assert(fc.property(steps(kinds), play), { numRuns: 20, examples: CROSSINGS })
    })
  }

  it('drains the surplus once a partition has healed', () => {
    const stage = settled(numbered(3), web())
    const before = stage.picture()
    stage.members = numbered(3, (at) => (at === 0 ? { state: 'dead', sinceMs: stage.nowMs } : {}))
    for (let turn = 0; turn < 60; turn += 1) stage.turn()
    assert.ok(stage.picture().length >= 3)
    stage.members = numbered(3)
    bound(stage, 3, 6)
    stage.settle()
    assert.deepEqual(stage.picture(), before)
  })
})

describe('changes of a stop-first service: safety', () => {
  it('never runs two instances of a slot, in a rollout or in a move', () => {
    const update = { order: 'stop-first' as const, parallelism: 1 }
    const stage = settled(numbered(3), web({ update }))
    stage.watch = () => {
      const live = ['m0', 'm1', 'm2'].flatMap((name) =>
        stage.local(name).filter(({ phase }) => phase !== 'exited'),
      )
      assert.equal(new Set(live.map(({ slot }) => slot)).size, live.length)
    }
    stage.services = [web({ update, restartToken: 'again' })]
    stage.settle()
    stage.members = numbered(3, (at) => ({ draining: at === 0 }))
    stage.settle()
    assert.equal(stage.ready().get(web().id), 3)
  })
})

describe('capacity: safety', () => {
  it('waits with a reason where the surge does not fit, and rolls out where it does (S7)', () => {
    const tight = { memoryBytes: 1000 }
    const of = (token: string, memory: number) =>
      web({ replicas: 1, restartToken: token, reservedMemoryBytes: memory })
    const stage = settled({ m0: tight }, of('', 600))
    stage.services = [of('b', 600)]
    for (let turn = 0; turn < 60; turn += 1) stage.turn()
    const [lost] = stage.plan('m0')?.unfulfilled ?? []
    assert.match(lost?.reason ?? '', /waits for room: needs 600, 400 is free.*stop-first/)
    assert.equal(stage.ready().get(web().id), 1)
    stage.services = [of('c', 400)]
    stage.settle()
    assert.equal(stage.ready().get(web().id), 1)
  })
})

describe('changes: liveness', () => {
  it('does nothing at all once converged, and asks for no wake-up (L2)', () => {
    const stage = settled(numbered(5), web({ replicas: 7 }), service('shop/log', { mode: 'global' }))
    const before = stage.actions
    for (let turn = 0; turn < 20; turn += 1) stage.turn()
    assert.equal(stage.actions, before)
    for (const name of ['m0', 'm1', 'm2', 'm3', 'm4']) {
      assert.deepEqual(stage.plan(name)?.waiting, [])
      assert.equal(stage.plan(name)?.wakeAtMs, null)
      assert.deepEqual(stage.plan(name)?.unfulfilled, [])
    }
  })

  it('moves nothing when a member toggles faster than the reschedule delay (L4)', () => {
    const stage = settled(numbered(4), web({ replicas: 8 }))
    const before = stage.actions
    for (let round = 0; round < 5; round += 1) {
      stage.members = numbered(4, (at) => (at === 1 ? { state: 'dead', sinceMs: stage.nowMs } : {}))
      for (let turn = 0; turn < 12; turn += 1) stage.turn()
      stage.members = numbered(4)
      for (let turn = 0; turn < 4; turn += 1) stage.turn()
    }
    assert.equal(stage.actions, before)
  })

  it('takes back what drains when it is wanted again, and starts nothing for it', () => {
    const stage = settled(numbered(3), web())
    bound(stage, 3, 4)
    const before = stage.picture()
    const started = ['m0', 'm1', 'm2'].flatMap((name) => stage.local(name))
    stage.services = [web({ restartToken: 'b' })]
    const drains = () => ['m0', 'm1', 'm2'].some((name) => stage.local(name).some(({ draining }) => draining))
    for (let turn = 0; turn < 20 && !drains(); turn += 1) stage.turn()
    assert.ok(drains())
    stage.services = [web()]
    stage.turn()
    stage.settle()
    assert.deepEqual(stage.picture(), before)
    const ended = ['m0', 'm1', 'm2'].flatMap((name) => stage.local(name))
    assert.deepEqual(
      ended.map(({ startedAtMs }) => startedAtMs),
      started.map(({ startedAtMs }) => startedAtMs),
    )
  })

  it('is pending while it waits, and unfulfilled only after its deadline; a new release is given time anew', () => {
    const api = (token: string) =>
      service('shop/api', { ports, dependsOn: { db: 'healthy' }, restartToken: token })
    const db = service('shop/db', { stopped: true })
    const stage = new Stage(numbered(1), [api(''), db])
    const states = (turns: number): readonly (string | undefined)[] =>
      Array.from({ length: turns }, () => {
        stage.turn()
        return stage.plan('m0')?.reports[0]?.state
      })
    assert.deepEqual(new Set(states(40)), new Set(['pending']))
    assert.deepEqual(new Set(states(5)), new Set(['unfulfilled']))
    assert.equal(stage.plan('m0')?.unfulfilled.length, 1)
    stage.services = [api('again'), db]
    assert.deepEqual(new Set(states(40)), new Set(['pending']))
    assert.deepEqual(new Set(states(1)), new Set(['unfulfilled']))
  })

  it('starts dependents after what they depend on', () => {
    const db = service('shop/db', { ports })
    const api = service('shop/api', { ports, dependsOn: { db: 'healthy' } })
    const stage = new Stage(numbered(2), [api, db])
    stage.watch = (ready) => {
      const early = ['m0', 'm1']
        .flatMap((name) => stage.local(name))
        .some(({ service }) => service === api.id)
      if (early) assert.equal(ready.get(db.id), 1)
    }
    stage.settle()
    assert.equal(stage.ready().get(api.id), 1)
  })

  it('ends everything of a stopped, a removed and a scaled-down service', () => {
    const stage = settled(numbered(3), web({ replicas: 5 }))
    stage.services = [web({ replicas: 2 })]
    stage.settle()
    assert.equal(stage.picture().length, 2)
    stage.services = [web({ replicas: 2, stopped: true })]
    stage.settle()
    assert.deepEqual(stage.picture(), [])
    stage.services = [web()]
    stage.settle()
    stage.services = []
    stage.settle()
    assert.deepEqual(stage.picture(), [])
  })
})

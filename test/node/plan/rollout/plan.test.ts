// What words do to a plan: gates of slots, hooks as instances, what a steward says, and where traffic goes.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RolloutStatus } from '../../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../../crdt/schema/view.ts'
import { defined } from '../../../../lib/assert.ts'
import type { ReleaseId } from '../../../../lib/ids.ts'
import { checkPlan } from '../../../../node/plan/check-plan.ts'
import { endpointsOf } from '../../../../node/plan/endpoints.ts'
import { makePlan } from '../../../../node/plan/make-plan.ts'
import type { Plan, PlanInput } from '../../../../node/plan/plan.ts'
import { rolloutSteward } from '../../../../node/plan/rollout/stewardship.ts'
import { fleet, holding, idOf, instance, numbered, service, type FleetOptions } from '../fleet.ts'

const OLD = '0ld000000000' as ReleaseId
const two = numbered(2)
const gated = (over: Parameters<typeof service>[1] = {}): ServiceView =>
  service('shop/web', { replicas: 2, update: { order: 'start-first', parallelism: 1, canary: 1 }, ...over })

const word = (web: ServiceView, over: Partial<RolloutStatus> = {}): RolloutStatus => ({
  release: web.release,
  phase: 'canary',
  open: 1,
  wave: 1,
  since: 0,
  reason: '',
  good: OLD,
  verified: false,
  heeded: '',
  ...over,
})

const planOf = (options: FleetOptions): { readonly plan: Plan; readonly input: PlanInput } => {
  const input = fleet(options)
  const plan = makePlan(input)
  assert.deepEqual(checkPlan(input, plan), [])
  return { plan, input }
}

/** The member that judges, and the other one. */
const parts = (web: ServiceView): { readonly judge: string; readonly other: string } => {
  const steward = rolloutSteward(web.id, fleet({ members: two, services: [web] }))
  const judge = Object.keys(two).find((name) => idOf(name) === steward) ?? ''
  return { judge, other: judge === 'm0' ? 'm1' : 'm0' }
}

const starts = (plan: Plan): readonly string[] =>
  plan.actions.filter(({ kind }) => kind === 'start').map(({ instance: id }) => id)

describe('a slot of a service with a canary', () => {
  const web = gated()
  const { judge, other } = parts(web)
  /** Both slots run the old release on the one member that may hold them. */
  const alone = (rollouts: FleetOptions['rollouts']): Plan =>
    planOf({
      self: other,
      members: { ...two, [judge]: { cordoned: true } },
      services: [web],
      local: [instance(web, 0, { release: OLD }), instance(web, 1, { release: OLD })],
      ...(rollouts === undefined ? {} : { rollouts }),
    }).plan

  it('waits for the word of the steward (S8)', () => {
    const plan = alone({})
    assert.deepEqual(starts(plan), [])
    assert.match(plan.waiting.join('; '), /waits for the word of the steward/)
  })

  it('begins when its wave is open, and no other does (S8)', () => {
    assert.deepEqual(starts(alone({ [judge]: { 'shop/web': word(web) } })), [`shop/web/0@${web.release}`])
  })

  it('begins on a word about this very release only', () => {
    assert.deepEqual(
      starts(alone({ [judge]: { 'shop/web': word(web, { release: OLD, phase: 'done' }) } })),
      [],
    )
  })

  it('waits while anybody who is there says that the rollout is paused or has failed (S8)', () => {
    for (const phase of ['paused', 'failed'] as const)
      assert.deepEqual(starts(alone({ [judge]: { 'shop/web': word(web, { phase, open: 2 }) } })), [])
  })

  it('is unfulfilled once nobody serves it and its rollout has failed, as a first release whose hook fails (L2)', () => {
    const failed = word(web, { phase: 'failed', open: 0, good: null, reason: 'pre_deploy exited with 3' })
    const given = (nowMs: number, unreadySinceMs?: PlanInput['unreadySinceMs']) =>
      planOf({
        self: other,
        members: { ...two, [judge]: { cordoned: true } },
        services: [web],
        rollouts: { [judge]: { 'shop/web': failed } },
        nowMs,
        ...(unreadySinceMs === undefined ? {} : { unreadySinceMs }),
      }).plan
    const early = given(100_000)
    assert.deepEqual(early.unfulfilled, [])
    const late = given(111_000, early.unreadySinceMs)
    assert.deepEqual(
      late.unfulfilled.map(({ slot, cause }) => [slot, cause]),
      [
        ['shop/web/0', 'blocked'],
        ['shop/web/1', 'blocked'],
      ],
    )
  })

  it('is not unfulfilled while others go first', () => {
    assert.deepEqual(alone({ [judge]: { 'shop/web': word(web) } }).unfulfilled, [])
  })
})

describe('an instance that is ready and whose check has failed', () => {
  const check = { kind: 'tcp', intervalMs: 500, timeoutMs: 400, retries: 3, startPeriodMs: 0 } as const
  const web = gated({ ports: { http: 0 }, healthcheck: check })
  const { judge, other } = parts(web)
  const lapsed = { okInARow: 0, failedInARow: 1, everOk: true, lapses: 1, lastFailure: 'no' }
  const reported = (phase: RolloutStatus['phase']) =>
    planOf({
      self: other,
      members: { ...two, [judge]: { cordoned: true } },
      services: [web],
      local: [instance(web, 0, { probe: lapsed })],
      rollouts: { [judge]: { 'shop/web': word(web, { phase }) } },
    }).plan.reports.find(({ instance: id }) => id.startsWith('shop/web/0@'))

  it('says so while its release is judged, and not after', () => {
    const judged = reported('canary')
    assert.deepEqual([judged?.state, judged?.lapses, judged?.lapsed], ['ready', 1, true])
    assert.equal(reported('done')?.lapses, undefined)
  })
})

describe('a steward', () => {
  const web = gated()
  const { judge, other } = parts(web)

  it('says its word in the pass in which it finds it, and acts on it at once', () => {
    const { plan } = planOf({
      self: judge,
      members: { ...two, [other]: { cordoned: true } },
      services: [web],
      local: [instance(web, 0, { release: OLD }), instance(web, 1, { release: OLD })],
      holds: { [judge]: [...holding(web, [0, 1], { release: OLD })] },
    })
    assert.deepEqual(starts(plan), [`shop/web/0@${web.release}`])
    const said = plan.stewardship?.words.get(web.id)
    assert.deepEqual([said?.phase, said?.open, said?.good], ['canary', 1, OLD])
  })

  it('goes on from what a dead one has said', () => {
    const { plan } = planOf({
      self: judge,
      members: { ...two, [other]: { state: 'dead', sinceMs: 99_000 } },
      services: [web],
      local: [instance(web, 0, { release: OLD })],
      holds: { [judge]: holding(web, [0], { release: OLD }) },
      rollouts: { [other]: { 'shop/web': word(web, { phase: 'rolling', open: 2, wave: 2 }) } },
    })
    const said = plan.stewardship?.words.get(web.id)
    assert.deepEqual([said?.phase, said?.open, said?.wave], ['rolling', 2, 2])
  })

  it('begins the window anew when another member says that a check has failed (S8)', () => {
    const web = gated({ update: { order: 'start-first', parallelism: 1, canary: 1, monitorMs: 1000 } })
    const release = web.release
    const memory = { release, readySinceMs: 90_000, lapses: 0, progress: 2, progressAtMs: 90_000 }
    const at = (doubt: { readonly lapses: number; readonly now: boolean } | null) => {
      const input = fleet({
        self: judge,
        members: { ...two, [judge]: { cordoned: true } },
        services: [web],
        holds: { [other]: [...holding(web, [0]), ...holding(web, [1], { release: OLD })] },
        rollouts: { [judge]: { 'shop/web': word(web) } },
      })
      const id = idOf(other)
      const said = defined(input.statuses.get(id), 'a status')
      const doubts = new Map(doubt === null ? [] : [[`shop/web/0@${release}`, doubt] as const])
      const statuses = new Map(input.statuses).set(id, { ...said, doubts })
      const rollouts = new Map([[web.id, { ...memory, forgiven: new Map() }]])
      return makePlan({ ...input, statuses, rollouts }).stewardship?.words.get(web.id)
    }
    assert.equal(at(null)?.phase, 'rolling')
    assert.match(
      at({ lapses: 1, now: true })?.reason ?? '',
      /until the checks of shop\/web\/0 on m\d pass again/,
    )
    assert.match(at({ lapses: 1, now: false })?.reason ?? '', /must stay so for 1s/)
  })

  it('leaves its word standing until the next steward has said its own', () => {
    const rollouts = { [other]: { 'shop/web': word(web) } }
    const base = { self: other, members: two, services: [web] }
    assert.equal(planOf({ ...base, rollouts }).plan.stewardship?.words.size, 1)
    const both = { ...rollouts, [judge]: { 'shop/web': word(web) } }
    assert.equal(planOf({ ...base, rollouts: both }).plan.stewardship?.words.size, 0)
  })

  it('that does not take back what has failed is stood in for by the next in line (L5)', () => {
    const failed = word(web, { phase: 'failed', reason: 'it crashed' })
    const at = (nowMs: number, rollouts?: Plan['rollouts']): Plan =>
      makePlan({
        ...fleet({
          self: other,
          members: two,
          services: [web],
          rollouts: { [judge]: { 'shop/web': failed } },
          nowMs,
        }),
        ...(rollouts === undefined ? {} : { rollouts }),
      })
    const first = at(100_000)
    assert.deepEqual([first.stewardship?.duties, first.wakeAtMs], [[], 105_000])
    assert.deepEqual(at(105_000, first.rollouts).stewardship?.duties, [
      { kind: 'revert', service: 'shop/web', release: web.release, to: OLD, reason: 'it crashed' },
    ])
  })

  it('that comes back goes on from what the one in between has said, which stands until then (L5)', () => {
    const rollouts = {
      [judge]: { 'shop/web': word(web) },
      [other]: { 'shop/web': word(web, { phase: 'rolling', open: 2, wave: 2 }) },
    }
    const base = { members: two, services: [web], rollouts }
    assert.equal(planOf({ ...base, self: other }).plan.stewardship?.words.get(web.id)?.open, 2)
    const said = planOf({ ...base, self: judge }).plan.stewardship?.words.get(web.id)
    assert.deepEqual([said?.phase, said?.open, said?.wave], ['rolling', 2, 2])
    const held = { ...rollouts, [judge]: { 'shop/web': word(web, { phase: 'paused' }) } }
    assert.equal(
      planOf({ ...base, self: judge, rollouts: held }).plan.stewardship?.words.get(web.id)?.phase,
      'paused',
    )
    assert.equal(planOf({ ...base, self: other, rollouts: held }).plan.stewardship?.words.size, 0)
  })
})

describe('a blue-green service', () => {
  const web = gated({
    update: { order: 'start-first', parallelism: 0, promote: 'manual' },
    ports: { http: 0 },
  })
  const { judge, other } = parts(web)
  const members = { ...two, [judge]: { cordoned: true } }
  const local = [0, 1].flatMap((seat) => [instance(web, seat, { release: OLD }), instance(web, seat)])
  const held = [...holding(web, [0, 1], { release: OLD }), ...holding(web, [0, 1])]
  const at = (phase: RolloutStatus['phase']) => ({
    self: other,
    members,
    services: [web],
    local,
    holds: { [other]: held },
    rollouts: { [judge]: { 'shop/web': word(web, { phase, open: 2 }) } },
  })
  const served = (phase: RolloutStatus['phase']): readonly string[] => [
    ...new Set(
      (endpointsOf(fleet(at(phase))).get(web.id) ?? []).map(({ instance: id }) => id.split('@')[1] ?? ''),
    ),
  ]

  it('keeps the old set, and all its traffic, until the switch', () => {
    assert.ok(!planOf(at('canary')).plan.actions.some(({ kind }) => kind === 'drain' || kind === 'stop'))
    assert.deepEqual(served('canary'), [OLD])
    assert.ok(planOf(at('rolling')).plan.actions.some(({ kind }) => kind === 'drain'))
    assert.equal(served('rolling').length, 2)
  })
})

describe('depends_on completed', () => {
  const setup = service('shop/setup', {
    restart: { condition: 'on-failure', delayMs: 500, delayMaxMs: 500, attemptsMax: null, windowMs: 1 },
  })
  const web = service('shop/web', { dependsOn: { setup: 'completed' } })
  const base = { members: numbered(1), services: [setup, web] }
  const done = instance(setup, 0, { phase: 'exited', exit: { code: 0, signal: null, atMs: 1 } })

  it('waits until the service has run to its good end', () => {
    const { plan } = planOf({ ...base, local: [instance(setup, 0)] })
    assert.deepEqual(starts(plan), [])
    assert.match(plan.waiting.join('; '), /waits for shop\/setup\/0 to be completed/)
    assert.deepEqual(starts(planOf({ ...base, local: [done] }).plan), [`shop/web/0@${web.release}`])
  })

  it('does not take a failure for an end', () => {
    const failed = { ...done, exit: { code: 1, signal: null, atMs: 1 } }
    assert.deepEqual(starts(planOf({ ...base, local: [failed] }).plan), [])
  })

  it('does not run again what a member that is gone has completed', () => {
    const { plan } = planOf({
      self: 'm0',
      members: { m0: {}, m1: { state: 'dead', sinceMs: 0 } },
      services: [setup],
      holds: { m1: holding(setup, [0], { state: 'stopped' }) },
    })
    assert.deepEqual(plan.actions, [])
    assert.deepEqual(
      plan.reports.map(({ state, reason }) => [state, reason]),
      [['stopped', 'completed on m1']],
    )
  })
})

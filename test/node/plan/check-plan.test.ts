import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { instanceIdOf, slotIdOf } from '../../../lib/ids.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import type { Action } from '../../../node/plan/action.ts'
import { checkPlan } from '../../../node/plan/check-plan.ts'
import type { Plan } from '../../../node/plan/plan.ts'
import { fleet, holding, instance, service } from './fleet.ts'

const web = service('shop/web', { replicas: 2, ports: { http: 0 }, reservedMemoryBytes: 600 })
const members = { m0: { memoryBytes: 1000 }, m1: {} }

const planOf = (...actions: Action[]): Plan => ({
  actions,
  reports: [],
  unfulfilled: [],
  waiting: [],
  awaitsReports: false,
  wakeAtMs: null,
})

const start = (of: ServiceView, seat = 0): Action => ({
  kind: 'start',
  proofMs: 0,
  instance: instanceIdOf(slotIdOf(of.id, seat), of.release),
  slot: slotIdOf(of.id, seat),
  service: of.id,
  release: of.release,
  definition: of.definition,
  cpusMilli: of.reservedCpusMilli,
  memoryBytes: of.reservedMemoryBytes,
  reason: 'test',
})

const end = (kind: 'drain' | 'forget' | 'restart', seat = 0, of = web): Action => ({
  kind,
  instance: instanceIdOf(slotIdOf(of.id, seat), of.release),
  reason: 'test',
})

describe('check of a plan', () => {
  const base = { members, services: [web] }

  it('lets a lawful plan through', () => {
    assert.deepEqual(checkPlan(fleet(base), planOf(start(web))), [])
  })

  it('refuses to touch what is not ours (S6)', () => {
    assert.match(checkPlan(fleet(base), planOf(end('drain')))[0] ?? '', /not ours \(S6\)/)
    const local = [instance(web, 0)]
    assert.match(checkPlan(fleet({ ...base, local }), planOf(start(web)))[0] ?? '', /exists already/)
  })

  it('refuses starts beyond the capacity, ending instances included (S7)', () => {
    const local = [instance(web, 1, { phase: 'stopping' })]
    assert.match(checkPlan(fleet({ ...base, local }), planOf(start(web)))[0] ?? '', /exceed 1000 \(S7\)/)
  })

  it('refuses to end the only ready instance of a wanted slot (S8)', () => {
    const local = [instance(web, 0)]
    const drain = planOf(end('drain'))
    assert.match(
      checkPlan(fleet({ ...base, local }), drain)[0] ?? '',
      /only ready instance of its slot \(S8\)/,
    )
    const rival = (claim: number) => ({ m1: holding(web, [0], { claim }) })
    assert.deepEqual(checkPlan(fleet({ ...base, local, holds: rival(1) }), drain), [])
    const said = { ...rival(1), m0: holding(web, [0], { claim: 2 }) }
    assert.match(checkPlan(fleet({ ...base, local, holds: said }), drain)[0] ?? '', /\(S8\)/)
    const scaled = service('shop/web', { replicas: 0, ports: { http: 0 } })
    assert.deepEqual(checkPlan(fleet({ ...base, services: [scaled], local }), drain), [])
  })

  it('lets a draining member end a global slot in the middle of a rollout, which nobody wants there any more', () => {
    const each = service('shop/each', { mode: 'global', ports: { http: 0 } })
    const old = instance(service('shop/each', { mode: 'global', restartToken: 'old' }), 'm0')
    const local = [old, instance(each, 'm0', { phase: 'preparing' })]
    const drain = planOf({ kind: 'drain', instance: old.id, slot: old.slot, reason: 'is drained' } as Action)
    const checked = (draining: boolean) =>
      checkPlan(fleet({ members: { m0: { draining }, m1: {} }, services: [each], local }), drain)
    assert.match(checked(false)[0] ?? '', /\(S8\)/)
    assert.deepEqual(checked(true), [])
  })

  it('takes the start of what drains for its return, which needs no room (S6, S7)', () => {
    const local = [instance(web, 0, { draining: true })]
    assert.deepEqual(checkPlan(fleet({ ...base, local }), planOf(start(web))), [])
    assert.match(
      checkPlan(fleet({ ...base, local: [instance(web, 0)] }), planOf(start(web)))[0] ?? '',
      /exists already \(S6\)/,
    )
  })

  it('refuses unwanted releases, stopped services, double actions, wrong phases and past wake-ups', () => {
    const local = [instance(web, 0)]
    const broken = (input: Parameters<typeof fleet>[0], plan: Plan) => checkPlan(fleet(input), plan).join(' ')
    assert.match(
      broken(base, planOf(start(service('shop/web', { restartToken: 'old' })))),
      /release nobody wants/,
    )
    assert.match(
      broken({ members, services: [service('shop/web', { stopped: true })] }, planOf(start(web))),
      /not wanted/,
    )
    assert.match(broken({ ...base, local }, planOf(end('forget'))), /which is running/)
    assert.match(
      broken(
        { ...base, local: [instance(web, 0, { phase: 'exited' })] },
        planOf(end('restart'), end('forget')),
      ),
      /two actions/,
    )
    assert.match(broken(base, { ...planOf(), wakeAtMs: 100_000 }), /has passed/)
    assert.match(
      broken({ members: { m0: { draining: true } }, services: [web] }, planOf(start(web))),
      /may hold nothing/,
    )
  })
})

// What a pass keeps for the next one: it must show nowhere but in the time that a pass takes.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import type { MemberStatus } from '../../../crdt/schema/status.ts'
import { makePlan } from '../../../node/plan/make-plan.ts'
import { PlanMemo } from '../../../node/plan/plan-memo.ts'
import type { PlanInput } from '../../../node/plan/plan.ts'
import { RosterMemo } from '../../../node/plan/roster-memo.ts'
import { SightingsMemo } from '../../../node/plan/sightings-memo.ts'
import { fleet, holding, idOf, instance, numbered, service, type MemberOptions } from './fleet.ts'

const WEB = service('shop/web', { replicas: 3 })
const SERVICES = [WEB, service('shop/jobs', { replicas: 3 })]
const NAMES = ['m0', 'm1', 'm2', 'm3']

/** One thing that happens between two passes. */
type Step =
  | {
      readonly kind: 'says'
      readonly member: number
      readonly slots: readonly number[]
      readonly ready: boolean
    }
  | { readonly kind: 'reports'; readonly member: number }
  | { readonly kind: 'becomes'; readonly member: number; readonly options: MemberOptions }
  | { readonly kind: 'goes'; readonly member: number }
  | { readonly kind: 'waits'; readonly ms: number }

const member = fc.nat(NAMES.length - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('says' as const),
    member,
    slots: fc.uniqueArray(fc.nat(2), { maxLength: 2 }),
    ready: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('reports' as const), member }),
  fc.record({
    kind: fc.constant('becomes' as const),
    member,
    options: fc.constantFrom<MemberOptions>(
      {},
      { state: 'dead', sinceMs: 99_000 },
      { state: 'suspect' },
      { state: 'left' },
      { cordoned: true },
      { draining: true },
      { cpus: 8 },
      { facts: false },
    ),
  }),
  fc.record({ kind: fc.constant('goes' as const), member: fc.integer({ min: 1, max: NAMES.length - 1 }) }),
  fc.record({ kind: fc.constant('waits' as const), ms: fc.constantFrom(100, 5000, 60_000) }),
)

/** Inputs one after the other, as an agent has them: what did not change is the same value. */
const inputsOf = function* (steps: readonly Step[]): Generator<PlanInput> {
  let members: Record<string, MemberOptions> = numbered(NAMES.length - 1)
  let nowMs = 100_000
  let before = fleet({ members, services: SERVICES, nowMs, local: [instance(WEB, 0)] })
  for (const one of steps) {
    const { view, membership } = before
    const statuses = new Map(before.statuses)
    if (one.kind === 'waits') nowMs += one.ms
    else {
      const name = NAMES[one.member] ?? ''
      const id = idOf(name)
      const said = statuses.get(id)
      if (one.kind === 'goes')
        members = Object.fromEntries(Object.entries(members).filter(([of]) => of !== name))
      if (one.kind === 'becomes') members = { ...members, [name]: one.options }
      const made = fleet({ members, services: SERVICES, nowMs })
      if (one.kind === 'goes') statuses.delete(id)
      else if (one.kind === 'says') {
        const instances = new Map(holding(WEB, one.slots, { state: one.ready ? 'ready' : 'starting' }))
        if (said !== undefined) statuses.set(id, { ...said, instances })
      } else if (one.kind === 'reports') {
        if (said !== undefined)
          statuses.set(id, { ...said, report: { digest: made.view.digest, settled: true, waiting: [] } })
      } else {
        const facts = made.statuses.get(id)?.facts ?? null
        statuses.set(id, { ...(said ?? WORDLESS), facts })
      }
      before = {
        ...before,
        view: isDeepStrictEqual(view.members, made.view.members) ? view : made.view,
        membership: isDeepStrictEqual(membership, made.membership) ? membership : made.membership,
      }
    }
    before = { ...before, statuses, nowMs }
    yield before
  }
}

const WORDLESS: MemberStatus = {
  incarnation: 1,
  facts: null,
  report: null,
  instances: new Map(),
  alerts: new Map(),
}

describe('what a pass keeps for the next', () => {
  it('leaves every plan as it would be without', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
        const memo = new PlanMemo()
        for (const input of inputsOf(steps)) assert.deepEqual(makePlan(input, memo), makePlan(input))
      }),
      { numRuns: 150 },
    )
  })

  it('leaves what is seen of slots, in its order, and the roster as they would be without', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
        const sightings = new SightingsMemo()
        const roster = new RosterMemo()
        for (const input of inputsOf(steps)) {
          assert.deepEqual(sightings.slots(input), new SightingsMemo().slots(input))
          assert.deepEqual(roster.of(input), new RosterMemo().of(input))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('is the same roster while instances alone change', () => {
    const steps: Step[] = [
      { kind: 'says', member: 1, slots: [0], ready: false },
      { kind: 'says', member: 1, slots: [0], ready: true },
      { kind: 'waits', ms: 100 },
    ]
    const memo = new RosterMemo()
    const rosters = [...inputsOf(steps)].map((input) => memo.of(input))
    for (const roster of rosters) assert.equal(roster, rosters[0])
  })
})

// Placement: the rules that every answer keeps, whatever the fleet (S5, S7).

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MemberView } from '../../../crdt/schema/view.ts'
import { slotIdOf } from '../../../lib/ids.ts'
import { place, PlacementMemo } from '../../../node/plan/placement.ts'
import { placementVersionOf } from '../../../node/plan/placement-version.ts'
import type { PlanInput, SlotPlacement } from '../../../node/plan/plan.ts'
import { fleet, holding, idOf, numbered, service, type MemberOptions } from './fleet.ts'
import { countsOf, heldBy, someServices } from './placements.ts'

const arbitraryFleet = fc
  .record({
    members: fc.array(
      fc.record({
        cpus: fc.integer({ min: 1, max: 8 }),
        memoryBytes: fc.integer({ min: 0, max: 4000 }),
        labels: fc.record({ zone: fc.constantFrom('a', 'b', 'c') }),
        cordoned: fc.boolean(),
        draining: fc.boolean(),
        state: fc.constantFrom<NonNullable<MemberOptions['state']>>('alive', 'suspect', 'dead', 'left'),
        sinceMs: fc.constantFrom(0, 98_000),
      }),
      { minLength: 1, maxLength: 9 },
    ),
    services: fc.array(
      fc.record({
        replicas: fc.integer({ min: 0, max: 12 }),
        mode: fc.constantFrom<'replicated' | 'global'>('replicated', 'replicated', 'global'),
        reservedCpusMilli: fc.constantFrom(0, 0, 500, 2000),
        reservedMemoryBytes: fc.constantFrom(0, 0, 300, 1500),
        constraints: fc.constantFrom<string[]>([], [], ['node.labels.zone != a'], ['node.name == m1']),
        spread: fc.constantFrom(null, null, 'node.labels.zone'),
        replicasPerNodeMax: fc.constantFrom(null, null, 1, 2),
        stopped: fc.constantFrom(false, false, true),
      }),
      { maxLength: 8 },
    ),
  })
  .map(({ members, services }) => {
    const specs = services.map((options, at) => service(`c/s${at}`, options))
    const named = numbered(members.length, (at) => members[at] ?? {})
    const first = specs[0]
    const holds = first === undefined ? {} : { m0: holding(first, [0, 1]), m1: holding(first, [2]) }
    return fleet({ members: named, services: specs, holds })
  })

const shuffled = (input: PlanInput): PlanInput => ({
  ...input,
  view: {
    ...input.view,
    members: input.view.members.toReversed(),
    services: input.view.services.toReversed(),
  },
  statuses: new Map([...input.statuses].toReversed()),
  membership: { ...input.membership, members: input.membership.members.toReversed() },
})

/** What a member is given fits it in every respect. */
const assertWithinLimits = (input: PlanInput, member: MemberView, mine: readonly SlotPlacement[]): void => {
  const facts = input.statuses.get(member.id)?.facts
  const liveness = input.membership.members.find(({ id }) => id === member.id)
  let cpus = 0
  let memory = 0
  for (const spec of input.view.services) {
    const slots = mine.filter((one) => one.service === spec.id)
    cpus += slots.length * spec.reservedCpusMilli
    memory += slots.length * spec.reservedMemoryBytes
    assert.ok(slots.length <= (spec.replicasPerNodeMax ?? Infinity))
    if (slots.length > 0) {
      assert.ok(!member.draining && liveness?.state !== 'left')
      if (spec.constraints[0] === 'node.labels.zone != a') assert.notEqual(facts?.labels['zone'], 'a')
      if (spec.constraints[0] === 'node.name == m1') assert.equal(member.name, 'm1')
    }
  }
  if (mine.some((one) => input.view.services.find(({ id }) => id === one.service)?.reservedCpusMilli))
    assert.ok(cpus <= (facts?.cpusMilli ?? 0))
  assert.ok(memory <= (facts?.memoryBytes ?? 0) || memory === 0)
}

describe('placement: safety', () => {
  it('gives the same answer whatever order its inputs come in, with any memo (S5)', () => {
    const memo = new PlacementMemo()
    fc.assert(
      fc.property(arbitraryFleet, (input) => {
        const expected = [...place(input).values()]
        assert.deepEqual([...place(shuffled(input)).values()], expected)
        assert.deepEqual([...place(input, memo).values()], expected)
        assert.deepEqual([...place(input, memo).values()], expected)
      }),
      { numRuns: 300 },
    )
  })

  it('remembers no answer longer than it holds: as time passes, and as members come, go and drain', () => {
    fc.assert(
      fc.property(arbitraryFleet, fc.array(fc.nat(60_000), { maxLength: 6 }), (input, waits) => {
        const memo = new PlacementMemo()
        let { nowMs } = input
        for (const [at, waitMs] of waits.entries()) {
          nowMs += waitMs
          const members = input.membership.members.map((member, index) =>
            index === at % Math.max(1, input.membership.members.length)
              ? { ...member, state: at % 2 === 0 ? ('dead' as const) : ('alive' as const), sinceMs: nowMs }
              : member,
          )
          const drained = input.view.members.map((member, index) => ({
            ...member,
            draining: at === 3 && index === 0,
          }))
          const now = {
            ...input,
            nowMs,
            membership: { ...input.membership, members },
            view: { ...input.view, members: drained },
          }
          for (const laterMs of [0, 3000, 30_000])
            assert.deepEqual(
              [...place({ ...now, nowMs: nowMs + laterMs }, memo).values()],
              [...place({ ...now, nowMs: nowMs + laterMs }).values()],
            )
        }
      }),
      { numRuns: 150 },
    )
  })

  it('never exceeds capacity, constraints, eligibility or replicas per node (S7)', () => {
    fc.assert(
      fc.property(arbitraryFleet, (input) => {
        const placements = [...place(input).values()]
        for (const member of input.view.members)
          assertWithinLimits(
            input,
            member,
            placements.filter((one) => one.member === member.id),
          )
      }),
      { numRuns: 300 },
    )
  })

  it('keeps its answers: these are versions 1 and 2 (a change here takes a new version)', () => {
    const members = numbered(5, (at) => ({ cpus: at + 1 }))
    const namesFor = (those: Record<string, MemberOptions>) =>
      [...place(fleet({ members: those, services: [service('shop/web', { replicas: 8 })] })).values()].map(
        ({ member }) => Object.keys(those).find((name) => idOf(name) === member),
      )
    assert.deepEqual(namesFor(members), ['m0', 'm4', 'm3', 'm2', 'm1', 'm3', 'm4', 'm2'])
    const without3 = { ...members, m3: { cpus: 4, state: 'dead' as const } }
    assert.deepEqual(namesFor(without3), ['m0', 'm4', 'm0', 'm2', 'm1', 'm1', 'm4', 'm2'])
  })

  it('acts on the lowest version that any member speaks', () => {
    assert.equal(placementVersionOf(fleet({ members: numbered(2) })), 2)
    const mixed = numbered(2, (at) => ({ placementVersion: at + 1 }))
    assert.equal(placementVersionOf(fleet({ members: mixed })), 1)
  })

  it('spreads the replicas of a service over members before any holds two', () => {
    for (const count of [1, 2, 3, 5, 10]) {
      const placements = place(
        fleet({ members: numbered(count), services: [service('a/b', { replicas: count })] }),
      )
      assert.equal(countsOf(placements).size, count)
    }
  })

  it('spreads over a label before members, also when its values have unequal members', () => {
    const zones = (at: number) => ({ labels: { zone: at === 0 ? 'small' : 'large' } })
    const spec = service('a/b', { replicas: 4, spread: 'node.labels.zone' })
    const placements = place(fleet({ members: numbered(6, zones), services: [spec] }))
    assert.equal(heldBy(placements, 'm0'), 2)
  })

  it('gives members slots in proportion to their cpus', () => {
    const members = numbered(10, (at) => ({ cpus: at < 5 ? 2 : 6 }))
    const counts = countsOf(place(fleet({ members, services: someServices(400, 2) })))
    const small = [0, 1, 2, 3, 4].reduce((sum, at) => sum + (counts.get(idOf(`m${at}`)) ?? 0), 0)
    assert.ok(small > 150 && small < 250, `${small} of 800 on a quarter of the cpus`)
  })

  it('says in one sentence why nobody can hold a slot', () => {
    const spec = service('a/b', {
      replicas: 1,
      reservedMemoryBytes: 512 * 1024 ** 2,
      constraints: ['node.labels.zone != eu-2'],
    })
    const placements = place(
      fleet({
        members: {
          ash: { labels: { zone: 'eu-2' } },
          elm: { memoryBytes: 128 * 1024 ** 2 },
          oak: { draining: true },
        },
        services: [spec],
      }),
    )
    assert.equal(
      placements.get(slotIdOf(spec.id, 0))?.reason,
      'nobody can hold it: ash (node.labels.zone is eu-2, the constraint asks for != eu-2); elm needs 512M, 128M of 128M is free; oak is draining',
    )
  })
})

// Schedules are drawn from seeds, and shrunk to what matters.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assert as fcAssert, asyncProperty, nat, uniqueArray } from 'fast-check'
import { FAULTS } from '../../simulations/faults/registry.ts'
import { drawSchedule, partOf } from '../../simulations/schedule.ts'
import { minimize, shrink } from '../../simulations/shrink.ts'

const MINUTE_MS = 60_000
const drawn = (seed: string, kinds = FAULTS) =>
  drawSchedule({ seed, peers: 5, durationMs: 10 * MINUTE_MS, kinds })

describe('schedule', () => {
  it('is the same for the same seed, and another for another', () => {
    assert.deepEqual(drawn('same'), drawn('same'))
    assert.notDeepEqual(drawn('same'), drawn('other'))
  })

  it('has none of some kinds in each seed, and every kind in some', () => {
    const kinds = new Set<string>()
    for (let seed = 0; seed < 60; seed += 1) {
      const here = new Set(drawn(`swarm ${seed}`).map(({ kind }) => kind))
      assert.ok(here.size < FAULTS.length, 'some kind is absent')
      for (const kind of here) kinds.add(kind)
    }
    assert.deepEqual([...kinds].sort(), FAULTS.map(({ kind }) => kind).sort())
  })

  it('draws each kind by itself: what one draws does not depend on how another draws', () => {
    const other = FAULTS.map((fault) =>
      fault.kind === 'kill' ? { ...fault, draw: () => ({ machines: [0] }) } : fault,
    )
    const rest = (steps: ReturnType<typeof drawn>) =>
      steps.filter(({ kind }) => kind !== 'kill').map((step) => ({ ...step, id: 0 }))
    assert.deepEqual(rest(drawn('forks', other)), rest(drawn('forks')))
  })

  it('is numbered in the order of its times, and a part keeps the numbers', () => {
    const steps = drawn('numbers')
    assert.deepEqual(
      steps.map(({ id }) => id),
      steps.map((_, at) => at),
    )
    const [, second] = steps
    assert.ok(second)
    assert.deepEqual(partOf(steps, { steps: [1], first: null, untilMs: null }), [second])
    assert.deepEqual(partOf(steps, { steps: null, first: null, untilMs: 0 }), [])
    for (const { machines } of partOf(steps, { steps: null, first: 2, untilMs: null }))
      assert.ok(machines.every((machine) => machine < 2))
  })
})

describe('ddmin', () => {
  it('finds exactly the items that fail together, wherever they are', async () => {
    await fcAssert(
      asyncProperty(uniqueArray(nat(60), { minLength: 1, maxLength: 4 }), async (culprits) => {
        const items = Array.from({ length: 61 }, (_, at) => at)
        const fails = async (some: readonly number[]): Promise<boolean> =>
          culprits.every((culprit) => some.includes(culprit))
        assert.deepEqual(
          await minimize(items, fails),
          culprits.toSorted((a, b) => a - b),
        )
      }),
      { numRuns: 50 },
    )
  })

  it('finds nothing at all where nothing is needed', async () => {
    assert.deepEqual(await minimize([1, 2, 3], async () => true), [])
  })
})

describe('shrink', () => {
  it('leaves the steps, the machines and the time that matter', async () => {
    const schedule = drawn('shrink')
    const culprit = schedule.find(
      ({ machines }) => machines.includes(2) && machines.every((machine) => machine < 4),
    )
    assert.ok(culprit)
    const { part, minimal } = await shrink({
      schedule,
      peers: 5,
      durationMs: 10 * MINUTE_MS,
      fails: async (some) => partOf(schedule, some).includes(culprit),
    })
    assert.equal(minimal, true)
    assert.deepEqual(part.steps, [culprit.id])
    assert.equal(part.first, Math.max(...culprit.machines) + 1)
    assert.ok((part.untilMs ?? Infinity) > culprit.atMs)
    assert.ok((part.untilMs ?? Infinity) <= culprit.atMs + MINUTE_MS)
  })

  it('stops when its runs are used up, with what it has', async () => {
    let runs = 0
    const shrunk = await shrink({
      schedule: drawn('shrink'),
      peers: 5,
      durationMs: MINUTE_MS,
      runsMax: 3,
      fails: async () => {
        runs += 1
        return false
      },
    })
    assert.equal(runs, 3)
    assert.equal(shrunk.minimal, false)
  })
})

// The failure detector on machines that are too busy: who is slow is not dead (L3 holds again soon after). Every time below
// is simulated.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import { names, warmWorld } from './detector-world/world.ts'

describe('failure detector', () => {
  describe('overload', () => {
    it('stays calm while every event loop is overloaded', () => {
      for (const [count, share, lateMs] of [
        [12, 0.2, 2500],
        [12, 0.05, 4000],
        [30, 1, 1500],
      ] as const) {
        const world = warmWorld(count, `overload ${count}`)
        world.latenessMs = () => world.random.below(world.random.next() < share ? lateMs : 400)
        world.run(60_000)
        assert.deepEqual(world.deaths, [], `${count} peers, ${share} of their ticks up to ${lateMs} ms late`)
      }
    })

    /** Stalls up to this long convict nobody, whoever has them, with no warning: a window less a beat and the way. */
    const stallBoundMs = DETECTOR_DEFAULTS.silenceMs - DETECTOR_DEFAULTS.beatIntervalMs - 100

    it('never convicts who answers late, whoever and however many are starved (property)', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 2, max: 12 }),
          fc.integer({ min: 0, max: stallBoundMs }),
          fc.integer({ min: 1, max: 4095 }),
          fc.nat(),
          (count, stallMs, chosen, seed) => {
            const world = warmWorld(count, `starved ${seed}`)
            for (const [at, id] of names(count).entries()) if ((chosen >> at) & 1) world.starve(id, stallMs)
            world.run(20_000)
            assert.deepEqual(world.deaths, [])
          },
        ),
        { numRuns: 12 },
      )
    })

    it('never convicts who stalls for three seconds once it has said that it is slow (property)', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 2, max: 12 }),
          fc.integer({ min: 1, max: 4095 }),
          fc.nat(),
          (count, chosen, seed) => {
            const world = warmWorld(count, `slow ${seed}`)
            const starved = names(count).filter((_, at) => ((chosen >> at) & 1) === 1)
            for (const id of starved) world.starve(id, 1200)
            world.run(3000)
            for (const id of starved) world.starve(id, 3000)
            world.run(20_000)
            assert.deepEqual(world.deaths, [])
          },
        ),
        { numRuns: 12 },
      )
    })

    it('finds a frozen one dead within four seconds again soon after an overload (L3)', () => {
      for (let seed = 0; seed < 10; seed += 1) {
        const world = warmWorld(12, `after overload ${seed}`)
        for (const id of world.ids) world.starve(id, 1500)
        world.run(20_000)
        for (const id of world.ids) world.starve(id, 0)
        world.run(20_000)
        world.freeze('m005')
        const durationMs = world.runUntil(() => world.allSee('m005', 'dead'), 10_000)
        assert.ok(durationMs <= 4000, `seed ${seed}: ${durationMs} ms`)
      }
    })

    it('finds a frozen one dead in the middle of an overload as well', () => {
      for (let seed = 0; seed < 5; seed += 1) {
        const world = warmWorld(12, `in overload ${seed}`)
        for (const id of world.ids) if (id !== 'm005') world.starve(id, 1000)
        world.run(10_000)
        world.freeze('m005')
        const durationMs = world.runUntil(() => world.allSee('m005', 'dead'), 60_000)
        assert.ok(durationMs <= 20_000, `seed ${seed}: ${durationMs} ms`)
      }
    })
  })
})

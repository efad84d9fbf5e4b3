// The failure detector that first asks whether it is its own machine that stood still. Every time below is simulated.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MemberId } from '../../lib/ids.ts'
import { encodeBeat } from '../../net/beat.ts'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import { FailureDetector } from '../../net/failure-detector.ts'
import { warmWorld } from './detector-world/world.ts'

describe('failure detector', () => {
  describe('self-doubt (Lifeguard §IV.A)', () => {
    it('accuses nobody after a long freeze, does not brake, and is alive again within two seconds', () => {
      for (const [count, frozenMs] of [
        [2, 3000],
        [5, 5000],
        [5, 120_000],
        [30, 60_000],
      ] as const) {
        const world = warmWorld(count, `freeze ${count} ${frozenMs}`)
        world.freeze('m001')
        world.run(frozenMs)
        const mark = world.transcript.length
        world.thaw('m001')
        assert.ok(world.runUntil(() => world.everyoneAlive(), 10_000) <= 2000, `${count}, ${frozenMs} ms`)
        world.run(10_000)
        const said = world.transcript.slice(mark).filter((line) => line.includes('alert'))
        assert.deepEqual(said, [])
        assert.ok(!world.braked('m001'))
        assert.ok(world.everyoneAlive())
      }
    })

    it('does not accuse for a whole silence window after a late tick, not even for a close', () => {
      const detector = new FailureDetector('a' as MemberId)
      const other = 'b' as MemberId
      detector.setMembers([other], 0)
      detector.connected(other, 0)
      for (let nowMs = 0; nowMs <= 5000; nowMs += 250) {
        detector.beat(other, encodeBeat('beat'), nowMs)
        detector.tick(nowMs)
      }
      const alertsAt = (nowMs: number): readonly string[] =>
        detector
          .tick(nowMs)
          .filter((effect) => effect.kind === 'alert')
          .map((effect) => effect.kind)
      assert.deepEqual(alertsAt(60_000), [])
      detector.disconnected(other, false, 60_001)
      const overMs = 60_000 + DETECTOR_DEFAULTS.silenceMs
      for (let nowMs = 60_250; nowMs < overMs; nowMs += 250) assert.deepEqual(alertsAt(nowMs), [])
      assert.deepEqual(alertsAt(overMs), ['alert'])
    })

    it('hesitates for a second when everybody it watches falls silent at once', () => {
      const world = warmWorld(3, 'mass doubt')
      world.partition(['m000'])
      const foundMs = (by: string, of: string): number =>
        world.runUntil(() => world.state(by, of) !== 'alive', 5000)
      assert.ok(foundMs('m001', 'm000') <= DETECTOR_DEFAULTS.silenceMs + 100)
      assert.equal(world.state('m000', 'm001'), 'alive')
      assert.equal(world.state('m000', 'm002'), 'alive')
      assert.ok(foundMs('m000', 'm001') <= 1500)
    })

    it('survives every peer freezing at once', () => {
      const world = warmWorld(5, 'all freeze')
      for (const id of world.ids) world.freeze(id)
      world.run(60_000)
      for (const id of world.ids) world.thaw(id)
      world.run(20_000)
      assert.deepEqual(world.deaths, [])
    })
  })
})

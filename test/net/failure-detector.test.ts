// The failure detector in a simulated cluster: how soon it finds what (L3), and that all peers come to agree. Every time
// below is simulated.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MemberId } from '../../lib/ids.ts'
import { encodeBeat } from '../../net/beat.ts'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import { FailureDetector } from '../../net/failure-detector.ts'
import { ringsOf } from '../../net/rings.ts'
import { names, warmWorld, World } from './detector-world/world.ts'

describe('failure detector', () => {
  describe('detection (L3)', () => {
    for (const count of [2, 3, 5, 12, 30]) {
      it(`finds a killed one of ${count} dead everywhere within a second, without a brake`, () => {
        const world = warmWorld(count, `kill ${count}`)
        world.kill('m001')
        assert.ok(world.runUntil(() => world.allSee('m001', 'dead'), 5000) <= 1000)
        world.run(5000)
        assert.ok(world.allSee('m001', 'dead'))
        assert.ok(!world.braked('m000'))
        assert.deepEqual([...new Set(world.deaths.map((death) => death.of))], ['m001'])
      })

      it(`finds a frozen one of ${count} dead everywhere within four seconds`, () => {
        const world = warmWorld(count, `freeze ${count}`)
        world.freeze('m001')
        assert.ok(world.runUntil(() => world.allSee('m001', 'dead'), 10_000) <= 4000)
        world.run(20_000)
        assert.ok(world.allSee('m001', 'dead'))
        assert.deepEqual([...new Set(world.deaths.map((death) => death.of))], ['m001'])
      })
    }

    it('finds frozen peers among thirty dead within four seconds for many seeds', () => {
      for (let seed = 0; seed < 20; seed += 1) {
        const world = warmWorld(30, `p99 ${seed}`)
        world.run(seed * 37)
        const victim = names(30)[world.random.below(30)] ?? ''
        world.freeze(victim)
        const durationMs = world.runUntil(() => world.allSee(victim, 'dead'), 10_000)
        assert.ok(durationMs <= 4000, `seed ${seed}: ${durationMs} ms`)
      }
    })

    it('finds all dead when most of a cluster loses power at once', () => {
      for (const [count, survivors] of [
        [3, 1],
        [4, 1],
        [12, 2],
        [30, 10],
        [30, 2],
        [30, 1],
      ] as const) {
        const world = warmWorld(count, `power ${count} ${survivors}`)
        const living = names(count).slice(0, survivors)
        const lost = names(count).slice(survivors)
        for (const id of lost) world.freeze(id)
        const durationMs = world.runUntil(() => lost.every((id) => world.allSee(id, 'dead', living)), 90_000)
        assert.ok(durationMs < 60_000, `${survivors} of ${count} took ${durationMs} ms`)
        world.run(30_000)
        assert.ok(lost.every((id) => world.allSee(id, 'dead', living)))
        // New rings are drawn several times meanwhile; they reopen no case (L4).
        assert.deepEqual([world.deaths.length], [living.length * lost.length])
      }
    })

    it('keeps a dead member dead when its accusers die after it', () => {
      const world = warmWorld(12, 'accusers die')
      world.freeze('m005')
      world.run(10_000)
      const ring = ringsOf(names(12) as readonly MemberId[])
      for (const id of ring.observersOf('m005' as MemberId).slice(0, 4)) world.kill(id)
      const mark = world.transitions.length
      world.run(20_000)
      const back = world.transitions.slice(mark).filter((transition) => transition.of === 'm005')
      assert.deepEqual(back, [])
      assert.ok(world.allSee('m005', 'dead'))
    })

    it('keeps a dead member dead while its accusers are restarted, and clears it once it is back', () => {
      const world = warmWorld(6, 'accusers restart')
      const restart = (id: string): void => {
        world.kill(id)
        world.run(300)
        world.start(id)
      }
      world.freeze('m005')
      world.run(10_000)
      const mark = world.transitions.length
      for (const id of ['m000', 'm001', 'm002']) restart(id)
      world.run(15_000)
      // Who starts anew has to see for itself; the others have learnt nothing new.
      const others = world.transitions.slice(mark).filter(({ by }) => by === 'm003' || by === 'm004')
      assert.deepEqual(
        others.filter(({ of }) => of === 'm005'),
        [],
      )
      assert.ok(world.allSee('m005', 'dead'))
      for (const id of ['m000', 'm001', 'm002']) restart(id)
      world.thaw('m005')
      assert.ok(world.runUntil(() => world.allSee('m005', 'alive'), 10_000) <= 2000)
    })

    it('keeps a dead member dead while another one comes back to a lone survivor', () => {
      const world = warmWorld(3, 'lone survivor')
      world.kill('m001')
      world.start('m001')
      world.run(10_000)
      world.kill('m001')
      world.run(10_000)
      world.kill('m002')
      world.run(10_000)
      const mark = world.transitions.length
      world.start('m001')
      world.run(15_000)
      const again = world.transitions.slice(mark).filter(({ by, of }) => by === 'm000' && of === 'm002')
      assert.deepEqual(again, [])
      assert.ok(world.allSee('m002', 'dead'))
      world.start('m002')
      assert.ok(world.runUntil(() => world.allSee('m002', 'alive'), 10_000) <= 2000)
    })

    it('finds a member dead that nobody reaches after a restart of the whole cluster', () => {
      const world = new World(names(3), 'cold start')
      world.kill('m002')
      world.run(4500)
      assert.ok(world.allSee('m002', 'alive'))
      assert.ok(world.runUntil(() => world.allSee('m002', 'dead'), 10_000) <= 3000)
    })

    it('gives a newly admitted member time to come up, but not for ever', () => {
      const world = warmWorld(3, 'newcomer')
      world.add('m900', false)
      world.run(9000)
      assert.ok(world.allSee('m900', 'alive'))
      world.run(4000)
      assert.ok(world.allSee('m900', 'dead'))
    })

    it('finds a restarted member alive as soon as it is back, and dead at once when it crashes again', () => {
      const world = warmWorld(5, 'restart')
      for (let round = 0; round < 5; round += 1) {
        world.kill('m003')
        assert.ok(world.runUntil(() => world.allSee('m003', 'dead'), 5000) <= 1000, `round ${round}`)
        world.start('m003')
        assert.ok(world.runUntil(() => world.everyoneAlive(), 5000) <= 1000, `round ${round}`)
      }
    })

    it('shows a member that leaves as left at once, and alive when it runs again', () => {
      const world = warmWorld(3, 'leave')
      world.leave('m002')
      world.run(200)
      assert.ok(world.allSee('m002', 'left'))
      world.kill('m002')
      world.run(10_000)
      assert.ok(world.allSee('m002', 'left'))
      assert.equal(world.peer('m000').alerts.size, 0)
      world.peer('m002').running = true
      world.start('m002')
      world.run(1000)
      assert.ok(world.everyoneAlive())
    })

    it('forgets a removed member, alerts included', () => {
      const world = warmWorld(3, 'removed')
      world.kill('m002')
      world.run(2000)
      world.admit(['m000', 'm001'])
      world.run(1000)
      assert.equal(world.peer('m000').detector.membership(world.nowMs).members.length, 2)
      assert.equal(world.peer('m000').alerts.size + world.peer('m001').alerts.size, 0)
    })
  })

  it('wakes for its beats alone while all is well', () => {
    const [self, ...others] = names(5) as readonly [MemberId, ...MemberId[]]
    const { beatIntervalMs } = DETECTOR_DEFAULTS
    const detector = new FailureDetector(self)
    detector.setMembers([self, ...others], 0)
    for (const other of others) detector.connected(other, 0)
    const word = encodeBeat('beat')
    let looks = 0
    for (let nowMs = 0; nowMs < 100 * beatIntervalMs; nowMs += 10) {
      // The beats of each come at another time.
      for (const [at, other] of others.entries())
        if (nowMs % beatIntervalMs === 150 * (at + 1)) detector.beat(other, word, nowMs)
      if (detector.nextTickMs > nowMs) continue
      looks += 1
      for (const { kind } of detector.tick(nowMs)) assert.equal(kind, 'beat')
    }
    assert.ok(looks <= 105, `${looks} looks in a hundred intervals`)
  })

  describe('agreement', () => {
    it('brings all peers to one membership under random crashes, freezes and restarts', () => {
      for (let seed = 0; seed < 8; seed += 1) {
        const world = warmWorld(9, `chaos ${seed}`)
        const down = new Map<string, 'killed' | 'frozen'>()
        for (let step = 0; step < 25; step += 1) {
          const id = names(9)[world.random.below(9)] ?? ''
          const how = down.get(id)
          if (how === 'killed') world.start(id)
          else if (how === 'frozen') world.thaw(id)
          down.delete(id)
          if (how === undefined && down.size < 4) {
            const killed = world.random.next() < 0.5
            if (killed) world.kill(id)
            else world.freeze(id)
            down.set(id, killed ? 'killed' : 'frozen')
          }
          world.run(world.random.below(5000))
        }
        world.run(15_000)
        for (const id of world.ids) {
          assert.ok(world.allSee(id, down.has(id) ? 'dead' : 'alive'), `seed ${seed}: ${id}`)
        }
      }
    })

    it('does the same for the same inputs', () => {
      const transcript = (): readonly string[] => {
        const world = warmWorld(7, 'same')
        world.freeze('m003')
        world.run(5000)
        world.kill('m004')
        world.run(5000)
        world.thaw('m003')
        world.run(5000)
        return world.transcript
      }
      assert.deepEqual(transcript(), transcript())
    })
  })
})

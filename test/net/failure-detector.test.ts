// The failure detector in a simulated cluster: detection bounds (L3), no false conviction, self-doubt, partitions with
// the brake (S16), healing. Every time below is simulated.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MemberId } from '../../lib/ids.ts'
import { encodeBeat } from '../../net/beat.ts'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import { FailureDetector } from '../../net/failure-detector.ts'
import { ringsOf } from '../../net/rings.ts'
import { names, warmWorld, World } from './detector-harness.ts'

const took = (durationMs: number | null): number => durationMs ?? Number.POSITIVE_INFINITY

/** Cuts every message between the two groups. */
const partition = (world: World, minority: readonly string[]): void => {
  world.passes = (from, to) => minority.includes(from) === minority.includes(to)
}

const deaths = (world: World): World['transitions'] =>
  world.transitions.filter((transition) => transition.state === 'dead')

describe('failure detector', () => {
  describe('detection (L3)', () => {
    for (const count of [2, 3, 5, 12, 30]) {
      it(`finds a killed one of ${count} dead everywhere within a second, without a brake`, () => {
        const world = warmWorld(count, `kill ${count}`)
        world.kill('m001')
        assert.ok(took(world.runUntil(() => world.allSee('m001', 'dead'), 5000)) <= 1000)
        world.run(5000)
        assert.ok(world.allSee('m001', 'dead'))
        assert.ok(!world.braked('m000'))
        assert.deepEqual([...new Set(deaths(world).map((death) => death.of))], ['m001'])
      })

      it(`finds a frozen one of ${count} dead everywhere within four seconds`, () => {
        const world = warmWorld(count, `freeze ${count}`)
        world.freeze('m001')
        assert.ok(took(world.runUntil(() => world.allSee('m001', 'dead'), 10_000)) <= 4000)
        world.run(20_000)
        assert.ok(world.allSee('m001', 'dead'))
        assert.deepEqual([...new Set(deaths(world).map((death) => death.of))], ['m001'])
      })
    }

    it('finds frozen peers among thirty dead within four seconds for many seeds', () => {
      for (let seed = 0; seed < 20; seed += 1) {
        const world = warmWorld(30, `p99 ${seed}`)
        world.run(seed * 37)
        const victim = names(30)[world.random.below(30)] ?? ''
        world.freeze(victim)
        const durationMs = took(world.runUntil(() => world.allSee(victim, 'dead'), 10_000))
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
        const durationMs = took(
          world.runUntil(() => lost.every((id) => world.allSee(id, 'dead', living)), 90_000),
        )
        assert.ok(durationMs < 60_000, `${survivors} of ${count} took ${durationMs} ms`)
        world.run(30_000)
        assert.ok(lost.every((id) => world.allSee(id, 'dead', living)))
        // New rings are drawn several times meanwhile; they reopen no case (L4).
        assert.deepEqual([deaths(world).length], [living.length * lost.length])
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
      assert.ok(took(world.runUntil(() => world.allSee('m005', 'alive'), 10_000)) <= 2000)
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
      assert.ok(took(world.runUntil(() => world.allSee('m002', 'alive'), 10_000)) <= 2000)
    })

    it('finds a member dead that nobody reaches after a restart of the whole cluster', () => {
      const world = new World(names(3), 'cold start')
      world.kill('m002')
      world.run(4500)
      assert.ok(world.allSee('m002', 'alive'))
      assert.ok(took(world.runUntil(() => world.allSee('m002', 'dead'), 10_000)) <= 3000)
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
        assert.ok(took(world.runUntil(() => world.allSee('m003', 'dead'), 5000)) <= 1000, `round ${round}`)
        world.start('m003')
        assert.ok(took(world.runUntil(() => world.everyoneAlive(), 5000)) <= 1000, `round ${round}`)
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

  describe('no false conviction', () => {
    it('accuses nobody in a quiet cluster', () => {
      const world = warmWorld(30, 'quiet')
      world.run(60_000)
      assert.deepEqual(world.transcript, [])
    })

    it('does not convict by one observer that hears nobody', () => {
      for (const count of [3, 5, 7, 12, 30]) {
        const world = warmWorld(count, `one-way ${count}`)
        world.passes = (_, to) => to !== 'm002'
        world.run(30_000)
        const others = names(count).filter((id) => id !== 'm002')
        const wrong = deaths(world).filter((death) => death.by !== 'm002' && death.of !== 'm002')
        assert.deepEqual(wrong, [], `${count} members`)
        assert.ok(others.every((id) => !world.braked(id)))
      }
    })

    it('does not convict a member that one observer cannot reach, and does not restate statuses for ever', () => {
      const world = warmWorld(5, 'one link')
      world.passes = (from, to) => !(from === 'm001' && to === 'm002') && !(from === 'm002' && to === 'm001')
      world.run(300_000)
      assert.deepEqual(deaths(world), [])
      const refutes = world.transcript.filter((line) => line.includes('refute'))
      assert.ok(refutes.length <= 30, `${refutes.length} refutations in five minutes`)
    })

    it('takes a connection that closes and comes back for nothing', () => {
      const world = warmWorld(5, 'close')
      for (let round = 0; round < 20; round += 1) {
        world.close('m001', 'm002')
        world.run(500)
      }
      assert.deepEqual(world.transcript, [])
    })

    it('stays calm while every event loop is overloaded', () => {
      for (const [count, share, lateMs] of [
        [12, 0.2, 2500],
        [12, 0.05, 4000],
        [30, 1, 1500],
      ] as const) {
        const world = warmWorld(count, `overload ${count}`)
        world.latenessMs = () => world.random.below(world.random.next() < share ? lateMs : 400)
        world.run(60_000)
        assert.deepEqual(deaths(world), [], `${count} peers, ${share} of their ticks up to ${lateMs} ms late`)
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
            assert.deepEqual(deaths(world), [])
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
            assert.deepEqual(deaths(world), [])
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
        const durationMs = took(world.runUntil(() => world.allSee('m005', 'dead'), 10_000))
        assert.ok(durationMs <= 4000, `seed ${seed}: ${durationMs} ms`)
      }
    })

    it('finds a frozen one dead in the middle of an overload as well', () => {
      for (let seed = 0; seed < 5; seed += 1) {
        const world = warmWorld(12, `in overload ${seed}`)
        for (const id of world.ids) if (id !== 'm005') world.starve(id, 1000)
        world.run(10_000)
        world.freeze('m005')
        const durationMs = took(world.runUntil(() => world.allSee('m005', 'dead'), 60_000))
        assert.ok(durationMs <= 20_000, `seed ${seed}: ${durationMs} ms`)
      }
    })

    it('loses beats now and then without a word', () => {
      const world = warmWorld(12, 'loss')
      world.passes = () => world.random.next() < 0.8
      world.run(60_000)
      assert.deepEqual(deaths(world), [])
    })
  })

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
        assert.ok(
          took(world.runUntil(() => world.everyoneAlive(), 10_000)) <= 2000,
          `${count}, ${frozenMs} ms`,
        )
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
      partition(world, ['m000'])
      const foundMs = (by: string, of: string): number =>
        took(world.runUntil(() => world.state(by, of) !== 'alive', 5000))
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
      assert.deepEqual(deaths(world), [])
    })
  })

  describe('partitions and the brake (S16)', () => {
    it('lets the majority declare the minority dead and the minority brake', () => {
      for (const [count, few] of [
        [3, 1],
        [5, 2],
        [7, 2],
        [30, 10],
        [30, 4],
      ] as const) {
        const world = warmWorld(count, `partition ${count} ${few}`)
        const minority = names(count).slice(0, few)
        const majority = names(count).slice(few)
        partition(world, minority)
        const allDead = (): boolean => minority.every((id) => world.allSee(id, 'dead', majority))
        assert.ok(took(world.runUntil(allDead, 20_000)) <= 15_000)
        world.run(1000)
        assert.deepEqual(
          majority.filter((id) => world.braked(id)),
          [],
          `${few} of ${count}: majority`,
        )
        assert.deepEqual(
          minority.filter((id) => !world.braked(id)),
          [],
          `${few} of ${count}: minority`,
        )
      }
    })

    it('brakes a minority before it holds anyone for dead long enough to replace anything', () => {
      const world = warmWorld(30, 'brake in time')
      const minority = names(30).slice(0, 10)
      partition(world, minority)
      const rescheduleAfterMs = 5000
      for (let step = 0; step < 1500; step += 1) {
        world.run(20)
        for (const id of minority) {
          const { members, brakedUntilMs } = world.peer(id).detector.membership(world.nowMs)
          const gone = members.some(
            (member) => member.state === 'dead' && world.nowMs - member.sinceMs >= rescheduleAfterMs,
          )
          if (gone && world.nowMs < 13_000) assert.ok(brakedUntilMs !== null, `${id} at ${world.nowMs}`)
        }
      }
    })

    it('brakes a peer of which nothing is heard any more, and which is closed on by all others (S16)', () => {
      for (const count of [3, 6]) {
        const world = warmWorld(count, `mute ${count}`)
        world.passes = (from) => from !== 'm000'
        world.runUntil(() => world.state('m000', 'm001') === 'dead', 20_000)
        // Sooner than anything is rescheduled.
        world.run(4000)
        assert.ok(world.braked('m000'), `${count} members`)
      }
    })

    it('releases the brake once the view has been stable for the hold', () => {
      const world = warmWorld(3, 'hold')
      partition(world, ['m000'])
      assert.ok(took(world.runUntil(() => world.braked('m000'), 5000)) <= 4000)
      world.run(9000)
      assert.ok(world.braked('m000'))
      world.run(2000)
      assert.ok(!world.braked('m000'))
      assert.equal(world.state('m000', 'm001'), 'dead')
      world.run(60_000)
      assert.ok(!world.braked('m000'))
    })

    it('does not brake one of two', () => {
      const world = warmWorld(2, 'two')
      partition(world, ['m000'])
      world.run(4000)
      assert.equal(world.state('m000', 'm001'), 'dead')
      assert.equal(world.state('m001', 'm000'), 'dead')
      assert.ok(!world.braked('m000') && !world.braked('m001'))
    })

    it('brakes on crashes of most, since from here they look like a cut, and on those of a few not (S16)', () => {
      const world = warmWorld(5, 'crashes')
      for (const id of names(5).slice(1)) world.kill(id)
      world.run(3000)
      assert.ok(
        names(5)
          .slice(1)
          .every((id) => world.state('m000', id) === 'dead'),
      )
      assert.ok(world.braked('m000'))
      const other = warmWorld(5, 'two crashes')
      for (const id of names(5).slice(3)) other.kill(id)
      other.run(3000)
      assert.ok(!other.braked('m000'))
    })

    it('finds everyone alive within two seconds of healing, whatever the partition', () => {
      for (const [count, few, lastsMs] of [
        [2, 1, 30_000],
        [4, 2, 5000],
        [4, 2, 110_000],
        [5, 2, 3000],
        [30, 10, 60_000],
        [30, 15, 8000],
      ] as const) {
        const world = warmWorld(count, `heal ${count} ${few}`)
        partition(world, names(count).slice(0, few))
        world.run(lastsMs)
        world.passes = () => true
        const durationMs = took(world.runUntil(() => world.everyoneAlive(), 10_000))
        assert.ok(durationMs <= 2000, `${few} of ${count} after ${lastsMs} ms took ${durationMs} ms`)
        const mark = world.transitions.length
        world.run(20_000)
        assert.deepEqual(world.transitions.slice(mark), [], 'nothing moves after the heal')
      }
    })

    it('settles after flapping links', () => {
      const world = warmWorld(7, 'flapping')
      for (let round = 0; round < 30; round += 1) {
        const cut = world.random.next() < 0.5
        const minority = names(7).filter(() => world.random.next() < 0.4)
        if (cut) partition(world, minority)
        else world.passes = () => true
        world.run(200 + world.random.below(6000))
      }
      world.passes = () => true
      assert.ok(took(world.runUntil(() => world.everyoneAlive(), 10_000)) <= 2000)
      world.run(15_000)
      assert.ok(world.everyoneAlive())
      assert.ok(world.ids.every((id) => !world.braked(id)))
      assert.ok(world.ids.every((id) => world.peer(id).alerts.size === 0))
    })
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

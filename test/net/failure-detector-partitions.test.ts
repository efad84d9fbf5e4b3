// The failure detector in a cluster that is cut: who brakes (S16), for how long, and how it heals. Every time below is
// simulated.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { names, warmWorld } from './detector-world/world.ts'

describe('failure detector', () => {
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
        world.partition(minority)
        const allDead = (): boolean => minority.every((id) => world.allSee(id, 'dead', majority))
        assert.ok(world.runUntil(allDead, 20_000) <= 15_000)
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
      world.partition(minority)
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
      world.partition(['m000'])
      assert.ok(world.runUntil(() => world.braked('m000'), 5000) <= 4000)
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
      world.partition(['m000'])
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
        world.partition(names(count).slice(0, few))
        world.run(lastsMs)
        world.heal()
        const durationMs = world.runUntil(() => world.everyoneAlive(), 10_000)
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
        if (cut) world.partition(minority)
        else world.heal()
        world.run(200 + world.random.below(6000))
      }
      world.heal()
      assert.ok(world.runUntil(() => world.everyoneAlive(), 10_000) <= 2000)
      world.run(15_000)
      assert.ok(world.everyoneAlive())
      assert.ok(world.ids.every((id) => !world.braked(id)))
      assert.ok(world.ids.every((id) => world.peer(id).alerts.size === 0))
    })
  })
})

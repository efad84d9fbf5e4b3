// Whom the failure detector must not convict: members behind one bad link, one deaf observer, lost beats. Every time below is
// simulated.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { names, warmWorld } from './detector-world/world.ts'

describe('failure detector', () => {
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
        const wrong = world.deaths.filter((death) => death.by !== 'm002' && death.of !== 'm002')
        assert.deepEqual(wrong, [], `${count} members`)
        assert.ok(others.every((id) => !world.braked(id)))
      }
    })

    it('does not convict a member that one observer cannot reach, and does not restate statuses for ever', () => {
      const world = warmWorld(5, 'one link')
      world.passes = (from, to) => !(from === 'm001' && to === 'm002') && !(from === 'm002' && to === 'm001')
      world.run(300_000)
      assert.deepEqual(world.deaths, [])
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

    it('loses beats now and then without a word', () => {
      const world = warmWorld(12, 'loss')
      world.passes = () => world.random.next() < 0.8
      world.run(60_000)
      assert.deepEqual(world.deaths, [])
    })
  })
})

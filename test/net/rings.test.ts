// Observer rings: coverage, agreement, and how little one member's coming or going moves (Rapid §4.1).

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MemberId } from '../../lib/ids.ts'
import { observedBy, observersOf, OBSERVERS_PER_MEMBER, ringsOf } from '../../net/rings.ts'

const ids = fc
  .uniqueArray(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 60 })
  .map((numbers) => numbers.map((number) => `12D3KooW${number}` as MemberId))

const fleet = (count: number): readonly MemberId[] =>
  Array.from({ length: count }, (_, at) => `12D3KooWpeer${at}` as MemberId)

describe('rings', () => {
  describe('safety', () => {
    it('gives every member min(K, n-1) distinct observers, never itself', () => {
      fc.assert(
        fc.property(ids, fc.integer({ min: 1, max: 8 }), (members, k) => {
          const rings = ringsOf(members, k)
          for (const member of members) {
            const observers = rings.observersOf(member)
            assert.equal(observers.length, Math.min(k, members.length - 1))
            assert.equal(new Set(observers).size, observers.length)
            assert.ok(!observers.includes(member))
          }
        }),
        { numRuns: 100 },
      )
    })

    it('is the same for any order of the members, and its own inverse', () => {
      fc.assert(
        fc.property(ids, (members) => {
          const rings = ringsOf(members)
          const turned = ringsOf([...members].reverse())
          for (const member of members) {
            assert.deepEqual(rings.observersOf(member), turned.observersOf(member))
            assert.deepEqual(observersOf(member, members), rings.observersOf(member))
            for (const subject of observedBy(member, members)) {
              assert.ok(rings.observersOf(subject).includes(member))
            }
          }
          const edges = members.reduce((sum, member) => sum + rings.observedBy(member).length, 0)
          assert.equal(edges, members.length * Math.min(OBSERVERS_PER_MEMBER, members.length - 1))
        }),
        { numRuns: 50 },
      )
    })

    it('answers for a member that is not on the rings as if it were', () => {
      fc.assert(
        fc.property(ids, (members) => {
          const stranger = '12D3KooWstranger' as MemberId
          assert.deepEqual(
            ringsOf(members).observersOf(stranger),
            ringsOf([...members, stranger]).observersOf(stranger),
          )
        }),
        { numRuns: 50 },
      )
    })
  })

  it('moves few observers when one member goes', () => {
    const before = ringsOf(fleet(100))
    let moved = 0
    for (const gone of fleet(100)) {
      const after = ringsOf(fleet(100).filter((id) => id !== gone))
      for (const member of fleet(100)) {
        if (member === gone) continue
        const kept = new Set(before.observersOf(member))
        moved += after.observersOf(member).filter((id) => !kept.has(id)).length
      }
    }
    // The five that the lost one observed need a new observer each; hardly anybody else.
    assert.ok(moved / 100 < 6, `${moved / 100} observers moved for each loss`)
  })

  it('spreads the observing evenly', () => {
    const rings = ringsOf(fleet(100))
    for (const member of fleet(100)) {
      const load = rings.observedBy(member).length
      assert.ok(load >= 3 && load <= 8, `${member} observes ${load}`)
    }
  })
})

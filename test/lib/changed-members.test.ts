// What is remembered of changes between two maps: never less than what differs.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { changedMembers, MemberChanges } from '../../lib/changed-members.ts'
import type { MemberId } from '../../lib/ids.ts'

const idOf = (at: number): MemberId => `m${at}` as MemberId

describe('members that changed', () => {
  it('are among those noted between any two maps, however many changes there were', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(9), { maxLength: 1500 }), { maxLength: 6 }), (rounds) => {
        const changes = new MemberChanges()
        let value = 0
        let map = new Map<MemberId, number>()
        changes.mark(map)
        const maps = [map]
        for (const round of rounds) {
          map = new Map(map)
          for (const at of round) {
            map.set(idOf(at), (value += 1))
            changes.note(idOf(at))
          }
          changes.mark(map)
          maps.push(map)
        }
        for (const [at, earlier] of maps.entries())
          for (const later of maps.slice(at)) {
            const changed = changedMembers(earlier, later)
            if (changed === null) continue
            const differing = [...later.keys()].filter((id) => earlier.get(id) !== later.get(id))
            assert.ok(differing.every((id) => changed.includes(id)))
          }
      }),
      { numRuns: 50 },
    )
  })

  it('are known exactly while they are few, and forgotten in time (S14)', () => {
    const changes = new MemberChanges()
    const [first, second, third] = [new Map(), new Map(), new Map()]
    changes.mark(first)
    changes.note(idOf(1))
    changes.mark(second)
    assert.deepEqual(changedMembers(first, second), [idOf(1)])
    assert.deepEqual(changedMembers(first, first), [])
    for (let count = 0; count < 5000; count += 1) changes.note(idOf(2))
    changes.mark(third)
    assert.equal(changedMembers(first, third), null)
  })

  it('may be all between maps of two owners, unmarked ones, and back in time', () => {
    const [one, other] = [new MemberChanges(), new MemberChanges()]
    const [first, second, foreign] = [new Map(), new Map(), new Map()]
    one.mark(first)
    one.note(idOf(1))
    one.mark(second)
    other.mark(foreign)
    assert.equal(changedMembers(first, foreign), null)
    assert.equal(changedMembers(first, new Map()), null)
    assert.equal(changedMembers(second, first), null)
  })
})

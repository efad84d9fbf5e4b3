// How little placement moves when members or services come, go and grow (L4).

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { place, PlacementMemo } from '../../../node/plan/placement.ts'
import { fleet, numbered, service, without } from './fleet.ts'
import { assertEven, heldBy, movedBetween, someServices } from './placements.ts'

describe('placement: liveness', () => {
  it('is back where it was when a member that went has come back', () => {
    const services = someServices(40, 3)
    const members = numbered(12)
    const memo = new PlacementMemo()
    const before = place(fleet({ members, services }), memo)
    place(fleet({ members: without(members, 'm4'), services }), memo)
    assert.deepEqual([...place(fleet({ members, services }), memo)], [...before])
  })

  it('moves no slot of a service that is scaled, and none of its replicas that stay', () => {
    const others = someServices(30, 3)
    const members = numbered(10)
    const at = (replicas: number) =>
      place(fleet({ members, services: [...others, service('c1/big', { replicas })] }))
    let moved = 0
    for (let replicas = 1; replicas < 25; replicas += 1) moved += movedBetween(at(replicas), at(replicas + 1))
    assert.ok(moved <= 2, `${moved} moves in 24 scalings`)
  })

  for (const [count, services, replicas] of [
    [3, 40, 3],
    [5, 40, 3],
    [5, 40, 5],
    [10, 60, 3],
    [10, 20, 10],
    [30, 30, 30],
    [200, 200, 10],
  ] as const) {
    it(`moves only the slots of the one of ${count} members that dies, drains, leaves or returns, for services of ${replicas} replicas (L4)`, () => {
      const specs = someServices(services, replicas)
      const members = numbered(count)
      const memo = new PlacementMemo()
      const before = place(fleet({ members, services: specs }), memo)
      for (let at = 0; at < Math.min(count, 10); at += 1) {
        const name = `m${at}`
        for (const gone of [{ state: 'dead' }, { state: 'left' }, { draining: true }] as const) {
          const after = place(fleet({ members: { ...members, [name]: gone }, services: specs }), memo)
          assert.equal(heldBy(after, name), 0)
          // Each of them moved, so equal numbers mean that no other did; the way back is the same moves.
          assert.equal(movedBetween(before, after), heldBy(before, name))
          assertEven(after, count - 1, replicas)
        }
      }
      assert.deepEqual([...place(fleet({ members, services: specs }), memo)], [...before])
    })
  }

  // What was measured with a margin: a home is where an even spread of each service's replicas puts it, and a new
  // member's share of them is taken from a chain of the others.
  for (const [count, services, replicas, joinMax, removalMax] of [
    [3, 40, 3, 1.6, 1.6],
    [5, 40, 3, 1.3, 1.4],
    [10, 60, 3, 1.2, 1.2],
    [30, 100, 3, 1.1, 1.1],
    [200, 200, 10, 1.1, 1.1],
  ] as const) {
    it(`moves little when a member joins ${count} or is removed, for services of ${replicas} replicas`, () => {
      const specs = someServices(services, replicas)
      const members = numbered(count)
      const memo = new PlacementMemo()
      const before = place(fleet({ members, services: specs }), memo)
      let removed = 0
      let removedLeast = 0
      let joined = 0
      let joinedLeast = 0
      for (let at = 0; at < Math.min(count, 10); at += 1) {
        removed += movedBetween(
          before,
          place(fleet({ members: without(members, `m${at}`), services: specs }), memo),
        )
        removedLeast += heldBy(before, `m${at}`)
        const after = place(fleet({ members: { ...members, [`n${at}`]: {} }, services: specs }), memo)
        joined += movedBetween(before, after)
        joinedLeast += heldBy(after, `n${at}`)
      }
      assert.ok(removed <= removedLeast * removalMax, `removal: ${removed} moves, ${removedLeast} needed`)
      assert.ok(joined <= joinedLeast * joinMax, `join: ${joined} moves, ${joinedLeast} needed`)
    })
  }

  it('moves at most a tenth more than it must at 10,000 slots on 1,000 members (L4)', () => {
    const specs = someServices(1000, 10)
    const members = numbered(1000)
    const memo = new PlacementMemo()
    const before = place(fleet({ members, services: specs }), memo)
    let moved = 0
    let least = 0
    for (let at = 0; at < 10; at += 1) {
      moved += movedBetween(
        before,
        place(fleet({ members: without(members, `m${at * 90}`), services: specs }), memo),
      )
      least += heldBy(before, `m${at * 90}`)
      const after = place(fleet({ members: { ...members, [`n${at}`]: {} }, services: specs }), memo)
      moved += movedBetween(before, after)
      least += heldBy(after, `n${at}`)
    }
    assert.ok(moved <= least * 1.1, `${moved} moves, ${least} needed`)
  })
})

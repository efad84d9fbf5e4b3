// Placement while members are dead, suspect, cordoned or draining: what stays theirs, and for how long (S16).

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { slotIdOf } from '../../../lib/ids.ts'
import { place } from '../../../node/plan/placement.ts'
import { fleet, holding, idOf, numbered, service, type MemberOptions } from './fleet.ts'
import { heldBy, memberOf, movedBetween } from './placements.ts'

describe('placement: dead and cordoned members', () => {
  const spec = service('shop/web', { replicas: 6, rescheduleAfterMs: 5000 })
  const members = numbered(4)
  const before = place(fleet({ members, services: [spec] }))
  const slotsOfFirst = [...before.values()]
    .filter(({ member }) => member === idOf('m1'))
    .map(({ slot }) => slot)
  const withFirst = (options: MemberOptions, more: Partial<Parameters<typeof fleet>[0]> = {}) =>
    place(
      fleet({
        members: { ...members, m1: options },
        services: [spec],
        holds: { m1: holding(spec, slotsOfFirst) },
        ...more,
      }),
    )

  it('leaves a dead member what it held until the reschedule delay has passed, and nothing else moves', () => {
    assert.equal(movedBetween(before, withFirst({ state: 'dead', sinceMs: 97_000 })), 0)
    assert.equal(heldBy(withFirst({ state: 'dead', sinceMs: 95_000 }), 'm1'), 0)
  })

  it('leaves it to a dead member while this peer is braked (S16)', () => {
    const braked = withFirst({ state: 'dead', sinceMs: 0 }, { brakedUntilMs: 101_000 })
    assert.equal(movedBetween(before, braked), 0)
  })

  it('never moves a service whose policy is stay, unless its member leaves or drains', () => {
    const stay = service('shop/web', { replicas: 6, onPartition: 'stay' })
    const more = { services: [stay], holds: { m1: holding(stay, slotsOfFirst) } }
    assert.equal(movedBetween(before, withFirst({ state: 'dead', sinceMs: 0 }, more)), 0)
    assert.equal(heldBy(withFirst({ state: 'left' }, more), 'm1'), 0)
    assert.equal(heldBy(withFirst({ draining: true }, more), 'm1'), 0)
  })

  it('moves nothing when a member is cordoned, and gives it nothing new', () => {
    assert.equal(movedBetween(before, withFirst({ cordoned: true })), 0)
    const more = { services: [spec, service('shop/zoo', { replicas: 20 })] }
    assert.equal(heldBy(withFirst({ cordoned: true }, more), 'm1'), slotsOfFirst.length)
  })

  it('counts a slot that only waits on a cordoned member as not held', () => {
    const holds = { m1: holding(spec, slotsOfFirst, { state: 'pending' }) }
    assert.equal(heldBy(withFirst({ cordoned: true }, { holds }), 'm1'), 0)
  })

  it('ignores a suspicion, and a member without facts', () => {
    assert.equal(movedBetween(before, withFirst({ state: 'suspect' })), 0)
    assert.equal(heldBy(withFirst({ facts: false }), 'm1'), 0)
  })

  it('runs a global service once on every eligible member, and keeps it on a dead one meanwhile', () => {
    const log = service('shop/log', { mode: 'global' })
    const holds = { m1: holding(log, [slotIdOf(log.id, 'm1')]), m2: [] }
    const states = { ...members, m1: { state: 'dead' as const, sinceMs: 99_000 }, m2: { draining: true } }
    const placements = place(fleet({ members: states, services: [log], holds }))
    assert.deepEqual([...placements.keys()], ['shop/log/m0', 'shop/log/m1', 'shop/log/m3'])
    assert.equal(memberOf(placements, 'shop/log/m1'), idOf('m1'))
  })
})

// What if: situations that are not there, the loss of one more machine, and why a rebalance is a no-op.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MemberId } from '../../../lib/ids.ts'
import { defined } from '../../../lib/assert.ts'
import { forecast } from '../../../node/plan/forecast.ts'
import { place } from '../../../node/plan/placement.ts'
import type { PlanInput } from '../../../node/plan/plan.ts'
import { rebalanceOf } from '../../../node/plan/rebalance.ts'
import { lossOf, withStanding, withoutMembers } from '../../../node/plan/what-if.ts'
import { fleet, holding, idOf, numbered, service, without } from './fleet.ts'

const GIB = 1024 ** 3

const lossIn = (input: PlanInput, name: string) => lossOf(input, new Set([idOf(name)]), place(input))

describe('what if', () => {
  it('loses members as time would: once every delay is over their slots are elsewhere', () => {
    const services = [
      service('shop/web', { replicas: 6 }),
      service('shop/slow', { rescheduleAfterMs: 600_000 }),
    ]
    const input = fleet({ members: numbered(4), services })
    const lost = withoutMembers(input, new Set([idOf('m1')]))
    const dead = fleet({
      members: { ...numbered(4), m1: { state: 'dead', sinceMs: -1_000_000 } },
      services,
    })
    assert.deepEqual(
      [...place(lost)].map(([slot, { member }]) => [slot, member]),
      [...place(dead)].map(([slot, { member }]) => [slot, member]),
    )
  })

  it('names what would not run, and what would be down until it has started elsewhere', () => {
    const big = service('shop/big', { reservedMemoryBytes: 6 * GIB, replicas: 2 })
    const one = service('shop/one')
    const many = service('shop/many', { replicas: 3 })
    const stays = service('shop/stays', { onPartition: 'stay' })
    const services = [big, one, many, stays]
    const empty = fleet({ members: numbered(2), services })
    const placed = place(empty)
    const holder = (slot: string): MemberId =>
      defined([...placed.values()].find((one) => one.slot === slot)?.member, slot)
    const name = holder('shop/stays/0') === idOf('m0') ? 'm0' : 'm1'
    const input = fleet({
      members: numbered(2),
      services,
      // Of others a peer knows by their statuses.
      self: name === 'm0' ? 'm1' : 'm0',
      holds: { [name]: holding(stays, [0]) },
    })
    const { outages, interrupted, slots } = lossIn(input, name)
    assert.deepEqual(
      outages.map(({ slot }) => slot.replace(/\d$/, 'n')),
      ['shop/big/n', 'shop/stays/n'],
    )
    assert.match(outages[1]?.reason ?? '', /on_partition: stay/)
    assert.ok(interrupted.includes(stays.id))
    assert.equal(interrupted.includes(many.id), false)
    assert.equal(interrupted.includes(one.id), holder('shop/one/0') === idOf(name))
    assert.ok(slots.some(({ kind, slot }) => kind === 'move' && slot.startsWith('shop/many/')))
  })

  it('moves off who drains, and leaves who is only cordoned alone', () => {
    const services = [service('shop/web', { replicas: 4 })]
    const plain = fleet({ members: numbered(3), services })
    const held = [...place(plain).values()].flatMap(({ slot, member }) =>
      member === idOf('m0') ? [slot] : [],
    )
    const web = defined(services[0], 'web')
    const input = fleet({ members: numbered(3), services, self: 'm1', holds: { m0: holding(web, held) } })
    const m0 = new Set([idOf('m0')])
    const drained = forecast(input, withStanding(input, m0, { cordoned: true, draining: true }))
    assert.deepEqual(
      drained.slots.map(({ slot, kind }) => [slot, kind]),
      held.map((slot) => [slot, 'move']),
    )
    assert.deepEqual(forecast(input, withStanding(input, m0, { cordoned: true })).slots, [])
  })
})

describe('a rebalance', () => {
  it('finds nothing to move in any fleet in which everybody is there', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.nat(9), { minLength: 1, maxLength: 9 }),
        (count, sizes) => {
          const services = sizes.map((replicas, at) => service(`c/s${at}`, { replicas }))
          const { away, gone, anew, shares } = rebalanceOf(fleet({ members: numbered(count), services }))
          assert.deepEqual([away, gone, anew], [[], [], []])
          assert.equal(
            shares.reduce((sum, { slots }) => sum + slots, 0),
            sizes.reduce((a, b) => a + b, 0),
          )
        },
      ),
      { numRuns: 40 },
    )
  })

  it('names slots that are away from home, and what the removal of who is gone would move', () => {
    const services = Array.from({ length: 12 }, (_, at) => service(`c/s${at}`, { replicas: 3 }))
    const members = numbered(5)
    const full = place(fleet({ members, services }))
    const lost = fleet({ members: { ...members, m2: { state: 'left' } }, services })
    const { away, gone, anew } = rebalanceOf(lost)
    assert.deepEqual(gone, [idOf('m2')])
    assert.deepEqual(
      away.map(({ slot }) => slot).sort(),
      [...full.values()].flatMap(({ slot, member }) => (member === idOf('m2') ? [slot] : [])).sort(),
    )
    assert.ok(
      away.every(
        ({ home, member, reason }) => home === idOf('m2') && member !== home && reason === 'has left',
      ),
    )
    const removed = place(fleet({ members: without(members, 'm2'), services }))
    const before = place(lost)
    assert.deepEqual(
      anew.map(({ slot }) => slot).sort(),
      [...removed.values()]
        .flatMap(({ slot, member }) => (before.get(slot)?.member === member ? [] : [slot]))
        .sort(),
    )
  })
})

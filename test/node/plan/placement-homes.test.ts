// Homes: where a slot belongs while its member is away, and that it returns there.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { place } from '../../../node/plan/placement.ts'
import { fleet, holding, idOf, numbered, service, type MemberOptions } from './fleet.ts'
import { countsOf, heldBy, movedBetween, someServices, type Placements } from './placements.ts'

describe('placement: homes', () => {
  const specs = someServices(30, 3)
  const members = numbered(5)
  const before = place(fleet({ members, services: specs }))
  /** What a member's status shows when it holds all that a placement gives it. */
  const holdsAll = (placements: Placements, name: string) =>
    specs.flatMap((spec) =>
      holding(
        spec,
        [...placements.values()]
          .filter(({ service: id, member }) => id === spec.id && member === idOf(name))
          .map(({ slot }) => slot),
      ),
    )
  const with1Dead = { ...members, m1: { state: 'dead' as const } }
  const dead1 = place(fleet({ members: with1Dead, services: specs }))

  it('moves nothing when a member that took slots over is cordoned, or dies for less than the delay', () => {
    for (const options of [{ cordoned: true }, { state: 'dead' as const, sinceMs: 99_000 }]) {
      const holds = { m3: holdsAll(dead1, 'm3') }
      const after = place(fleet({ members: { ...with1Dead, m3: options }, services: specs, holds }))
      assert.equal(movedBetween(dead1, after), 0)
    }
  })

  it('returns them home although the member that took them over is cordoned', () => {
    const holds = { m3: holdsAll(dead1, 'm3') }
    const after = place(fleet({ members: { ...members, m3: { cordoned: true } }, services: specs, holds }))
    assert.equal(movedBetween(before, after), 0)
  })

  it('gives a slot of a new service to a living member, although its home is dead for less than the delay', () => {
    const holds = { m1: holdsAll(before, 'm1') }
    const more = [...specs, ...Array.from({ length: 20 }, (_, at) => service(`new/s${at}`))]
    const states = { ...members, m1: { state: 'dead' as const, sinceMs: 99_000 } }
    const after = place(fleet({ members: states, services: more, holds }))
    assert.equal(movedBetween(before, after), 0)
    assert.equal(heldBy(after, 'm1'), heldBy(before, 'm1'))
    assert.ok([...after.values()].every(({ member }) => member !== null))
  })

  it('spreads the slots of members that are long gone evenly over those that are left, labels first', () => {
    const zones = numbered(9, (at) => ({ labels: { zone: `z${at % 3}` } }))
    const spreads = Array.from({ length: 40 }, (_, at) =>
      service(`c/s${at}`, { replicas: 6, spread: 'node.labels.zone' }),
    )
    const gone = ['m0', 'm3', 'm4', 'm8']
    const states = Object.fromEntries(
      Object.entries(zones).map(([name, options]) => [
        name,
        gone.includes(name) ? { ...options, state: 'dead' as const } : options,
      ]),
    )
    const after = place(fleet({ members: states, services: spreads }))
    for (const { id } of spreads) {
      const mine = [...after.values()].filter((one) => one.service === id)
      for (const zone of ['z0', 'z1', 'z2']) {
        const names = Object.keys(zones).filter((name) => zones[name]?.labels?.['zone'] === zone)
        const held = mine.filter(({ member }) => names.some((name) => idOf(name) === member))
        assert.equal(held.length, 2, `${id} has ${held.length} in ${zone}`)
      }
    }
    const counts = countsOf(after)
    for (const name of gone) assert.equal(counts.get(idOf(name)) ?? 0, 0)
  })

  it('moves no slot of other services, nor one at home, when a service is scaled while a member is gone', () => {
    const at = (replicas: number) =>
      place(fleet({ members: with1Dead, services: [...specs, service('c1/big', { replicas })] }))
    for (let replicas = 1; replicas < 15; replicas += 1) {
      const [small, large] = [at(replicas), at(replicas + 1)]
      for (const { slot, service: id, member, reason } of small.values()) {
        if (large.get(slot)?.member === member) continue
        assert.equal(id, 'c1/big')
        assert.match(reason, /^its home m1 is dead; /)
      }
    }
  })

  it('says that a slot is away from home, and why', () => {
    const reasons = (options: MemberOptions) =>
      new Set(
        [...place(fleet({ members: { ...members, m1: options }, services: specs })).values()]
          .map(({ reason }) => /^its home .*?;/.exec(reason)?.[0])
          .filter((reason) => reason !== undefined),
      )
    assert.deepEqual(reasons({ state: 'dead' }), new Set(['its home m1 is dead;']))
    assert.deepEqual(reasons({ cordoned: true }), new Set(['its home m1 is cordoned;']))
    assert.deepEqual(reasons({ draining: true }), new Set(['its home m1 is draining;']))
    assert.deepEqual(reasons({ state: 'left' }), new Set(['its home m1 has left;']))
    assert.deepEqual(reasons({}), new Set())
  })

  it('keeps to reservations when the slots of a lost member find no room', () => {
    const big = [service('a/big', { replicas: 3, reservedCpusMilli: 3000, replicasPerNodeMax: 1 })]
    const all = place(fleet({ members: numbered(3), services: big }))
    const lost = place(fleet({ members: { ...numbered(3), m1: { state: 'left' } }, services: big }))
    assert.equal(countsOf(all).size, 3)
    assert.equal(movedBetween(all, lost), 1)
    assert.equal(heldBy(lost, 'm0') + heldBy(lost, 'm2'), 2)
  })
})

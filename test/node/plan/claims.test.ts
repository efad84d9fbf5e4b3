import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Claims, compareClaims } from '../../../node/plan/claims.ts'
import { Sightings } from '../../../node/plan/sightings.ts'
import { fleet, holding, idOf, instance, service, type FleetOptions } from './fleet.ts'

const web = service('shop/web', { ports: { http: 0 } })
const { slot } = instance(web, 0)
const members = { m0: {}, m1: {}, m2: {} }
const claimsOf = (options: Partial<FleetOptions>): Claims => {
  const input = fleet({ members, services: [web], self: 'm0', ...options })
  return new Claims(input, new Sightings(input))
}
const claiming = (claim: number) => holding(web, [0], { claim })

describe('claims', () => {
  it('are ordered by number, then by member, and never tie between two', () => {
    assert.ok(compareClaims({ member: idOf('m0'), claim: 2 }, { member: idOf('m1'), claim: 1 }) > 0)
    const [a, b] = [
      { member: idOf('m0'), claim: 1 },
      { member: idOf('m1'), claim: 1 },
    ]
    assert.equal(Math.sign(compareClaims(a, b)), -Math.sign(compareClaims(b, a)))
    assert.notEqual(compareClaims(a, b), 0)
  })

  it('outrank everybody who serves when an instance begins', () => {
    assert.equal(claimsOf({}).begun(slot), 0)
    assert.equal(claimsOf({ holds: { m1: claiming(4), m2: claiming(7) } }).begun(slot), 8)
    const draining = { m1: holding(web, [0], { claim: 4, state: 'draining' }) }
    assert.equal(claimsOf({ holds: draining }).begun(slot), 0)
  })

  it('are raised by an owner only above those that agree on the view, lest two owners race', () => {
    const holds = { m0: claiming(1), m1: claiming(4) }
    assert.equal(claimsOf({ holds, digests: { m1: 'another' } }).owned(slot), 1)
    assert.equal(claimsOf({ holds }).owned(slot), 5)
  })

  it('give way to a higher one of a ready instance on a present member, whatever its view', () => {
    const superior = (claim: number, options: Partial<FleetOptions> = {}) =>
      claimsOf({ holds: { m0: claiming(3), m1: claiming(claim) }, ...options }).superior(slot)
    assert.equal(superior(2), null)
    assert.equal(superior(4), idOf('m1'))
    assert.equal(superior(4, { digests: { m1: 'another' } }), idOf('m1'))
    assert.equal(superior(4, { members: { ...members, m1: { state: 'dead' } } }), null)
  })

  it('stay what they were while the slot is placed elsewhere, the highest of all releases', () => {
    const two = [...claiming(3), ...holding(web, [0], { claim: 5, release: service('shop/db').release })]
    assert.equal(claimsOf({ holds: { m0: two, m1: claiming(9) } }).held(slot), 5)
  })
})

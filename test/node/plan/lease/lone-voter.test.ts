import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LoneVoter } from '../../../../node/plan/lease/lone-voter.ts'
import { LEASE_MS } from '../../../../node/plan/lease/terms.ts'

const ALONE = { epoch: 0, former: null, present: ['a'] }

describe('a lone voter (S9)', () => {
  it('is in doubt after a start until a majority of the operators has answered', () => {
    const lone = new LoneVoter('a', 0)
    const operators = ['a', 'b', 'c', 'd', 'e']
    lone.heard('b')
    assert.equal(lone.isInDoubt(ALONE, operators, LEASE_MS), true)
    lone.heard('f')
    assert.equal(lone.isInDoubt(ALONE, operators, LEASE_MS), true, 'who is no operator does not count')
    lone.heard('c')
    assert.equal(lone.isInDoubt(ALONE, operators, LEASE_MS), false)
  })

  it('goes on alone where the document names no other operator', () => {
    assert.equal(new LoneVoter('a', 0).isInDoubt(ALONE, ['a'], 0), false)
  })

  it('may hear of other operators for as long as it promises nothing new after its start', () => {
    const lone = new LoneVoter('a', 0)
    assert.equal(lone.isInDoubt(ALONE, ['a'], LEASE_MS - 1), false)
    assert.equal(lone.isInDoubt(ALONE, ['a', 'b'], LEASE_MS - 1), true)
    lone.heard('b')
    assert.equal(lone.isInDoubt(ALONE, ['a', 'b'], LEASE_MS), false)
    assert.equal(
      lone.isInDoubt(ALONE, ['a', 'b', 'c', 'd'], LEASE_MS + 1),
      false,
      'those came after its start',
    )
  })

  it('has no doubt of what it founded, nor of a set that needs others', () => {
    const founder = new LoneVoter('a', 0)
    founder.founded()
    assert.equal(founder.isInDoubt(ALONE, ['a', 'b', 'c'], 0), false)
    const one = new LoneVoter('a', 0)
    assert.equal(one.isInDoubt({ epoch: 1, former: ['a'], present: ['a', 'b'] }, ['a', 'b'], 0), false)
    assert.equal(one.isInDoubt({ epoch: 0, former: null, present: ['b'] }, ['a', 'b'], 0), false)
    assert.equal(one.isInDoubt(null, ['a', 'b'], 0), false)
  })
})

// How many slots of one service a member is given at most.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memberShareOf } from '../../../node/plan/race.ts'

describe('share of a member', () => {
  it('depends on the seat and the candidates only, is even for few slots and slack for many', () => {
    assert.deepEqual(
      [0, 1, 2, 3, 5, 6].map((seat) => memberShareOf(seat, 3)),
      [1, 1, 1, 2, 2, 3],
    )
    assert.equal(memberShareOf(15, 100), 1)
    assert.equal(memberShareOf(16, 100), 3)
    assert.equal(memberShareOf(0, 0), 1)
  })
})

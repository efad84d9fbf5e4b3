// The cost that a hash is raced by.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { costOf } from '../../../node/plan/score.ts'

describe('score', () => {
  it('falls as the hash rises, in safe integers, and halves an octave a unit', () => {
    let last = Infinity
    for (let hash = 1; hash < 2 ** 32; hash += 1_234_567) {
      const cost = costOf(hash)
      assert.ok(Number.isSafeInteger(cost * 64) && cost <= last && cost > 0)
      last = cost
    }
    assert.equal(costOf(2 ** 31), 2 ** 32)
    assert.equal(costOf(2 ** 30), 2 * 2 ** 32)
    assert.equal(costOf(0), 32 * 2 ** 32)
  })
})

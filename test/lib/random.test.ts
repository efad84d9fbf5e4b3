// Randomness: a stream is its seed, and a fork is its label.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { seededRandom, type Random } from '../../lib/random.ts'

const drawn = (random: Random, count = 20): readonly number[] =>
  Array.from({ length: count }, () => random.next())

describe('seededRandom', () => {
  it('gives one stream for one seed, and another for another', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        assert.deepEqual(drawn(seededRandom(a)), drawn(seededRandom(a)))
        if (a !== b) assert.notDeepEqual(drawn(seededRandom(a)), drawn(seededRandom(b)))
      }),
      { numRuns: 100 },
    )
  })

  it('gives the same numbers for ever, so that a seed in a report stays of use', () => {
    const random = seededRandom('tutti')
    assert.deepEqual(
      Array.from({ length: 4 }, () => random.below(1_000_000)),
      [255189, 287285, 444105, 755664],
    )
  })

  it('forks by label only, whatever was drawn before', () => {
    const [fresh, used] = [seededRandom('seed'), seededRandom('seed')]
    drawn(used, 7)
    assert.deepEqual(drawn(used.fork('disk')), drawn(fresh.fork('disk')))
    assert.notDeepEqual(drawn(fresh.fork('disk')), drawn(fresh.fork('network')))
  })

  it('is not shifted by its forks', () => {
    const [plain, forked] = [seededRandom('seed'), seededRandom('seed')]
    drawn(forked.fork('disk'))
    assert.deepEqual(drawn(forked), drawn(plain))
  })

  it('stays within its bounds and reaches all of them', () => {
    const random = seededRandom('bounds')
    const seen = new Set(Array.from({ length: 500 }, () => random.below(7)))
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6],
    )
    assert.equal(random.below(1), 0)
    for (const value of drawn(random, 1000)) assert.ok(value >= 0 && value < 1)
    const mean = drawn(random, 10_000).reduce((sum, value) => sum + value, 0) / 10_000
    assert.ok(Math.abs(mean - 0.5) < 0.02)
  })

  it('draws as many bytes as are asked for', () => {
    assert.equal(seededRandom('bytes').bytes(0).length, 0)
    assert.equal(new Set(seededRandom('bytes').bytes(5000)).size, 256)
  })
})

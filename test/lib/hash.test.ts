// Hashes: known answers, so that no runtime and no refactoring changes an identity or a placement.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { toHex, utf8 } from '../../lib/bytes.ts'
import { hash32, mix32, sha256, sha256Hex } from '../../lib/hash.ts'

describe('sha256', () => {
  it('agrees with FIPS 180-4', () => {
    assert.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    assert.equal(sha256Hex(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })

  it('hashes a text as its UTF-8, in both forms alike', () => {
    for (const text of ['abc', 'grün', '\u{1f600}']) {
      assert.equal(sha256Hex(text), sha256Hex(utf8(text)))
      assert.equal(toHex(sha256(text)), sha256Hex(text))
    }
  })
})

describe('hash32', () => {
  it('gives the same numbers for ever', () => {
    assert.deepEqual(
      ['', 'a', 'shop/web/0', 'grün'].map(hash32),
      [2872998923, 444641715, 1770655683, 3523463476],
    )
  })

  it('is an unsigned integer of 32 bits', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const hash = hash32(text)
        assert.ok(Number.isInteger(hash) && hash >= 0 && hash <= 0xffffffff)
      }),
      { numRuns: 300 },
    )
  })

  it('spreads keys that differ in their last character', () => {
    const buckets = Array.from({ length: 16 }, () => 0)
    for (let at = 0; at < 1600; at += 1) {
      const bucket = hash32(`shop/web/${at}`) >>> 28
      buckets[bucket] = (buckets[bucket] ?? 0) + 1
    }
    // Chi-squared with 15 degrees of freedom: beyond 37.7 with one in a thousand; the keys are fixed, so is the result.
    const chi = buckets.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
    assert.ok(chi < 37.7, `chi squared is ${chi}`)
  })
})

describe('mix32', () => {
  it('maps no two of many inputs to one', () => {
    const seen = new Set(Array.from({ length: 10_000 }, (_, at) => mix32(at)))
    assert.equal(seen.size, 10_000)
  })

  it('changes about half of the output bits with any input bit', () => {
    for (let bit = 0; bit < 32; bit += 1) {
      let changed = 0
      for (let at = 1; at <= 200; at += 1) {
        const value = Math.imul(at, 0x9e3779b1)
        for (let rest = mix32(value) ^ mix32(value ^ (1 << bit)); rest !== 0; rest &= rest - 1) changed += 1
      }
      assert.ok(Math.abs(changed / 200 - 16) < 2, `input bit ${bit}: ${changed / 200} bits`)
    }
  })
})

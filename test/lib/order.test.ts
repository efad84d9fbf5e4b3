// Orders and canonical JSON: one text per value, whatever order its members came in.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { AssertionError } from '../../lib/assert.ts'
import {
  canonicalJson,
  compareStrings,
  deepFreeze,
  sortedBy,
  sortedEntries,
  type Json,
} from '../../lib/order.ts'

const key = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '10', '9', 'é', 'z'))
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.maxSafeInteger(),
    fc.string(),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(key, tie('json'), { maxKeys: 4 }),
  ),
}))

const reversed = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, member === undefined ? member : reversed(member)]),
  )
}

describe('compareStrings', () => {
  it('is a total order', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), fc.string(), (a, b, c) => {
        assert.equal(compareStrings(a, b), 0 - compareStrings(b, a))
        assert.equal(compareStrings(a, b) === 0, a === b)
        const [first, second, third] = [a, b, c].sort(compareStrings)
        assert.ok(
          compareStrings(first ?? '', third ?? '') <= 0 && compareStrings(second ?? '', third ?? '') <= 0,
        )
      }),
      { numRuns: 300 },
    )
  })

  it('goes by code units, not by a locale', () => {
    assert.deepEqual(['ä', 'a', 'Z', 'z', '10', '9'].sort(compareStrings), ['10', '9', 'Z', 'a', 'z', 'ä'])
    // A code point beyond the basic plane starts with a surrogate, which is below U+FF5E.
    assert.equal(compareStrings('\u{1f600}', '\uff5e'), -1)
  })
})

describe('sortedBy and sortedEntries', () => {
  it('leave what they are given alone, and equal keys in their order', () => {
    const given = ['b1', 'a1', 'b0', 'a0']
    assert.deepEqual(
      sortedBy(given, (text) => text.slice(0, 1)),
      ['a1', 'a0', 'b1', 'b0'],
    )
    assert.deepEqual(given, ['b1', 'a1', 'b0', 'a0'])
    assert.deepEqual(
      sortedEntries(
        new Map([
          ['b', 1],
          ['B', 2],
          ['a', 3],
        ]),
      ),
      [
        ['B', 2],
        ['a', 3],
        ['b', 1],
      ],
    )
  })
})

describe('canonicalJson', () => {
  it('is JSON of the same value', () => {
    fc.assert(
      fc.property(json, (value) => {
        assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 300 },
    )
  })

  it('does not depend on the order of members', () => {
    fc.assert(
      fc.property(json, (value) => assert.equal(canonicalJson(reversed(value)), canonicalJson(value))),
      { numRuns: 300 },
    )
  })

  it('is a fixed point', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value)
        assert.equal(canonicalJson(JSON.parse(text) as Json), text)
      }),
      { numRuns: 300 },
    )
  })

  it('sorts keys by code units and leaves out what is undefined', () => {
    assert.equal(
      canonicalJson({ b: 1, a: undefined, B: [true, null], 10: 0, 9: -0 }),
      '{"10":0,"9":0,"B":[true,null],"b":1}',
    )
  })

  it('refuses numbers that JSON has no text for', () => {
    for (const number of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      assert.throws(() => canonicalJson([number]), AssertionError)
  })
})

describe('deepFreeze', () => {
  it('freezes all that a value holds and returns that value', () => {
    const value = { list: [{ deep: 1 }], none: null }
    assert.equal(deepFreeze(value), value)
    assert.ok(Object.isFrozen(value) && Object.isFrozen(value.list) && Object.isFrozen(value.list[0]))
  })
})

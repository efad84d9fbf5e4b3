// The binary codec: one encoding per value, and no input that does more than throw.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  ByteReader,
  ByteWriter,
  concatBytes,
  fromHex,
  sameBytes,
  textOf,
  toHex,
  utf8,
} from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'

const varint = (value: number): Uint8Array => new ByteWriter().varint(value).finish()

describe('varints', () => {
  it('come back, up to the largest safe integer', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), fc.nat(300)), (value) => {
        const reader = new ByteReader(varint(value))
        assert.equal(reader.varint(), value)
        reader.end()
      }),
      { numRuns: 500 },
    )
    assert.equal(new ByteReader(varint(Number.MAX_SAFE_INTEGER)).varint(), Number.MAX_SAFE_INTEGER)
  })

  it('have one encoding: what is read is what would be written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 10 }), (input) => {
        const reader = new ByteReader(input)
        try {
          const value = reader.varint()
          assert.deepEqual(varint(value), input.slice(0, varint(value).length))
        } catch (thrown) {
          assert.ok(thrown instanceof TuttiError && thrown.code === 'invalid')
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('refuse padding, overflow and truncation', () => {
    const broken = ['8000', 'ff00', '', '80', 'ffffffffffffff', 'ffffffffffffff1f', 'ffffffffffffffff01']
    for (const hex of broken)
      assert.throws(() => new ByteReader(fromHex(hex)).varint(), { code: 'invalid' }, hex)
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53])
      assert.throws(() => varint(value), { code: 'invalid' }, `${value}`)
  })
})

describe('fields', () => {
  const field = fc.oneof(fc.maxSafeNat(), fc.uint8Array(), fc.string({ unit: 'grapheme' }))

  it('come back in their order', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
        const writer = new ByteWriter()
        for (const one of fields) {
          if (typeof one === 'number') writer.varint(one)
          else if (typeof one === 'string') writer.text(one)
          else writer.bytes(one)
        }
        const reader = new ByteReader(writer.finish())
        for (const one of fields) {
          if (typeof one === 'number') assert.equal(reader.varint(), one)
          else if (typeof one === 'string') assert.equal(reader.text(1000), one)
          else assert.deepEqual(reader.bytes(1000), one)
        }
        assert.ok(reader.done)
        reader.end()
      }),
      { numRuns: 200 },
    )
  })

  it('are refused when the input ends early, wherever', () => {
    const whole = new ByteWriter().varint(300).text('tutti').bytes(new Uint8Array(200)).finish()
    const read = (input: Uint8Array): void => {
      const reader = new ByteReader(input)
      reader.varint()
      reader.text(100)
      reader.bytes(300)
      reader.end()
    }
    read(whole)
    for (let length = 0; length < whole.length; length += 1)
      assert.throws(() => read(whole.subarray(0, length)), { code: 'invalid' }, `${length}`)
    assert.throws(() => read(concatBytes([whole, Uint8Array.of(0)])), {
      message: 'message has bytes left over',
    })
  })

  it('are refused beyond their limit before anything is allocated', () => {
    const claims = varint(2 ** 40)
    assert.throws(() => new ByteReader(claims).bytes(1000), { code: 'too-large' })
    assert.throws(() => new ByteReader(claims).bytes(Number.MAX_SAFE_INTEGER), { code: 'invalid' })
    assert.equal(new ByteReader(new ByteWriter().bytes(new Uint8Array(5)).finish()).bytes(5).length, 5)
    assert.throws(() => new ByteReader(new ByteWriter().bytes(new Uint8Array(6)).finish()).bytes(5), {
      code: 'too-large',
    })
  })

  it('are copies: changing the input later changes nothing', () => {
    const input = new ByteWriter().bytes(Uint8Array.of(1, 2)).finish()
    const value = new ByteReader(input).bytes(2)
    input.fill(9)
    assert.deepEqual(value, Uint8Array.of(1, 2))
  })
})

describe('text and hex', () => {
  it('come back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string({ unit: 'grapheme' }), (bytes, text) => {
        assert.deepEqual(fromHex(toHex(bytes)), bytes)
        assert.equal(textOf(utf8(text)), text)
      }),
      { numRuns: 200 },
    )
  })

  it('keep a byte order mark, which is a character like any other', () => {
    assert.equal(textOf(utf8('\ufeffa')), '\ufeffa')
  })

  it('refuse what is not UTF-8 or not lower-case hex', () => {
    for (const hex of ['ff', 'c0af', 'e28', 'eda080', 'F0', 'zz', 'f0\n'])
      assert.throws(() => textOf(fromHex(hex)), { code: 'invalid' }, hex)
  })

  it('read a view into a larger buffer, and no more', () => {
    assert.equal(toHex(Uint8Array.of(1, 2, 3, 4).subarray(1, 3)), '0203')
  })
})

describe('sameBytes and concatBytes', () => {
  it('agree with the arrays', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
        assert.equal(sameBytes(a, b), toHex(a) === toHex(b))
        assert.equal(toHex(concatBytes([a, b])), toHex(a) + toHex(b))
      }),
      { numRuns: 200 },
    )
    assert.equal(concatBytes([]).length, 0)
  })
})

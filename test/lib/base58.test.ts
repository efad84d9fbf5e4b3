// Base58: an inverse pair, leading zeros included.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { decodeBase58, encodeBase58 } from '../../lib/base58.ts'
import { fromHex, utf8 } from '../../lib/bytes.ts'

describe('base58', () => {
  it('agrees with the vectors of its draft', () => {
    const vectors: readonly (readonly [Uint8Array, string])[] = [
      [utf8('Hello World!'), '2NEpo7TZRRrLZSi2U'],
      [
        utf8('The quick brown fox jumps over the lazy dog.'),
        'USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z',
      ],
      [fromHex('0000287fb4cd'), '11233QC4'],
    ]
    for (const [bytes, text] of vectors) {
      assert.equal(encodeBase58(bytes), text)
      assert.deepEqual(decodeBase58(text), bytes)
    }
  })

  it('gives back any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 48 }), fc.nat(4), (tail, zeros) => {
        const bytes = Uint8Array.from([...new Uint8Array(zeros), ...tail])
        assert.deepEqual(decodeBase58(encodeBase58(bytes)), bytes)
      }),
      { numRuns: 300 },
    )
  })

  it('gives back any text of its alphabet, so that no value has two names', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[1-9A-HJ-NP-Za-km-z]{0,60}$/), (text) => {
        assert.equal(encodeBase58(decodeBase58(text)), text)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps zeros that nothing follows', () => {
    assert.equal(encodeBase58(new Uint8Array(3)), '111')
    assert.deepEqual(decodeBase58('111'), new Uint8Array(3))
    assert.deepEqual(decodeBase58(''), new Uint8Array())
  })

  it('refuses characters outside its alphabet', () => {
    for (const text of ['0', 'O', 'I', 'l', 'a b', 'é', '\u{1f600}'])
      assert.throws(() => decodeBase58(text), { code: 'invalid' })
  })
})

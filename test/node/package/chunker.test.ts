import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { seededRandom } from '../../../lib/random.ts'
import { concatBytes } from '../../../lib/bytes.ts'
import { sha256Hex } from '../../../lib/hash.ts'
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CHUNK_BYTES_TARGET,
  chunkLength,
} from '../../../node/package/chunker.ts'

const bytesOf = (seed: string, length: number): Uint8Array => seededRandom(seed).bytes(length)

const cut = (bytes: Uint8Array): readonly Uint8Array[] => {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const length = chunkLength(bytes.subarray(at, at + CHUNK_BYTES_MAX))
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunks
}

const digests = (bytes: Uint8Array): ReadonlySet<string> =>
  new Set(cut(bytes).map((chunk) => sha256Hex(chunk)))

describe('chunker', () => {
  it('cuts nothing out of nothing, and what is small not at all', () => {
    assert.equal(chunkLength(new Uint8Array()), 0)
    assert.equal(chunkLength(bytesOf('small', CHUNK_BYTES_MIN)), CHUNK_BYTES_MIN)
  })

  it('keeps to its bounds, also in bytes without any variety', () => {
    const chunks = [...cut(bytesOf('bounds', 3_000_000)), ...cut(new Uint8Array(1_000_000))]
    const inner = chunks.filter((chunk) => chunk.length < CHUNK_BYTES_MIN || chunk.length > CHUNK_BYTES_MAX)
    // The last chunk of each input may be short.
    assert.ok(inner.length <= 2)
    assert.ok(inner.every((chunk) => chunk.length < CHUNK_BYTES_MIN))
  })

  it('cuts to about its target on average (Xia et al. 2016, §3.3)', () => {
    const length = 8_000_000
    const average = length / cut(bytesOf('average', length)).length
    assert.ok(average > CHUNK_BYTES_TARGET * 0.75 && average < CHUNK_BYTES_TARGET * 1.5, String(average))
  })

  it('gives back the bytes it was given', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 600_000 }), fc.string(), (length, seed) => {
        const bytes = bytesOf(seed, length)
        assert.deepEqual(concatBytes(cut(bytes)), bytes)
      }),
      { numRuns: 20 },
    )
  })

  it('moves only the cuts around an insertion, so that most chunks stay the same', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_999_999 }), fc.integer({ min: 1, max: 5000 }), (at, length) => {
        const before = bytesOf('insertion', 2_000_000)
        const after = concatBytes([before.subarray(0, at), bytesOf('new', length), before.subarray(at)])
        const known = digests(before)
        const fresh = cut(after).filter((chunk) => !known.has(sha256Hex(chunk)))
        assert.ok(fresh.length <= 4, `${fresh.length} new chunks`)
      }),
      { numRuns: 20 },
    )
  })

  it('cuts where it always did: another table would make all packages new', () => {
    assert.deepEqual(
      cut(bytesOf('pinned', 400_000)).map((chunk) => chunk.length),
      PINNED,
    )
  })
})

const PINNED: readonly number[] = [65591, 66157, 81395, 70690, 70869, 45298]

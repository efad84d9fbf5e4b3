// Durations and sizes: what people write, what they read, and what they are told when it is neither.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../lib/time.ts'

describe('parseDuration', () => {
  it('reads units, sums and fractions', () => {
    const written = {
      '0': 0,
      '500ms': 500,
      '5s': 5000,
      '1m30s': 90_000,
      '2h': 7_200_000,
      '1d': 86_400_000,
      '1.5s': 1500,
      '0s': 0,
      '1m500ms': 60_500,
    }
    for (const [text, ms] of Object.entries(written)) assert.equal(parseDuration(text), ms, text)
  })

  it('refuses anything else with a sentence that shows how', () => {
    for (const text of ['', '5', '-5s', 's', '5 s', '5S', '1.s', '.5s', '1e3s', '5s ', '5w', '5s,5m'])
      assert.throws(() => parseDuration(text), {
        code: 'invalid',
        message: `'${text}' is not a duration; write for example 500ms, 5s, 1m or 2h`,
      })
  })

  it('refuses what no number of milliseconds can say', () => {
    assert.throws(() => parseDuration(`${'9'.repeat(400)}d`), { code: 'invalid' })
    assert.throws(() => parseDuration('99999999999999999s'), { code: 'invalid' })
  })
})

describe('formatDuration', () => {
  it('says few digits', () => {
    const said: readonly (readonly [number, string])[] = [
      [0, '0ms'],
      [350, '350ms'],
      [999.7, '1s'],
      [4200, '4.2s'],
      [9990, '10s'],
      [59_700, '1m'],
      [190_000, '3m10s'],
      [3_599_900, '1h'],
      [18_000_000, '5h'],
      [5_400_000, '1h30m'],
      [172_800_000, '2d'],
    ]
    for (const [ms, text] of said) assert.equal(formatDuration(ms), text, `${ms}`)
  })

  it('is read back as nearly the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 172_000_000 }), (ms) => {
        const back = parseDuration(formatDuration(ms))
        assert.ok(Math.abs(back - ms) <= Math.max(50, ms * 0.05), `${ms}: ${formatDuration(ms)}`)
      }),
      { numRuns: 500 },
    )
  })

  it('never says sixty of a unit', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 400_000_000, noNaN: true }), (ms) => {
        assert.doesNotMatch(formatDuration(ms), /(^|[a-z])(60s|60m|1000ms)$/)
      }),
      { numRuns: 500 },
    )
  })
})

describe('parseSize', () => {
  it('reads powers of 1024 in the ways Compose does', () => {
    const written = {
      '1024': 1024,
      '0': 0,
      '64b': 64,
      '512k': 524_288,
      '64M': 67_108_864,
      '64mb': 67_108_864,
      '64MiB': 67_108_864,
      '1G': 1_073_741_824,
      '1.5g': 1_610_612_736,
      '1 T': 1024 ** 4,
    }
    for (const [text, bytes] of Object.entries(written)) assert.equal(parseSize(text), bytes, text)
  })

  it('refuses anything else with a sentence that shows how', () => {
    for (const text of ['', 'G', '-1G', '1P', '1GG', '1.G', '1e3', '1 G B'])
      assert.throws(() => parseSize(text), {
        code: 'invalid',
        message: `'${text}' is not a size; write for example 64M or 1G`,
      })
    assert.throws(() => parseSize('9'.repeat(400)), { code: 'invalid' })
  })
})

describe('formatSize', () => {
  it('says few digits', () => {
    const said: readonly (readonly [number, string])[] = [
      [0, '0'],
      [1023, '1023'],
      [1024, '1K'],
      [67_108_864, '64M'],
      [1.5 * 1024 ** 3, '1.5G'],
      [1024 ** 2 - 1, '1M'],
      [3 * 1024 ** 4, '3T'],
    ]
    for (const [bytes, text] of said) assert.equal(formatSize(bytes), text, `${bytes}`)
  })

  it('is read back as nearly the same', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), fc.nat(20), (mantissa, shift) => {
        const bytes = mantissa * 2 ** shift
        assert.ok(Math.abs(parseSize(formatSize(bytes)) - bytes) <= bytes * 0.05)
      }),
      { numRuns: 300 },
    )
  })
})

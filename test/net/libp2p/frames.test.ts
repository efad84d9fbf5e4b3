import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { array, assert as check, integer, property, uint8Array } from 'fast-check'
import { concatBytes } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { FrameDecoder, frameOf } from '../../../net/libp2p/frames.ts'

const failsWith = (code: string) => (thrown: unknown) => thrown instanceof TuttiError && thrown.code === code

describe('FrameDecoder', () => {
  it('returns the frames that were written, however the bytes are cut', () => {
    const payloads = array(uint8Array({ maxLength: 300 }), { maxLength: 8 })
    check(
      property(payloads, array(integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, cuts) => {
        const whole = concatBytes(sent.map((payload) => frameOf(payload)))
        const decoder = new FrameDecoder(300)
        const got: Uint8Array[] = []
        for (let at = 0, turn = 0; at < whole.length; turn += 1) {
          const length = cuts[turn % cuts.length] ?? 1
          got.push(...decoder.push(whole.subarray(at, at + length)))
          at += length
        }
        assert.deepEqual(got, sent)
        assert.equal(decoder.midway, false)
      }),
      { numRuns: 200 },
    )
  })

  it('copies what it returns', () => {
    const chunk = Uint8Array.of(2, 7, 8)
    const [frame] = new FrameDecoder(10).push(chunk)
    chunk.fill(0)
    assert.deepEqual(frame, Uint8Array.of(7, 8))
  })

  it('refuses a length beyond its limit before any of the content arrives', () => {
    assert.throws(() => new FrameDecoder(10).push(Uint8Array.of(11)), failsWith('too-large'))
    assert.deepEqual(new FrameDecoder(10).push(Uint8Array.of(10)), [])
  })

  it('refuses lengths that are too long or not in their shortest form', () => {
    assert.throws(() => new FrameDecoder(10).push(Uint8Array.of(0x81, 0x00)), failsWith('invalid'))
    assert.throws(
      () => new FrameDecoder(10).push(Uint8Array.of(0xff, 0xff, 0xff, 0xff)),
      failsWith('invalid'),
    )
  })

  it('knows when it is within a frame', () => {
    const decoder = new FrameDecoder(1000)
    decoder.push(Uint8Array.of(0x80))
    assert.equal(decoder.midway, true)
    decoder.push(Uint8Array.of(0x01))
    assert.equal(decoder.midway, true)
    decoder.push(new Uint8Array(128))
    assert.equal(decoder.midway, false)
  })
})

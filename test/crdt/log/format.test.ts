import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  decodeHeader,
  decodeLog,
  encodeFrames,
  encodeHeader,
  FILE_HEADER_BYTES,
  FRAME_HEADER_BYTES,
} from '../../../crdt/log/format.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../crdt/log/snapshot.ts'
import type { Frame } from '../../../crdt/store.ts'
import { concatBytes, sameBytes } from '../../../lib/bytes.ts'
import { frame, texts } from '../../contracts/store.ts'

/** A log of groups, and where each frame ends. */
const logOf = (
  groups: readonly (readonly Frame[])[],
): { readonly bytes: Uint8Array; readonly ends: number[] } => {
  let bytes = encodeHeader('L')
  const ends: number[] = []
  for (const group of groups) {
    let end = bytes.length
    for (const { bytes: payload } of group) ends.push((end += FRAME_HEADER_BYTES + payload.length))
    bytes = concatBytes([bytes, encodeFrames(group, bytes.length)])
  }
  return { bytes, ends }
}

const groups = [
  [frame('one'), frame('two', 'status')],
  [frame('')],
  [frame('three'.repeat(20)), frame('four')],
]
const all = groups.flat()
const anyFrame: fc.Arbitrary<Frame> = fc
  .tuple(fc.constantFrom('intent' as const, 'status' as const), fc.uint8Array({ maxLength: 60 }))
  .map(([kind, bytes]) => ({ kind, bytes }))

/** Whether `part` occurs in `whole`, in order. */
const isSubsequence = (part: readonly Frame[], whole: readonly Frame[]): boolean => {
  let at = 0
  for (const wanted of part) {
    while (
      at < whole.length &&
      !(whole[at]?.kind === wanted.kind && sameBytes(whole[at]?.bytes ?? new Uint8Array(), wanted.bytes))
    )
      at += 1
    if (at === whole.length) return false
    at += 1
  }
  return true
}

describe('log format', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyFrame, { maxLength: 4 }), { maxLength: 6 }), (groups) => {
        const { bytes } = logOf(groups)
        assert.deepEqual(decodeLog(bytes), {
          version: 1,
          frames: groups.flat(),
          end: bytes.length,
          damage: [],
        })
      }),
      { numRuns: 200 },
    )
  })

  it('yields the exact valid prefix of a log cut at any byte', () => {
    const { bytes, ends } = logOf(groups)
    for (let cut = FILE_HEADER_BYTES; cut <= bytes.length; cut += 1) {
      const whole = ends.filter((end) => end <= cut)
      const log = decodeLog(bytes.subarray(0, cut))
      const end = whole.at(-1) ?? FILE_HEADER_BYTES
      assert.deepEqual(texts(log.frames), texts(all.slice(0, whole.length)), `cut at ${cut}`)
      assert.equal(log.end, end)
      assert.deepEqual(
        log.damage,
        end === cut ? [] : [{ kind: 'torn', from: end, to: cut, framesBefore: whole.length }],
      )
    }
  })

  it('finds nothing in a log that is cut within its header, and says so', () => {
    const { bytes } = logOf(groups)
    for (let cut = 0; cut < FILE_HEADER_BYTES; cut += 1) {
      const log = decodeLog(bytes.subarray(0, cut))
      assert.deepEqual(log.frames, [])
      assert.equal(log.version, null)
      assert.equal(log.damage[0]?.kind, 'header')
    }
  })

  it('detects a flipped byte anywhere, and loses the frame it is in and no other', () => {
    const { bytes, ends } = logOf(groups)
    for (let at = 0; at < bytes.length; at += 1) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const flipped = bytes.slice()
        flipped[at] = (flipped[at] ?? 0) ^ mask
        const log = decodeLog(flipped)
        const hit = at < FILE_HEADER_BYTES ? -1 : ends.findIndex((end) => at < end)
        assert.ok(log.damage.length > 0, `byte ${at}`)
        assert.deepEqual(texts(log.frames), texts(all.filter((_, index) => index !== hit)), `byte ${at}`)
      }
    }
  })

  it('tells what was durable once from what was being written', () => {
    const { bytes, ends } = logOf(groups)
    const kindsAfterFlipIn = (index: number): readonly string[] => {
      const flipped = bytes.slice()
      const at = (ends[index] ?? 0) - 1
      flipped[at] = (flipped[at] ?? 0) ^ 1
      return decodeLog(flipped).damage.map(({ kind }) => kind)
    }
    assert.deepEqual(
      [0, 1, 3, 4].map(kindsAfterFlipIn),
      // The last group was never vouched for by a later one, so both of its frames may be an unfinished write.
      [['corrupt'], ['corrupt'], ['torn'], ['torn']],
    )
  })

  it('never returns a frame that was not written, whatever happened to the bytes', () => {
    const mutation = fc.record({
      at: fc.nat(),
      length: fc.nat({ max: 40 }),
      fill: fc.uint8Array({ maxLength: 40 }),
    })
    fc.assert(
      fc.property(
        fc.array(fc.array(anyFrame, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 5 }),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        (groups, mutations) => {
          let { bytes } = logOf(groups)
          for (const { at, length, fill } of mutations) {
            const from = at % (bytes.length + 1)
            bytes = concatBytes([bytes.subarray(0, from), fill, bytes.subarray(from + length)])
          }
          assert.ok(isSubsequence(decodeLog(bytes).frames, groups.flat()))
        },
      ),
      { numRuns: 500 },
    )
  })

  it('takes no frame that is quoted inside a payload for one, even behind damage', () => {
    const quoted = encodeFrames([frame('forged')], FILE_HEADER_BYTES)
    const { bytes } = logOf([[{ kind: 'intent', bytes: quoted }], [frame('next')]])
    bytes[FILE_HEADER_BYTES] = 0
    assert.deepEqual(texts(decodeLog(bytes).frames), ['next'])
  })

  it('takes no frame at another place than it was written for', () => {
    const { bytes } = logOf([[frame('a')]])
    const moved = concatBytes([
      bytes.subarray(0, FILE_HEADER_BYTES),
      Uint8Array.of(0),
      bytes.subarray(FILE_HEADER_BYTES),
    ])
    assert.deepEqual(decodeLog(moved).frames, [])
  })

  it('gives up on a file made to be slow to search, in bounded time', () => {
    // Every third byte begins a marker; each claims a frame of half a megabyte that does not check.
    const bytes = new Uint8Array(1024 * 1024)
    bytes.set(encodeHeader('L'))
    for (let at = FILE_HEADER_BYTES; at + 16 < bytes.length; at += 16)
      bytes.set([0xf5, 0xc1, 0xff, 0, 0, 0, 0, 1, 0, 0, 8, 0], at)
    const log = decodeLog(bytes)
    assert.deepEqual(log.frames, [])
    assert.equal(log.damage.at(-1)?.to, bytes.length)
  })

  it('reads no frames of a newer version', () => {
    const log = decodeLog(concatBytes([encodeHeader('L', 2), encodeFrames([frame('a')], FILE_HEADER_BYTES)]))
    assert.equal(log.version, 2)
    assert.deepEqual(log.frames, [])
  })

  it('knows a log from a snapshot', () => {
    assert.equal(decodeHeader(encodeHeader('L'), 'S'), null)
    assert.equal(decodeHeader(encodeHeader('S'), 'S'), 1)
  })
})

describe('snapshot format', () => {
  const snapshot = { document: Uint8Array.of(1, 2, 3), frames: [frame('a'), frame('b', 'status')] }
  const bytes = encodeSnapshot(snapshot)

  it('gives back what was written', () => {
    assert.deepEqual(decodeSnapshot(bytes), { kind: 'snapshot', snapshot })
    const empty = { document: new Uint8Array(), frames: [] }
    assert.deepEqual(decodeSnapshot(encodeSnapshot(empty)), { kind: 'snapshot', snapshot: empty })
  })

  it('is damaged when it is cut at any byte or goes on', () => {
    for (let cut = 0; cut < bytes.length; cut += 1)
      assert.equal(decodeSnapshot(bytes.subarray(0, cut)).kind, 'damaged', `cut at ${cut}`)
    assert.equal(decodeSnapshot(concatBytes([bytes, Uint8Array.of(0)])).kind, 'damaged')
  })

  it('is damaged when any byte is flipped', () => {
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = bytes.slice()
      flipped[at] = (flipped[at] ?? 0) ^ 0x10
      assert.equal(decodeSnapshot(flipped).kind, 'damaged', `byte ${at}`)
    }
  })
})

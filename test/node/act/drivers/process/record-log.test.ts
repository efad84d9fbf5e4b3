import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { dropLine, recordLine, replay } from '../../../../../node/act/drivers/process/record-log.ts'
import type { StoredRecord } from '../../../../../node/act/drivers/process/record-text.ts'
import type { InstanceId, SlotId } from '../../../../../lib/ids.ts'
import { recordFor } from '../../../../contracts/driver.ts'

interface Deed {
  readonly index: number
  /** Null: the record is dropped. */
  readonly runs: number | null
}

const storedOf = (index: number, runs: number): StoredRecord => {
  const slot = `shop/web/${index}` as SlotId
  const record = recordFor(['sleep', 'ü'.repeat(index)], { nonce: `nonce-${index}-${runs}` })
  return { boot: 'boot', record: { ...record, instance: `${slot}@r1` as InstanceId, slot, runs } }
}

const lineOf = ({ index, runs }: Deed): string =>
  runs === null ? dropLine(storedOf(index, 0).record.instance) : recordLine(storedOf(index, runs))

/** What is left after some of the deeds: runs by instance. */
const after = (deeds: readonly Deed[]): Readonly<Record<string, number>> => {
  const left = new Map<string, number>()
  for (const { index, runs } of deeds) {
    const { instance } = storedOf(index, 0).record
    if (runs === null) left.delete(instance)
    else left.set(instance, runs)
  }
  return Object.fromEntries(left)
}

const said = (bytes: Buffer): Readonly<Record<string, number>> =>
  Object.fromEntries(replay(bytes).records.map(({ record }) => [record.instance, record.runs]))

const deeds = fc.array(
  fc.record({
    index: fc.integer({ min: 0, max: 3 }),
    runs: fc.option(fc.integer({ min: 1, max: 9 }), { nil: null }),
  }),
  { maxLength: 12 },
)

describe('record log', () => {
  it('says after a crash at any byte what was written in full before it, and reports no damage (S10)', () => {
    fc.assert(
      fc.property(deeds, fc.nat(), fc.nat({ max: 64 }), (all, at, room) => {
        const lines = all.map((deed) => Buffer.from(lineOf(deed)))
        const bytes = Buffer.concat(lines)
        const cut = at % (bytes.length + 1)
        let whole = 0
        let end = 0
        while (whole < lines.length && end + (lines[whole]?.length ?? 0) <= cut)
          end += lines[whole++]?.length ?? 0
        const read = replay(Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(room)]))
        assert.deepEqual(said(bytes.subarray(0, cut)), after(all.slice(0, whole)))
        assert.deepEqual([read.damaged, read.end, read.isTorn], [[], end, cut > end])
      }),
      // Cut within a character: its bytes are fewer than those of the replacement that they decode to.
      { examples: [[[{ index: 3, runs: 1 }], 1872578453, 0]] },
    )
  })

  it('loses to damage in the middle the lines that it hit, says so, and no others', () => {
    fc.assert(
      fc.property(deeds, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, at, flip) => {
        fc.pre(all.length > 0)
        const lines = all.map((deed) => Buffer.from(lineOf(deed)))
        const bytes = Buffer.concat(lines)
        const hit = at % bytes.length
        bytes[hit] = (bytes[hit] ?? 0) ^ flip
        let first = 0
        let end = lines[0]?.length ?? 0
        while (end <= hit) end += lines[++first]?.length ?? 0
        // A lost end of line joins two; the last one's is a torn write, of which nothing was acknowledged.
        const last = hit === end - 1 ? first + 1 : first
        const spared = all.filter((_deed, index) => index < first || index > last)
        assert.deepEqual(said(bytes), after(spared))
        const isTorn = hit === bytes.length - 1 && bytes[hit] !== 0x0a
        assert.equal(replay(bytes).damaged.length > 0, !isTorn)
      }),
    )
  })

  it('keeps records in the order of their instances', () => {
    const lines = [3, 1, 2].map((index) => lineOf({ index, runs: 1 }))
    const { records } = replay(Buffer.from(lines.join('')))
    assert.deepEqual(
      records.map(({ record }) => record.slot),
      ['shop/web/1', 'shop/web/2', 'shop/web/3'],
    )
  })
})

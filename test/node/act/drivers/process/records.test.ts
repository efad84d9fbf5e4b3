import assert from 'node:assert/strict'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  fileNameOf,
  recordText,
  type StoredRecord,
} from '../../../../../node/act/drivers/process/record-text.ts'
import { replay } from '../../../../../node/act/drivers/process/record-log.ts'
import { Records } from '../../../../../node/act/drivers/process/records.ts'
import type { InstanceId, SlotId } from '../../../../../lib/ids.ts'
import { recordFor } from '../../../../contracts/driver.ts'

describe('records', () => {
  let folder = ''
  const opened: Records[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tutti-records-'))
  })
  afterEach(() => {
    for (const records of opened.splice(0)) records.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const log = (): string => join(folder, 'log')
  const stored = (runs: number, words: readonly string[] = ['sleep', '1']): StoredRecord => ({
    boot: 'boot',
    record: { ...recordFor([...words], { nonce: 'nonce-of-a-run' }), runs },
  })
  const other = (index: number): StoredRecord => {
    const slot = `shop/other/${index}` as SlotId
    const { boot, record } = stored(index)
    return { boot, record: { ...record, slot, instance: `${slot}@r1` as InstanceId } }
  }
  const open = async (): Promise<Records> => {
    const records = new Records(folder)
    opened.push(records)
    await records.readAll()
    return records
  }
  const onDisk = (): readonly number[] => replay(readFileSync(log())).records.map(({ record }) => record.runs)
  const readAnew = async (): Promise<{ runs: readonly number[]; damaged: readonly string[] }> => {
    const records = new Records(folder)
    opened.push(records)
    const { records: all, damaged } = await records.readAll()
    return { runs: all.map(({ record }) => record.runs), damaged }
  }

  it('has each record on the disk when its write resolves (S10)', async () => {
    const records = await open()
    for (const [runs, words] of [
      [1, ['sleep', '1']],
      [2, ['sleep', '1']],
      [100, ['sleep', 'x'.repeat(9000)]],
      [4, ['sleep', '1']],
    ] as const) {
      await records.write(stored(runs, words))
      assert.deepEqual(onDisk(), [runs])
    }
    assert.deepEqual(await readAnew(), { runs: [4], damaged: [] })
  })

  it('keeps the last of writes that were begun at once, and each instance its own', async () => {
    const records = await open()
    const writes = [1, 2, 3, 4, 5].map((runs) =>
      records.write(stored(runs, ['sleep', 'x'.repeat(runs === 3 ? 9000 : 1)])),
    )
    await Promise.all([...writes, records.write(other(7))])
    assert.deepEqual(onDisk(), [7, 5])
  })

  it('writes anew what was removed', async () => {
    const records = await open()
    await records.write(stored(1))
    await records.remove(stored(1).record.instance)
    assert.deepEqual(onDisk(), [])
    await records.write(stored(2))
    assert.deepEqual(await readAnew(), { runs: [2], damaged: [] })
  })

  it('goes on after a write that a crash cut off', async () => {
    const records = await open()
    await records.write(stored(1))
    const whole = replay(readFileSync(log())).end
    await records.write(stored(2))
    truncateSync(log(), whole + 10)
    assert.deepEqual(await readAnew(), { runs: [1], damaged: [] })
    const next = await open()
    await next.write(other(3))
    assert.deepEqual(onDisk(), [3, 1])
  })

  it('sets a damaged log aside and goes on with the records that are sound', async () => {
    const records = await open()
    await records.write(stored(1))
    await records.write(other(2))
    await records.write(other(3))
    const bytes = readFileSync(log())
    bytes[bytes.indexOf('other/2')] = 0x21
    writeFileSync(log(), bytes)
    assert.deepEqual(await readAnew(), { runs: [3, 1], damaged: ['log, line 2'] })
    assert.deepEqual(readFileSync(`${log()}.damaged`), bytes)
    assert.deepEqual(await readAnew(), { runs: [3, 1], damaged: [] })
  })

  it('takes over the files of a version that kept each record in one', async () => {
    const name = `${fileNameOf(stored(6).record.instance)}.json`
    writeFileSync(join(folder, name), `${recordText(stored(6))}   `)
    writeFileSync(join(folder, 'shop~web~9@r1.json'), '{"format":1')
    assert.deepEqual(await readAnew(), { runs: [6], damaged: ['shop~web~9@r1.json'] })
    assert.deepEqual(readdirSync(folder).toSorted(), ['log', 'shop~web~9@r1.json.damaged'])
    assert.deepEqual(onDisk(), [6])
  })

  it('takes no more room than its records and a bounded past (S14)', async () => {
    const records = await open()
    const words = ['sleep', 'x'.repeat(20_000)]
    for (let turn = 0; turn < 12; turn += 1)
      await Promise.all(Array.from({ length: 20 }, (_, at) => records.write(stored(turn * 20 + at, words))))
    assert.deepEqual(onDisk(), [239])
    assert.ok(statSync(log()).size < 3 * 1024 * 1024)
  })

  it('refuses in one sentence while the disk takes nothing, and loses nothing to it', async () => {
    const records = await open()
    await records.write(stored(1))
    // The log is let go and written anew after a failure; nobody can where the folder is none.
    records.close()
    rmSync(folder, { recursive: true, force: true })
    writeFileSync(folder, '')
    await assert.rejects(records.write(other(2)), { code: 'storage' })
    rmSync(folder)
  })
})

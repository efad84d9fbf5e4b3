import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Records, type StoredRecord } from '../../../../../node/act/drivers/process/records.ts'
import { recordFor } from '../../../../contracts/driver.ts'

describe('records', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tutti-records-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const stored = (runs: number, words: readonly string[] = ['sleep', '1']): StoredRecord => ({
    boot: 'boot',
    record: { ...recordFor([...words], { nonce: 'nonce-of-a-run' }), runs },
  })
  const runsIn = async (): Promise<readonly number[]> => {
    const { records, damaged } = await new Records(folder).readAll()
    assert.deepEqual(damaged, [])
    return records.map(({ record }) => record.runs)
  }

  it('replaces a record, whether it has the length of the one before or not (S10)', async () => {
    const records = new Records(folder)
    for (const [runs, words] of [
      [1, ['sleep', '1']],
      [2, ['sleep', '1']],
      [100, ['sleep', 'x'.repeat(9000)]],
      [4, ['sleep', '1']],
    ] as const) {
      await records.write(stored(runs, words))
      assert.deepEqual(await runsIn(), [runs])
    }
  })

  it('writes one of the same length into its place, and no second file', async () => {
    const records = new Records(folder)
    await records.write(stored(1))
    const [name = ''] = readdirSync(folder)
    const before = statSync(join(folder, name)).ino
    await records.write(stored(2))
    assert.deepEqual(readdirSync(folder), [name])
    assert.equal(statSync(join(folder, name)).ino, before)
  })

  it('keeps the last of writes that were begun at once', async () => {
    const records = new Records(folder)
    const writes = [1, 2, 3, 4, 5].map((runs) =>
      records.write(stored(runs, ['sleep', 'x'.repeat(runs === 3 ? 9000 : 1)])),
    )
    await Promise.all(writes)
    assert.deepEqual(await runsIn(), [5])
  })

  it('writes anew what was removed', async () => {
    const records = new Records(folder)
    await records.write(stored(1))
    await records.remove(stored(1).record.instance)
    assert.deepEqual(await runsIn(), [])
    await records.write(stored(2))
    assert.deepEqual(await runsIn(), [2])
  })
})

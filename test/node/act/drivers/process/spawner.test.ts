import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { LaunchTexts } from '../../../../../node/act/drivers/process/launch.ts'
import { SpawnerLauncher } from '../../../../../node/act/drivers/process/spawner.ts'
import { keepingLog, lives } from '../../support/bed.ts'
import { until } from '../../../../support/until.ts'

/** A launch of this one command. */
const texts = (command: string): LaunchTexts => ({ command: () => command, script: () => command })

describe('spawner', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tutti-spawner-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it('is one shell for starts that follow each other, and some more for many at once', async () => {
    const spawner = new SpawnerLauncher(keepingLog(), null)
    for (let turn = 0; turn < 10; turn += 1) await spawner.launch(folder, texts(':'))
    assert.equal(spawner.pids.length, 1)
    await Promise.all(Array.from({ length: 100 }, () => spawner.launch(folder, texts(':'))))
    assert.ok(spawner.pids.length <= 4)
    const { pids } = spawner
    spawner.close()
    await until(() => pids.every((pid) => !lives(pid)))
  })

  it('rejects what a shell that dies was asked, and goes on with the others', async () => {
    const spawner = new SpawnerLauncher(keepingLog(), null)
    const starts = Array.from({ length: 20 }, (_, at) =>
      spawner.launch(folder, texts(at === 7 ? 'kill -9 $$' : ':')),
    )
    const outcomes = await Promise.allSettled(starts)
    assert.equal(outcomes[7]?.status, 'rejected')
    assert.ok(spawner.usable)
    await spawner.launch(folder, texts(':'))
    spawner.close()
  })

  it('is of no use any more after three deaths without an answer', async () => {
    const spawner = new SpawnerLauncher(keepingLog(), null)
    for (let death = 0; death < 3; death += 1) {
      assert.ok(spawner.usable)
      await assert.rejects(spawner.launch(folder, texts('kill -9 $$')))
    }
    assert.ok(!spawner.usable)
    spawner.close()
  })
})

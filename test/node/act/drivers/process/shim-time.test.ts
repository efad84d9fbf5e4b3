// By either clock a shim tells an identity that is its own and nobody else's, and its program hears nothing of the clock.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  isAlive,
  isUptimeOfStarts,
  statOf,
  uptimeMs,
} from '../../../../../node/act/drivers/process/identity.ts'
import { shimTime } from '../../../../../node/act/drivers/process/shim-time.ts'
import { toldIn } from '../../../../../node/act/drivers/process/told.ts'
import { until } from '../../../../support/until.ts'

const SHIM = resolve(import.meta.dirname, '../../../../../node/act/drivers/process/shim.sh')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tutti-time-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

for (const isUptime of [true, false]) {
  describe(`a shim that tells its identity by ${isUptime ? 'the uptime' : 'its start time'}`, () => {
    it('is known by it while it lives, and by no earlier time', async () => {
      const environment = { PATH: process.env['PATH'] ?? '', ...shimTime(isUptime) }
      const shim = spawn('/bin/sh', [SHIM, folder, ':', ':', '/bin/sh', '-c', 'env; read -r LINE'], {
        env: environment,
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      let said = ''
      shim.stdout.on('data', (data: Buffer) => (said += data.toString()))
      await until(() => toldIn(folder).isUp && said.includes('PATH='))
      const identity = toldIn(folder).shim
      assert.ok(identity !== null && identity.pid === shim.pid)
      assert.ok(isAlive(identity))
      const startTime = statOf(identity.pid)?.startTime ?? Number.NaN
      if (!isUptime) assert.equal(identity.startedBy, startTime)
      assert.ok(!isAlive({ pid: identity.pid, startedBy: startTime - 1 }))
      assert.doesNotMatch(said, /tutti_/)
      shim.stdin.end()
      await once(shim, 'exit')
      assert.ok(!isAlive(identity))
      assert.match(readFileSync(join(folder, 'told'), 'utf8'), /\nexit 1\n$/)
    })
  })
}

describe('uptime', () => {
  it('is of the clock that start times are of, on this machine', () => {
    assert.ok(isUptimeOfStarts())
  })

  it('is of another clock in a container that began later, if only by a second', () => {
    assert.ok(!isUptimeOfStarts(uptimeMs() - process.uptime() * 1000 - 1000))
    assert.ok(!isUptimeOfStarts(uptimeMs() - 86_400_000))
    assert.ok(!isUptimeOfStarts(uptimeMs(), null))
  })
})

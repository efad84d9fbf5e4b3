import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Census } from '../../../../../node/act/drivers/process/census.ts'
import { identityOf, statOf, type ProcessIdentity } from '../../../../../node/act/drivers/process/identity.ts'
import type { Clock } from '../../../../../lib/time.ts'
import { lives } from '../../support/bed.ts'
import { systemClock } from '../../../../../node/clock.ts'
import { until } from '../../../../support/until.ts'

const NOBODY: ProcessIdentity = { pid: 4_000_000, startedBy: 1 }

let children: ChildProcess[]
beforeEach(() => {
  children = []
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** A process in a group of its own that carries a nonce. */
const carrier = async (nonce: string): Promise<ProcessIdentity> => {
  const env = { PATH: process.env['PATH'] ?? '', TUTTI_NONCE: nonce }
  const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore', env })
  children.push(child)
  const { pid } = child
  assert.ok(pid !== undefined)
  await until(() => statOf(pid)?.group === pid)
  return identityOf(pid) ?? NOBODY
}

const leftAfterLook = async (census: Census, nonce: string, shim: ProcessIdentity | null) => {
  await census.look()
  return census.leftOf({ nonce, shim, watched: true })
}

describe('census', () => {
  it('finds who carries a nonce, in the group and out of it', async () => {
    const census = new Census(systemClock)
    const first = await carrier('census-a')
    assert.deepEqual(await leftAfterLook(census, 'census-a', first), { inGroup: true, elsewhere: false })
    assert.deepEqual(await leftAfterLook(census, 'census-a', NOBODY), { inGroup: false, elsewhere: true })
    assert.deepEqual(await leftAfterLook(census, 'census-b', NOBODY), { inGroup: false, elsewhere: false })
  })

  it('finds members of a group without a nonce', async () => {
    const census = new Census(systemClock)
    const first = await carrier('census-c')
    assert.deepEqual(await leftAfterLook(census, 'other', first), { inGroup: true, elsewhere: false })
  })

  it('sees who came and who went since the last look', async () => {
    const census = new Census(systemClock)
    await census.look()
    const first = await carrier('census-d')
    assert.equal((await leftAfterLook(census, 'census-d', first)).inGroup, true)
    process.kill(first.pid, 'SIGKILL')
    await until(() => !lives(first.pid))
    assert.deepEqual(await leftAfterLook(census, 'census-d', first), { inGroup: false, elsewhere: false })
  })

  it('shares one look among those who wait for it', async () => {
    let timers = 0
    const clock: Clock = {
      ...systemClock,
      after: (delayMs, fire) => {
        timers += 1
        return systemClock.after(delayMs, fire)
      },
    }
    const census = new Census(clock)
    await Promise.all(Array.from({ length: 100 }, () => census.look()))
    assert.equal(timers, 1)
  })
})

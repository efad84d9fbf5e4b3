// Runs under a lease on a real machine: what their watchdog does when nobody else does anything.

import assert from 'node:assert/strict'
import { spawn as runProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { defined } from '../../../../../lib/assert.ts'
import { HOLD_MS, type HeldLease } from '../../../../../node/plan/lease/terms.ts'
import type { InstanceRecord } from '../../../../../node/ports.ts'
import type { ProcessDriver } from '../../../../../node/act/drivers/process/driver.ts'
import { RunLeases } from '../../../../../node/act/drivers/process/leases.ts'
import { allPids, statOf } from '../../../../../node/act/drivers/process/identity.ts'
import { toldIn } from '../../../../../node/act/drivers/process/told.ts'
import { environmentFor, exitsOf, recordFor } from '../../../../contracts/driver.ts'
import { carriersOf, lives, makeBed, type Bed } from '../../support/bed.ts'
import { systemClock } from '../../../../../node/clock.ts'
import { until } from '../../../../support/until.ts'

const WATCHDOG = fileURLToPath(
  new URL('../../../../../node/act/drivers/process/watchdog.sh', import.meta.url),
)

/** The watchdog counts in hundredths of a second. */
const EARLY_MS = 20

let bed: Bed

beforeEach(() => {
  bed = makeBed()
})
afterEach(async () => {
  await bed.cleanUp()
})

const leaseFor = (forMs: number): HeldLease => ({ token: 7, untilMs: systemClock.now() + forMs })
const folderOf = ({ nonce }: InstanceRecord): string => join(bed.folder, 'instances', 'runs', nonce)

const started = async () => {
  const driver = bed.makeDriver()
  const exits = exitsOf()
  await driver.start(exits.events)
  return { driver, exits }
}

const spawn = async (driver: ProcessDriver, record: InstanceRecord, lease: HeldLease): Promise<number> =>
  (await driver.spawn({ record, environment: environmentFor(record), lease })).pid

const isWatchdog = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`watchdog.sh\0${bed.folder}`) && lives(pid)
  } catch {
    return false
  }
}

/** Its children have left its group and session, and hear no signal but the last. */
const scattered = [
  'sh',
  '-c',
  `trap '' TERM; setsid sh -c "trap '' TERM; while :; do sleep 600; done" & while :; do sleep 600; done`,
]

describe('watchdog', () => {
  it('ends all of a run that no peer cares for any more (S9)', async () => {
    const { driver } = await started()
    const record = recordFor(scattered, { fence: 7 })
    const lease = leaseFor(1500)
    const pid = await spawn(driver, record, lease)
    await until(() => carriersOf(record.nonce).length >= 4)
    await driver.close()
    await until(() => !lives(pid) && carriersOf(record.nonce).length === 0)
    assert.ok(systemClock.now() >= lease.untilMs - EARLY_MS, 'it was ended before its lease was over')
    assert.equal(toldIn(folderOf(record)).status, '137')
  })

  it('ends a run whose directory is gone, as if its lease were over (S9)', async () => {
    const { driver } = await started()
    const record = recordFor(scattered, { fence: 7 })
    const pid = await spawn(driver, record, leaseFor(600_000))
    await until(() => toldIn(folderOf(record)).isUp)
    await driver.close()
    rmSync(folderOf(record), { recursive: true })
    await until(() => !lives(pid) && carriersOf(record.nonce).length === 0)
  })

  it('ends a run whose deadline cannot be read (S9)', async () => {
    const { driver } = await started()
    const record = recordFor(scattered, { fence: 7 })
    const pid = await spawn(driver, record, leaseFor(600_000))
    await driver.close()
    writeFileSync(join(folderOf(record), 'lease'), '7 x1\n')
    await until(() => !lives(pid) && carriersOf(record.nonce).length === 0)
  })

  it('knows a shim that told a time after its start (S9)', async () => {
    const { driver } = await started()
    const record = recordFor(scattered, { fence: 7 })
    const pid = await spawn(driver, record, leaseFor(600_000))
    await until(() => toldIn(folderOf(record)).isUp)
    await driver.close()
    const told = join(folderOf(record), 'told')
    const later = (_: string, shim: string, ticks: string): string => `${shim}${Number(ticks) + 100}`
    writeFileSync(told, readFileSync(told, 'utf8').replace(/^(shim \d+ )(\d+)/m, later))
    writeFileSync(join(folderOf(record), 'lease'), '7 x1\n')
    await until(() => !lives(pid) && carriersOf(record.nonce).length === 0)
  })

  it('ends by its group what neither control groups nor a nonce tell (S9)', async () => {
    const program = runProcess('sleep', ['600'], { detached: true, stdio: 'ignore', env: {} })
    const pid = defined(program.pid, 'a process')
    const started = defined(statOf(pid), 'its state').startTime
    writeFileSync(join(bed.folder, 'told'), `shim ${pid} ${started + 100}\n`)
    writeFileSync(join(bed.folder, 'lease'), '7 1\n')
    const watchdog = runProcess('sh', [WATCHDOG, bed.folder, 'nobody', ''], { stdio: 'ignore' })
    await until(() => !lives(pid) && watchdog.exitCode === 0)
  })

  it('goes when nothing is left of its run', async () => {
    const { driver, exits } = await started()
    const record = recordFor(['sleep', '600'], { fence: 7 })
    await spawn(driver, record, leaseFor(600_000))
    const watchdogs = (): number => allPids().filter((pid) => isWatchdog(pid)).length
    await until(() => watchdogs() > 0)
    await driver.stop(record.instance, 'SIGKILL', 0)
    await exits.next()
    await until(() => watchdogs() === 0)
    await driver.close()
  })
})

describe('leases of runs', () => {
  it('are shorter by what the machine slept since they were asked for (S9)', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tutti-leases-'))
    let nowMs = 50_000
    let uptime = 900_000
    const clock = { ...systemClock, now: () => nowMs }
    const leases = new RunLeases(clock, () => uptime)
    const { instance } = recordFor(['sleep', '600'])
    const endIn = (): number => Number(readFileSync(join(folder, 'lease'), 'utf8').split(' ')[1]) - uptime
    leases.begin(instance, folder, { token: 1, untilMs: nowMs + HOLD_MS })
    leases.write(instance)
    assert.equal(endIn(), Math.floor(HOLD_MS / 10))
    // Asked for, then a minute of sleep, then granted.
    const untilMs = nowMs + 3000 + HOLD_MS
    nowMs += 3100
    uptime += 310 + 6000
    leases.extend(instance, { token: 2, untilMs })
    assert.equal(endIn(), Math.floor((HOLD_MS - 100) / 10) - 6000)
    // Asked for after it.
    nowMs += 1000
    uptime += 100
    leases.extend(instance, { token: 3, untilMs: nowMs + HOLD_MS })
    assert.equal(endIn(), Math.floor(HOLD_MS / 10))
    rmSync(folder, { recursive: true })
  })
})

describe('process driver › spawn under a lease', () => {
  it('begins nothing when the lease is over before the program begins (S9)', async () => {
    const { driver, exits } = await started()
    const record = recordFor(['sh', '-c', 'echo begun; sleep 600'], { fence: 7 })
    const told = spawn(driver, record, leaseFor(-10))
    await Promise.allSettled([told])
    await exits.next()
    assert.equal(readFileSync(bed.output.begin(record.instance).stdout, 'utf8'), '')
    await driver.close()
  })

  it('leaves the program the variables that it looks at the clock with', async () => {
    const { driver, exits } = await started()
    const record = recordFor(['sh', '-c', 'echo "$A $E $U $I"'], { fence: 7 })
    const environment = { ...environmentFor(record), A: 'a', E: 'e', U: 'u', I: 'i' }
    await driver.spawn({ record, environment, lease: leaseFor(600_000) })
    await exits.next()
    assert.equal(readFileSync(bed.output.begin(record.instance).stdout, 'utf8'), 'a e u i\n')
    await driver.close()
  })

  it('tells the program where its newest token is', async () => {
    const { driver, exits } = await started()
    const record = recordFor(['sh', '-c', 'read -r TOKEN END <"$TUTTI_FENCE_FILE"; echo "$TOKEN"'], {
      fence: 7,
    })
    await spawn(driver, record, leaseFor(600_000))
    await exits.next()
    assert.equal(readFileSync(bed.output.begin(record.instance).stdout, 'utf8'), '7\n')
    await driver.close()
  })
})

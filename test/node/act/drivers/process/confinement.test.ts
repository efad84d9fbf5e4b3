// What holds an instance, on a real kernel: nobody escapes a stop, limits bite, users are dropped, sandboxes hide. Needs
// root, control groups, setpriv and bubblewrap, and fails where they are missing: a promise that is not tried is none.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { ReleaseDefinition } from '../../../../../crdt/schema/view.ts'
import {
  Cgroups,
  currentLayout,
  groupNameOf,
} from '../../../../../node/act/drivers/process/cgroups/cgroups.ts'
import { confinedIn } from '../../../../../node/act/drivers/process/run-folder.ts'
import type { ProcessDriver } from '../../../../../node/act/drivers/process/driver.ts'
import { replay } from '../../../../../node/act/drivers/process/record-log.ts'
import type { InstanceRecord } from '../../../../../node/ports.ts'
import { environmentFor, exitsOf, recordFor } from '../../../../contracts/driver.ts'
import { keepingLog, lives, makeBed, type Bed } from '../../support/bed.ts'
import { systemClock } from '../../../../../node/clock.ts'
import { until } from '../../../../support/until.ts'

let bed: Bed
beforeEach(() => {
  bed = makeBed()
})
afterEach(async () => {
  const folder = join(bed.folder, 'instances')
  if (existsSync(folder)) {
    const cgroups = Cgroups.open(currentLayout(), groupNameOf(folder), systemClock, keepingLog())
    await cgroups.sweep(new Set())
    cgroups.close()
  }
  await bed.cleanUp()
})

const started = async () => {
  const driver = bed.makeDriver()
  const exits = exitsOf()
  return { driver, exits, adopted: await driver.start(exits.events) }
}
const recordWith = (command: readonly string[], change: Partial<ReleaseDefinition>): InstanceRecord => {
  const record = recordFor(command)
  return { ...record, definition: { ...record.definition, ...change } }
}
const spawn = async (driver: ProcessDriver, record: InstanceRecord) =>
  await driver.spawn({ record, environment: environmentFor(record) })
const outputOf = (record: InstanceRecord): string => {
  const { stdout, stderr } = bed.output.begin(record.instance)
  return readFileSync(stdout, 'utf8') + readFileSync(stderr, 'utf8')
}
/** Runs to its end; returns what it printed. */
const printed = async (command: readonly string[], change: Partial<ReleaseDefinition>): Promise<string> => {
  const { driver, exits } = await started()
  const record = recordWith(command, change)
  await spawn(driver, record)
  await exits.next()
  await driver.close()
  return outputOf(record)
}

/** Forks twice, leaves the session, clears its environment, ignores the stop, and says its pid. */
const leaver = (file: string, rest: string): readonly string[] => [
  'sh',
  '-c',
  `setsid -f env -i /bin/sh -c 'trap "" TERM; echo $$ >${file}; while :; do /bin/sleep 600; done'; ${rest}`,
]
const pidIn = async (file: string): Promise<number> => {
  await until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'))
  return Number(readFileSync(file, 'utf8'))
}

describe('process driver › groups', () => {
  it('ends at a stop what left its group and session and cleared its environment (S10)', async () => {
    const { driver, exits } = await started()
    const file = join(bed.folder, 'pid')
    const record = recordFor(leaver(file, 'exec sleep 600'))
    await spawn(driver, record)
    const pid = await pidIn(file)
    await driver.stop(record.instance, 'SIGTERM', 100)
    assert.ok(!lives(pid))
    assert.deepEqual(exits.all[0]?.[2], { code: null, signal: 'SIGTERM' })
    await driver.close()
  })

  it('ends it also when the program ends by itself, before its exit is told (S10)', async () => {
    const { driver, exits } = await started()
    const file = join(bed.folder, 'pid')
    const record = recordFor(leaver(file, `while [ ! -s ${file} ]; do sleep 0.01; done; exit 5`))
    await spawn(driver, record)
    const [, , exit] = await exits.next()
    assert.deepEqual(exit, { code: 5, signal: null })
    assert.ok(!lives(await pidIn(file)))
    await driver.close()
  })

  it('ends it at the next start of the peer when everything else had died while the peer was away (S10)', async () => {
    const before = await started()
    const file = join(bed.folder, 'pid')
    const record = recordFor(leaver(file, 'exec sleep 600'))
    const shim = (await spawn(before.driver, record)).pid
    const pid = await pidIn(file)
    await before.driver.close()
    process.kill(shim, 'SIGKILL')
    await until(() => !lives(shim))
    const { driver } = await started()
    assert.ok(!lives(pid))
    await driver.close()
  })

  it('tells a program that exits with 143 from one that SIGTERM ended', async () => {
    const { driver, exits } = await started()
    await spawn(driver, recordFor(['sh', '-c', 'exit 143'], { seat: 1 }))
    assert.deepEqual((await exits.next())[2], { code: 143, signal: null })
    await spawn(driver, recordFor(['sh', '-c', 'kill -TERM $$'], { seat: 2 }))
    assert.deepEqual((await exits.next())[2], { code: null, signal: 'SIGTERM' })
    await driver.close()
  })
})

describe('process driver › limits', () => {
  it('refuses forks beyond pids, opens no more files than nofile, and says of neither that it is missing', async () => {
    const { driver, exits } = await started()
    const fork = 'ulimit -n; for i in 1 2 3 4 5 6 7 8; do sleep 600 & done; echo all'
    const record = recordWith(['sh', '-c', fork], { pidsMax: 4, openFilesMax: 77, cpusMaxMilli: 500 })
    const { shortfall } = await spawn(driver, record)
    assert.equal(shortfall, '')
    await exits.next()
    assert.match(outputOf(record), /^77\n/)
    assert.match(outputOf(record), /fork/)
    assert.doesNotMatch(outputOf(record), /all/)
    await driver.close()
  })

  it('keeps an adopted instance in its limits', async () => {
    const before = await started()
    const record = recordWith(['sleep', '600'], { memoryMaxBytes: 64 * 1024 ** 2 })
    await spawn(before.driver, record)
    await before.driver.close()
    const { driver, adopted, exits } = await started()
    assert.notEqual(adopted[0]?.pid, null)
    const group = confinedIn(join(bed.folder, 'instances', 'runs', record.nonce)).groups.memory ?? ''
    await until(() => readFileSync(join(group, 'cgroup.procs'), 'utf8') !== '')
    await driver.stop(record.instance, 'SIGTERM', 5000)
    assert.deepEqual(exits.all[0]?.[2], { code: null, signal: 'SIGTERM' })
    await until(() => !existsSync(group))
    await driver.close()
  })

  it('tells want of memory also when it ended a child, and when nobody watched', async () => {
    const before = await started()
    const gate = join(bed.folder, 'gate')
    const hungry = 'dd if=/dev/zero of=/dev/null bs=1G count=1'
    const command = ['sh', '-c', `while [ ! -e ${gate} ]; do sleep 0.01; done; ${hungry}; exit 9`]
    const record = recordWith(command, { memoryMaxBytes: 32 * 1024 ** 2 })
    const { pid } = await spawn(before.driver, record)
    await before.driver.close()
    writeFileSync(gate, '')
    await until(() => !lives(pid))
    const told = join(bed.folder, 'instances', 'runs', record.nonce, 'told')
    const endedMs = statSync(told).mtimeMs
    for (let start = 0; start < 2; start += 1) {
      const { driver, adopted } = await started()
      assert.deepEqual(adopted[0]?.exit, { code: 9, signal: null, oomKilled: true })
      assert.ok(Math.abs(statSync(told).mtimeMs - endedMs) < 1, 'when it ended stays as it was')
      await driver.close()
    }
  })
})

describe('process driver › users', () => {
  it('runs as the user with its home, its own directory, and no way back', async () => {
    const script =
      'id -u; id -g; id -G; echo $HOME; touch mine && echo written; grep NoNewPrivs /proc/self/status'
    const lines = (await printed(['sh', '-c', script], { user: 'nobody' })).split('\n')
    assert.deepEqual(lines.slice(0, 5), ['65534', '65534', '65534', '/nonexistent', 'written'])
    assert.match(lines[5] ?? '', /1$/)
  })

  it('takes numbers, and refuses a user that the machine does not have, with nothing left behind', async () => {
    assert.equal(await printed(['sh', '-c', 'id -u; id -g'], { user: '12345:54321' }), '12345\n54321\n')
    const { driver } = await started()
    await assert.rejects(spawn(driver, recordWith(['true'], { user: 'no-such-user' })), {
      code: 'unknown',
      message: "user 'no-such-user' does not exist on peer 'a'; create it there or change user",
    })
    await assert.rejects(spawn(driver, recordWith(['true'], { user: 'nobody:no-such-group' })), {
      message: "group 'no-such-group' does not exist on peer 'a'; create it there or change user",
    })
    assert.deepEqual(
      replay(readFileSync(join(bed.folder, 'instances', 'records', 'log')))
        .records.map(({ record }) => record.slot)
        .filter((slot) => slot !== 'shop/web/0'),
      [],
    )
    await driver.close()
  })
})

describe('process driver › isolation', () => {
  const sandbox = { isolation: 'sandbox' } as const

  it('hides the machine: other files, other processes; leaves the working directory and the system', async () => {
    const script = `ls ${process.cwd()} 2>&1; ls /proc | grep -c '^[0-9]'; ls /tmp; touch mine && echo written; touch /etc/x 2>/dev/null || echo read-only; id -u`
    const output = await printed(['sh', '-c', script], { ...sandbox, user: 'nobody' })
    assert.match(output, /No such file/)
    const count = Number(/^(\d+)$/m.exec(output)?.[1])
    assert.ok(count < 10, `${count} processes are seen`)
    assert.match(output, /written\nread-only\n65534\n$/)
  })

  it('gives the program inside the stop signal and its grace', async () => {
    const { driver, exits } = await started()
    const script = `trap 'echo goodbye; exit 7' TERM; echo up; while :; do sleep 0.05; done`
    const record = recordWith(['sh', '-c', script], sandbox)
    await spawn(driver, record)
    await until(() => outputOf(record).includes('up'))
    await driver.stop(record.instance, 'SIGTERM', 10_000)
    assert.match(outputOf(record), /goodbye/)
    assert.deepEqual(exits.all[0]?.[2], { code: 7, signal: null })
    await driver.close()
  })
})

// Heirs of real processes: what test/contracts/heirs.ts cannot see from outside.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { InstanceRecord } from '../../../../../node/ports.ts'
import type { ProcessDriver } from '../../../../../node/act/drivers/process/driver.ts'
import { nonceOf, statOf } from '../../../../../node/act/drivers/process/identity.ts'
import { environmentFor, exitsOf, recordFor } from '../../../../contracts/driver.ts'
import { carriersOf, childrenOf, lives, makeBed, type Bed } from '../../support/bed.ts'
import { until } from '../../../../support/until.ts'

let bed: Bed

beforeEach(() => {
  bed = makeBed()
})
afterEach(async () => {
  await bed.cleanUp()
})

const started = async () => {
  const driver = bed.makeDriver()
  const exits = exitsOf()
  return { driver, exits, adopted: await driver.start(exits.events) }
}

const testator = (command: readonly string[]): InstanceRecord & { readonly heir: string } => {
  const record = recordFor(command)
  return { ...record, heir: `${record.nonce}-heir` }
}

const begin = async (
  driver: ProcessDriver,
  record: InstanceRecord,
  environment: Readonly<Record<string, string>> = {},
  next: Readonly<Record<string, string>> = {},
): Promise<number> => {
  const { pid } = await driver.spawn({ record, environment: { ...environmentFor(record), ...environment } })
  const armed = await driver.arm({
    record,
    environment: { ...environmentFor(record), TUTTI_NONCE: record.heir ?? '', ...next },
    condition: 'any',
    notBeforeMs: 0,
  })
  assert.ok(armed)
  return pid
}

const crash = async (pid: number): Promise<void> => {
  await until(() => childrenOf(pid).length > 0)
  for (const child of childrenOf(pid)) process.kill(child, 'SIGKILL')
}

const folderOf = (nonce: string): string => join(bed.folder, 'instances', 'runs', nonce)
const environmentOf = (pid: number): readonly string[] =>
  readFileSync(`/proc/${pid}/environ`, 'latin1')
    .split('\0')
    .filter((entry) => entry !== '')
const groupsOf = (pid: number): string => readFileSync(`/proc/${pid}/cgroup`, 'latin1')

describe('heirs of processes', () => {
  it('have their own environment and nothing of the one before, in the same process and the same groups', async () => {
    const { driver, exits } = await started()
    const record = testator(['sleep', '600'])
    const pid = await begin(
      driver,
      record,
      { OLD: 'gone', BOTH: 'a', R: 'r' },
      { BOTH: `it's "b" $HOME`, NEW: '' },
    )
    const before = { identity: statOf(pid)?.startTime, groups: groupsOf(pid) }
    assert.match(before.groups, /tutti-/)
    await crash(pid)
    const [, , , heir] = await exits.next()
    assert.equal(heir?.pid, pid)
    assert.equal(statOf(pid)?.startTime, before.identity)
    await until(() =>
      childrenOf(pid).some((child) => readFileSync(`/proc/${child}/comm`, 'latin1') === 'sleep\n'),
    )
    const [program = 0] = childrenOf(pid)
    for (const one of [pid, program]) {
      assert.equal(groupsOf(one), before.groups)
      const names = environmentOf(one).filter((entry) => !/^(PATH|PWD)=/.test(entry))
      assert.deepEqual(names.toSorted(), [`BOTH=it's "b" $HOME`, 'NEW=', `TUTTI_NONCE=${record.heir}`])
    }
    await driver.stop(record.instance, 'SIGKILL', 0)
    await driver.close()
  })

  it('make nothing but their claim when their time comes, and are confined as the run before', async () => {
    const { driver, exits } = await started()
    const record = testator(['sleep', '100'])
    const pid = await begin(driver, record)
    assert.deepEqual(readdirSync(folderOf(record.heir)).toSorted(), ['alive', 'told'])
    const [confined] = readFileSync(join(folderOf(record.nonce), 'told'), 'utf8').split('\n')
    await crash(pid)
    await exits.next()
    assert.deepEqual(readdirSync(folderOf(record.heir)).toSorted(), ['alive', 'claim', 'told'])
    const [first, second] = readFileSync(join(folderOf(record.heir), 'told'), 'utf8').split('\n')
    assert.equal(first, confined)
    assert.match(second ?? '', /^shim /)
    await driver.stop(record.instance, 'SIGKILL', 0)
    await driver.close()
  })

  it('keep no run directory but the present one', async () => {
    const { driver, exits } = await started()
    const record = testator(['sleep', '600'])
    const pid = await begin(driver, record)
    await crash(pid)
    await exits.next()
    const { heir, ...rest } = record
    await driver.update({ ...rest, nonce: heir, runs: 2 })
    assert.deepEqual(readdirSync(join(bed.folder, 'instances', 'runs')), [heir])
    await driver.stop(record.instance, 'SIGKILL', 0)
    await driver.forget(record.instance)
    assert.deepEqual(readdirSync(join(bed.folder, 'instances', 'runs')), [])
    await driver.close()
  })

  it('do not begin where somebody else has the claim, and the end is an ordinary one', async () => {
    const { driver, exits } = await started()
    const record = testator(['sleep', '600'])
    const pid = await begin(driver, record)
    writeFileSync(join(folderOf(record.heir), 'claim'), '')
    await crash(pid)
    const told = await exits.next()
    assert.deepEqual(told, [record.instance, record.nonce, { code: null, signal: 'SIGKILL' }])
    assert.deepEqual(carriersOf(record.heir), [])
    assert.ok(!lives(pid))
    await driver.close()
  })

  it('that cannot begin leave an ordinary end (S10)', async () => {
    const { driver, exits } = await started()
    const record = testator(['sleep', '600'])
    const pid = await begin(driver, record)
    // Claimed and then nowhere to go: its FIFO has been taken away.
    rmSync(join(folderOf(record.heir), 'alive'))
    mkdirSync(join(folderOf(record.heir), 'alive'))
    await crash(pid)
    const told = await exits.next()
    assert.deepEqual(told, [record.instance, record.nonce, { code: null, signal: 'SIGKILL' }])
    assert.deepEqual([...carriersOf(record.nonce), ...carriersOf(record.heir)], [])
    assert.ok(!existsSync(folderOf(record.heir)))
    await driver.close()
  })

  it('that a killed shim was to become do not begin', async () => {
    const { driver, exits } = await started()
    const record = testator(['sleep', '600'])
    const pid = await begin(driver, record)
    process.kill(pid, 'SIGKILL')
    const [, nonce, exit, heir] = await exits.next()
    assert.deepEqual([nonce, exit, heir], [record.nonce, { code: null, signal: null }, undefined])
    assert.deepEqual([...carriersOf(record.nonce), ...carriersOf(record.heir)], [])
    await driver.close()
  })

  it('that an earlier peer was taking back when it died do not begin', async () => {
    const before = await started()
    const record = testator(['sleep', '600'])
    const pid = await begin(before.driver, record)
    await before.driver.close()
    writeFileSync(join(folderOf(record.heir), 'claim'), '')
    const { driver, exits, adopted } = await started()
    assert.deepEqual(
      adopted.map((found) => [found.record.nonce, found.pid]),
      [[record.nonce, pid]],
    )
    assert.equal(nonceOf(pid), record.nonce)
    await crash(pid)
    await exits.next()
    assert.deepEqual(carriersOf(record.heir), [])
    await driver.close()
  })
})

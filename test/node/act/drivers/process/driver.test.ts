// The process driver on a real machine: what only real processes can show.

import assert from 'node:assert/strict'
import { spawn as spawnChild } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { InstanceRecord } from '../../../../../node/ports.ts'
import type { ProcessDriver } from '../../../../../node/act/drivers/process/driver.ts'
import { allPids, statOf } from '../../../../../node/act/drivers/process/identity.ts'
import { recordLine, replay } from '../../../../../node/act/drivers/process/record-log.ts'
import { directLauncher } from '../../../../../node/act/drivers/process/spawner.ts'
import { environmentFor, exitsOf, recordFor } from '../../../../contracts/driver.ts'
import { carriersOf, lives, makeBed, type Bed } from '../../support/bed.ts'
import { until } from '../../../../support/until.ts'

const host = join(import.meta.dirname, '../../support/host.ts')

let bed: Bed
let strangers: number[]

beforeEach(() => {
  bed = makeBed()
  strangers = []
})
afterEach(async () => {
  for (const pid of strangers) process.kill(pid, 'SIGKILL')
  await bed.cleanUp()
})

/** A process that is none of tutti's. */
const stranger = (): number => {
  const child = spawnChild('sleep', ['600'], { detached: true, stdio: 'ignore' })
  const { pid } = child
  assert.ok(pid !== undefined)
  strangers.push(pid)
  return pid
}

const started = async (driver = bed.makeDriver()) => {
  const exits = exitsOf()
  const adopted = await driver.start(exits.events)
  return { driver, exits, adopted }
}

const spawn = async (driver: ProcessDriver, record: InstanceRecord): Promise<number> =>
  (await driver.spawn({ record, environment: environmentFor(record) })).pid

const outputOf = (record: InstanceRecord): string =>
  readFileSync(bed.output.begin(record.instance).stdout, 'utf8')
const runFolder = (record: InstanceRecord): string => join(bed.folder, 'instances', 'runs', record.nonce)
const groupOf = (pid: number): number[] =>
  allPids().filter((other) => lives(other) && statOf(other)?.group === pid)

const lasting = ['sleep', '600']

describe('process driver › spawn', () => {
  it('gives exactly the environment, the arguments and the directory asked for', async () => {
    const { driver, exits } = await started()
    const odd = `it's $HOME "x"\n\\ *`
    const record = recordFor(['sh', '-c', 'env; pwd; printf "%s|" "$@"', 'sh', odd, ''])
    await driver.spawn({
      record,
      environment: { ...environmentFor(record), ODD: "a'b", D: 'd', S: 's', T: 't' },
    })
    await exits.next()
    const lines = outputOf(record)
    assert.ok(lines.includes(`ODD=a'b\n`))
    for (const name of ['D', 'S', 'T'])
      assert.ok(
        lines.includes(`\n${name}=${name.toLowerCase()}\n`) ||
          lines.startsWith(`${name}=${name.toLowerCase()}\n`),
      )
    assert.ok(lines.includes(`\n${driver.directories.workingOf(record.instance, record.definition)}\n`))
    // The line break is the output's: it ends what a run left without one.
    assert.ok(lines.endsWith(`${odd}||\n`))
    const names = [...lines.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name)
    // The shell that prints them adds its own PWD.
    assert.deepEqual(
      new Set(names.filter((name) => name !== 'PWD')),
      new Set(['D', 'ODD', 'PATH', 'S', 'T', 'TUTTI_NONCE']),
    )
    await driver.close()
  })

  it('is a session of its own that answers SIGINT', async () => {
    const { driver, exits } = await started()
    const record = recordFor(lasting)
    const pid = await spawn(driver, record)
    assert.equal(statOf(pid)?.group, pid)
    await until(() => groupOf(pid).length === 2)
    await driver.stop(record.instance, 'SIGINT', 5000)
    assert.deepEqual(exits.all[0]?.[2], { code: null, signal: 'SIGINT' })
    await driver.close()
  })

  it('works by a fork of the peer itself as well', async () => {
    const { driver, exits } = await started(bed.makeDriver(directLauncher))
    const record = recordFor(['sh', '-c', 'kill -QUIT $$'])
    await spawn(driver, record)
    assert.deepEqual((await exits.next())[2], { code: null, signal: 'SIGQUIT' })
    await driver.close()
  })

  it('gives a run the directory of one that is over, and each its own exit', async () => {
    const { driver, exits } = await started()
    const runs = new Set<number>()
    const codes = Array.from({ length: 40 }, (_, at) => at)
    for (const code of codes) {
      const record = recordFor(['sh', '-c', `exit ${code}`])
      await spawn(driver, record)
      runs.add(statSync(join(runFolder(record), 'alive')).ino)
      assert.deepEqual((await exits.next())[2], { code, signal: null })
      await driver.forget(record.instance)
    }
    assert.ok(runs.size < codes.length / 2, `${runs.size} directories`)
    await driver.close()
  })

  it('survives the death of the spawner, before and between spawns', async () => {
    const { driver, exits } = await started(bed.makeDriver(bed.launcher))
    const first = recordFor(lasting, { seat: 1 })
    const pid = await spawn(driver, first)
    const [spawner] = bed.launcher.spawnerPids
    assert.ok(spawner !== undefined)
    process.kill(spawner, 'SIGKILL')
    const second = recordFor(['sh', '-c', 'exit 7'], { seat: 2 })
    await spawn(driver, second)
    assert.deepEqual((await exits.next())[2], { code: 7, signal: null })
    assert.ok(lives(pid))
    await driver.stop(first.instance, 'SIGKILL', 0)
    await driver.close()
  })

  it('says in one sentence what is wrong with a command or a directory, and starts nothing', async () => {
    const { driver } = await started()
    const refused = async (command: string[], workingDir: string | null, message: RegExp): Promise<void> => {
      const record = recordFor(command)
      const asked = { ...record, definition: { ...record.definition, workingDir } }
      await assert.rejects(spawn(driver, asked), { name: 'TuttiError', code: 'unknown', message })
    }
    const file = join(bed.folder, 'plain')
    writeFileSync(file, '', { mode: 0o644 })
    await refused(['nothing-here'], null, /^command 'nothing-here' is not on the PATH of peer 'a'; install/)
    await refused(['./gone'], bed.folder, /^command '.\/gone' does not exist on peer 'a' \(looked for /)
    await refused(['./plain'], bed.folder, /^command '.\/plain' is not executable on peer 'a'; run chmod/)
    await refused(lasting, join(bed.folder, 'none'), /^working directory '.*none' does not exist on peer/)
    await refused(lasting, file, /^working directory '.*plain' is not a directory on peer/)
    assert.deepEqual(readdirSync(join(bed.folder, 'instances', 'runs')), [])
    await driver.close()
  })

  it('refuses what the kernel refuses', async () => {
    const { driver } = await started()
    const record = recordFor(lasting)
    // One string of an environment may be 128 KiB (MAX_ARG_STRLEN).
    const environment = { ...environmentFor(record), BIG: 'x'.repeat(200_000) }
    await assert.rejects(driver.spawn({ record, environment }), {
      code: 'refused',
      message: /could not be started/,
    })
    assert.deepEqual(carriersOf(record.nonce), [])
    await driver.close()
  })
})

describe('process driver › exits', () => {
  it('ends what a program leaves in its group, even without its environment', async () => {
    const { driver, exits } = await started()
    const record = recordFor(['sh', '-c', 'sleep 600 & env -i sleep 600 & exit 4'])
    const pid = await spawn(driver, record)
    assert.deepEqual((await exits.next())[2], { code: 4, signal: null })
    assert.deepEqual([groupOf(pid), carriersOf(record.nonce)], [[], []])
    await driver.close()
  })

  it('ends the program and tells an unknown exit when the shim is killed', async () => {
    const { driver, exits } = await started()
    const record = recordFor(lasting)
    const pid = await spawn(driver, record)
    await until(() => groupOf(pid).length === 2)
    process.kill(pid, 'SIGKILL')
    assert.deepEqual((await exits.next())[2], { code: null, signal: null })
    assert.deepEqual(carriersOf(record.nonce), [])
    await driver.close()
  })
})

describe('process driver › stop', () => {
  it('ends grandchildren that left the group and the session', async () => {
    const { driver } = await started()
    const record = recordFor(['sh', '-c', 'setsid sleep 600 & setsid -f sleep 600; echo up; exec sleep 600'])
    const pid = await spawn(driver, record)
    await until(() => outputOf(record).includes('up'))
    await until(() => carriersOf(record.nonce).length === 4)
    await driver.stop(record.instance, 'SIGTERM', 5000)
    assert.deepEqual([carriersOf(record.nonce), groupOf(pid)], [[], []])
    await driver.close()
  })

  it('gives the whole group its grace, not only the program', async () => {
    const { driver } = await started()
    // The child takes its time to say goodbye after its parent has ended.
    const child = `trap 'sleep 0.05; echo goodbye; exit' TERM; echo up; while :; do sleep 0.01; done`
    const record = recordFor(['sh', '-c', `sh -c "$CHILD" & exec sleep 600`])
    await driver.spawn({ record, environment: { ...environmentFor(record), CHILD: child } })
    await until(() => outputOf(record).includes('up'))
    await driver.stop(record.instance, 'SIGTERM', 10_000)
    assert.ok(outputOf(record).includes('goodbye'))
    await driver.close()
  })
})

describe('process driver › after a crash of the peer (S10)', () => {
  const hosted = async (point: string, nonce: string, command: readonly string[]) => {
    const arguments_ = ['--disable-warning=ExperimentalWarning', host, bed.folder, point, nonce, ...command]
    const child = spawnChild(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    return { child, exited, pid: Number((await lines.next()).value ?? 0) }
  }

  it('adopts after kill -9 of the peer, and tells the status when it ends later', async () => {
    const nonce = recordFor([]).nonce
    const gate = join(bed.folder, 'gate')
    const wait = 'while [ ! -e "$0" ]; do sleep 0.01; done; exit 42'
    const { child, exited, pid } = await hosted('never', nonce, ['sh', '-c', wait, gate])
    child.kill('SIGKILL')
    await exited
    const { driver, exits, adopted } = await started()
    assert.deepEqual([adopted[0]?.pid, adopted[0]?.exit], [pid, null])
    assert.ok((adopted[0]?.ageMs ?? -1) >= 0)
    writeFileSync(gate, '')
    assert.deepEqual((await exits.next())[2], { code: 42, signal: null })
    await driver.close()
  })

  it('tells the status of one that ended while the peer was away', async () => {
    const nonce = recordFor([]).nonce
    const gate = join(bed.folder, 'gate')
    const wait = 'while [ ! -e "$0" ]; do sleep 0.01; done; exit 42'
    const { child, exited, pid } = await hosted('never', nonce, ['sh', '-c', wait, gate])
    child.kill('SIGKILL')
    await exited
    writeFileSync(gate, '')
    await until(() => !lives(pid))
    const { driver, adopted } = await started()
    assert.deepEqual([adopted[0]?.pid, adopted[0]?.exit], [null, { code: 42, signal: null }])
    await driver.close()
  })

  for (const point of ['before-prepare', 'before-launch', 'after-launch']) {
    it(`orphans nothing when the peer dies ${point.replace('-', ' ')}`, async () => {
      const nonce = recordFor([]).nonce
      const { exited } = await hosted(point, nonce, lasting)
      await exited
      const { driver, adopted } = await started()
      // The record was there before anything was started; before it there are empty places at most.
      assert.deepEqual(
        adopted.map((found) => found.record.nonce),
        point === 'before-prepare' ? [] : [nonce],
      )
      const pid = adopted[0]?.pid ?? null
      const carriers = carriersOf(nonce)
      if (pid === null) assert.deepEqual(carriers, [])
      else assert.ok(carriers.every((carrier) => statOf(carrier)?.group === pid))
      await driver.stop(recordFor([]).instance, 'SIGKILL', 0)
      assert.deepEqual(carriersOf(nonce), [])
      await driver.close()
    })
  }
})

describe('process driver › adoption', () => {
  /** An instance that runs on, with no driver attached. */
  const abandoned = async (): Promise<{ record: InstanceRecord; pid: number }> => {
    const { driver } = await started()
    const record = recordFor(lasting)
    const pid = await spawn(driver, record)
    await until(() => groupOf(pid).length === 2)
    await driver.close()
    return { record, pid }
  }
  const assertEndedAndNotAdopted = async (record: InstanceRecord): Promise<void> => {
    const { driver, adopted } = await started()
    assert.ok(adopted.every((found) => found.pid === null))
    assert.deepEqual(carriersOf(record.nonce), [])
    await driver.close()
  }

  it('ends a run whose pid was never told, found by its nonce', async () => {
    const { record } = await abandoned()
    const told = join(runFolder(record), 'told')
    writeFileSync(told, readFileSync(told, 'utf8').replace(/^shim .*\n/m, ''))
    await assertEndedAndNotAdopted(record)
  })

  it('does not take a stranger with the recorded pid for its own', async () => {
    const { record } = await abandoned()
    const pid = stranger()
    appendFileSync(join(runFolder(record), 'told'), `shim ${pid} 1\n`)
    await assertEndedAndNotAdopted(record)
    assert.ok(lives(pid))
  })

  it('does not take a stranger even with the recorded start time: it carries no nonce', async () => {
    const { record } = await abandoned()
    const pid = stranger()
    appendFileSync(join(runFolder(record), 'told'), `shim ${pid} ${statOf(pid)?.startTime ?? ''}\n`)
    await assertEndedAndNotAdopted(record)
    assert.ok(lives(pid))
  })

  it('does not adopt across a boot', async () => {
    const { record } = await abandoned()
    const path = join(bed.folder, 'instances', 'records', 'log')
    const lines = replay(readFileSync(path)).records.map((stored) =>
      recordLine({ ...stored, boot: 'another' }),
    )
    writeFileSync(path, lines.join(''))
    await assertEndedAndNotAdopted(record)
  })

  it('sets a damaged record aside and ends what it named', async () => {
    const { record } = await abandoned()
    const path = join(bed.folder, 'instances', 'records', 'log')
    writeFileSync(path, readFileSync(path, 'latin1').replace('"format":1', '"format":7'), 'latin1')
    const { driver, adopted } = await started()
    assert.deepEqual([adopted, carriersOf(record.nonce)], [[], []])
    assert.ok(existsSync(`${path}.damaged`))
    await driver.close()
  })

  it('ends the program of a shim that died while the peer was away', async () => {
    const { record, pid } = await abandoned()
    process.kill(pid, 'SIGKILL')
    await until(() => !lives(pid))
    await assertEndedAndNotAdopted(record)
  })

  it('never starts the program of a run that was given up', async () => {
    const { driver } = await started()
    const record = recordFor(['sh', '-c', 'echo ran'])
    // A launch that is still on its way when the next peer starts: its directory has been moved by then.
    const late = recordFor(['sh', '-c', 'echo ran'], { nonce: record.nonce })
    mkdirSync(runFolder(late))
    await driver.close()
    const next = await started()
    const shim = join(import.meta.dirname, '../../../../../node/act/drivers/process/shim.sh')
    const child = spawnChild('/bin/sh', [shim, runFolder(late), '', 'sh', '-c', 'echo ran'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [code] = await once(child, 'exit')
    assert.notEqual(code, 0)
    assert.equal(child.stdout.read(), null)
    await next.driver.close()
  })

  it('adopts many', async () => {
    const { driver } = await started()
    const records = Array.from({ length: 20 }, (_, seat) => recordFor(lasting, { seat }))
    await Promise.all(records.map(async (record) => await spawn(driver, record)))
    await driver.close()
    const next = await started()
    assert.equal(next.adopted.filter((found) => found.pid !== null).length, 20)
    await Promise.all(records.map(async ({ instance }) => await next.driver.stop(instance, 'SIGTERM', 5000)))
    assert.equal(next.exits.all.length, 20)
    await next.driver.close()
  })
})

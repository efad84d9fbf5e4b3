// What every Driver must do, as a suite that takes a way to make one. Programs are named by what they do; each driver's
// test says which command words do that there.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { instanceIdOf, serviceIdOf, slotIdOf, type InstanceId, type ReleaseId } from '../../lib/ids.ts'
import type { Adopted, Driver, DriverEvents, InstanceRecord } from '../../node/ports.ts'

/** Command words for what the suite needs done. */
export interface ContractPrograms {
  /** Runs until stopped, and obeys a stop. */
  readonly lasting: readonly string[]
  /** Ends with status 3, soon. */
  readonly exits3: readonly string[]
  /** Ends with status 0, in time to be armed before. */
  readonly exits0: readonly string[]
  /** Runs until stopped, and leaves a process behind when it crashes; deaf to what `deafened` waits for. */
  readonly leaves: readonly string[]
  /** Runs until killed. */
  readonly deaf: readonly string[]
  /** Cannot be spawned. */
  readonly broken: readonly string[]
  /** Takes more memory than HUNGRY_MAX_BYTES once it is fed. */
  readonly hungry: readonly string[]
}

/** The limit that a hungry program goes over. */
export const HUNGRY_MAX_BYTES = 32 * 1024 ** 2

/** One place where instances run; drivers come and go on it. */
export interface DriverBed {
  readonly programs: ContractPrograms
  readonly makeDriver: () => Driver
  /** Whether a process of that pid lives. */
  readonly lives: (pid: number) => boolean
  /** Monotonic milliseconds, on the driver's clock. */
  readonly now: () => number
  /** Lets time pass until the promise resolves: really, or by turning a simulated clock. */
  readonly settle: <T>(promise: Promise<T>) => Promise<T>
  /** Resolves when a deaf program is deaf, so that a stop meets what the test means. */
  readonly deafened: (instance: InstanceId) => Promise<void>
  /** From now on hungry programs take what they want. */
  readonly feed: () => void
  /** Ends the program of a run by SIGKILL, and nothing else of it. */
  readonly crash: (pid: number) => Promise<void>
  /** Resolves when the successor of that nonce has followed the run. */
  readonly followed: (pid: number, nonce: string) => Promise<void>
  readonly cleanUp: () => Promise<void>
}

/** A watchdog counts in hundredths of a second and rounds towards an earlier end. */
const EARLY_MS = 50

let nonces = 0

/** A record of seat `seat` that runs `command`. */
export const recordFor = (
  command: readonly string[],
  change: Partial<InstanceRecord> & { readonly seat?: number } = {},
): InstanceRecord => {
  const { seat = 0, ...rest } = change
  const service = serviceIdOf('shop', 'web')
  const slot = slotIdOf(service, seat)
  const release = 'abcdef012345' as ReleaseId
  nonces += 1
  return {
    instance: instanceIdOf(slot, release),
    slot,
    service,
    release,
    cpusMilli: 100,
    memoryBytes: 1024,
    ports: {},
    runs: 1,
    failuresInARow: 0,
    draining: false,
    nonce: `nonce-${process.pid}-${Date.now()}-${nonces}`,
    definition: {
      command: [...command],
      workingDir: null,
      environment: {},
      ports: {},
      healthcheck: null,
      uses: [],
      stopSignal: 'SIGTERM',
      stopGraceMs: 1000,
      memoryMaxBytes: null,
      cpusMaxMilli: null,
      pidsMax: null,
      openFilesMax: null,
      user: null,
      isolation: 'none',
      restartToken: '',
    },
    ...rest,
  }
}

/** What a process is given in these tests. */
export const environmentFor = (record: InstanceRecord): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  TUTTI_NONCE: record.nonce,
})

/** An end; the successor, where one has followed. */
type Exited = Parameters<DriverEvents['exited']> | Parameters<DriverEvents['succeeded']>

/** Exits as something to wait for. */
export const exitsOf = (): {
  readonly events: DriverEvents
  readonly all: readonly Exited[]
  readonly next: () => Promise<Exited>
} => {
  const all: Exited[] = []
  const waiting: ((exited: Exited) => void)[] = []
  let told = 0
  const tell = (...exited: Exited): void => {
    all.push(exited)
    waiting.shift()?.(exited)
  }
  return {
    events: {
      exited: tell,
      succeeded: tell,
    },
    all,
    next: async () => {
      const at = told
      told += 1
      return all[at] ?? (await new Promise((resolve) => waiting.push(resolve)))
    },
  }
}

/** Runs the suite. */
export const driverContract = (name: string, makeBed: () => Promise<DriverBed>): void => {
  describe(`driver contract › ${name}`, () => {
    let bed: DriverBed
    beforeEach(async () => {
      bed = await makeBed()
    })
    afterEach(async () => {
      await bed.cleanUp()
    })
    const spawn = async (driver: Driver, record: InstanceRecord): Promise<number> => {
      const { pid } = await bed.settle(driver.spawn({ record, environment: environmentFor(record) }))
      return pid
    }
    const started = async (): Promise<{ driver: Driver; exits: ReturnType<typeof exitsOf> }> => {
      const driver = bed.makeDriver()
      const exits = exitsOf()
      assert.deepEqual(await bed.settle(driver.start(exits.events)), [])
      return { driver, exits }
    }
    const adopt = async (): Promise<{
      driver: Driver
      exits: ReturnType<typeof exitsOf>
      adopted: readonly Adopted[]
    }> => {
      const driver = bed.makeDriver()
      const exits = exitsOf()
      return { driver, exits, adopted: await bed.settle(driver.start(exits.events)) }
    }

    it('ends a run whose lease is over, however deaf it is (S9)', async () => {
      const { driver, exits } = await started()
      const record = recordFor(bed.programs.deaf, { fence: 7 })
      const lease = { token: 7, untilMs: bed.now() + 1000 }
      await bed.settle(driver.spawn({ record, environment: environmentFor(record), lease }))
      const [instance, , exit] = await bed.settle(exits.next())
      assert.deepEqual([instance, exit.code, exit.signal], [record.instance, null, 'SIGKILL'])
      assert.ok(bed.now() >= lease.untilMs - EARLY_MS, 'it was ended before its lease was over')
      await bed.settle(driver.close())
    })

    it('lets a run live for as long as its lease is renewed (S9)', async () => {
      const { driver, exits } = await started()
      const record = recordFor(bed.programs.deaf, { fence: 7 })
      const lease = { token: 7, untilMs: bed.now() + 1500 }
      await bed.settle(driver.spawn({ record, environment: environmentFor(record), lease }))
      const longer = { token: 8, untilMs: lease.untilMs + 1000 }
      driver.extend(record.instance, longer)
      await bed.settle(exits.next())
      assert.ok(bed.now() >= longer.untilMs - EARLY_MS, 'it was ended before its lease was over')
      await bed.settle(driver.close())
    })

    it('tells an exit with its status and the nonce of the spawn', async () => {
      const { driver, exits } = await started()
      const record = recordFor(bed.programs.exits3)
      await spawn(driver, record)
      const [instance, nonce, exit] = await bed.settle(exits.next())
      assert.deepEqual([instance, nonce, exit], [record.instance, record.nonce, { code: 3, signal: null }])
      await bed.settle(driver.close())
    })

    it('stops with the signal and resolves when the process is gone', async () => {
      const { driver, exits } = await started()
      const record = recordFor(bed.programs.lasting)
      const pid = await spawn(driver, record)
      assert.ok(bed.lives(pid))
      await bed.settle(driver.stop(record.instance, 'SIGTERM', 5000))
      assert.ok(!bed.lives(pid))
      assert.deepEqual(exits.all, [[record.instance, record.nonce, { code: null, signal: 'SIGTERM' }]])
      await bed.settle(driver.close())
    })

    it('kills what ignores the signal, after the grace', async () => {
      const { driver, exits } = await started()
      const record = recordFor(bed.programs.deaf)
      const pid = await spawn(driver, record)
      await bed.deafened(record.instance)
      await bed.settle(driver.stop(record.instance, 'SIGTERM', 50))
      assert.ok(!bed.lives(pid))
      assert.deepEqual(exits.all, [[record.instance, record.nonce, { code: null, signal: 'SIGKILL' }]])
      await bed.settle(driver.close())
    })

    it('stops what is not running by doing nothing', async () => {
      const { driver, exits } = await started()
      await bed.settle(driver.stop(recordFor([]).instance, 'SIGTERM', 1000))
      const record = recordFor(bed.programs.exits3)
      await spawn(driver, record)
      await bed.settle(exits.next())
      await bed.settle(driver.stop(record.instance, 'SIGTERM', 1000))
      assert.equal(exits.all.length, 1)
      await bed.settle(driver.close())
    })

    it('refuses with a sentence what cannot be spawned, and nothing runs', async () => {
      const { driver } = await started()
      const record = recordFor(bed.programs.broken)
      await assert.rejects(spawn(driver, record), { name: 'TuttiError', message: /^command '.+' is not on/ })
      await bed.settle(driver.close())
      const again = await adopt()
      assert.deepEqual(
        again.adopted.filter(({ pid }) => pid !== null),
        [],
      )
      await bed.settle(again.driver.close())
    })

    it('runs an instance again after its exit, with another nonce', async () => {
      const { driver, exits } = await started()
      const first = recordFor(bed.programs.exits3)
      await spawn(driver, first)
      await bed.settle(exits.next())
      const second = recordFor(bed.programs.exits3, { runs: 2 })
      await spawn(driver, second)
      await bed.settle(exits.next())
      assert.deepEqual(
        exits.all.map(([, nonce]) => nonce),
        [first.nonce, second.nonce],
      )
      await bed.settle(driver.close())
    })

    it('adopts after it let go, and tells and stops adopted ones like its own (S10)', async () => {
      const before = await started()
      const record = recordFor(bed.programs.lasting)
      const pid = await spawn(before.driver, record)
      await bed.settle(before.driver.close())
      assert.ok(bed.lives(pid))
      const { driver, exits, adopted } = await adopt()
      assert.deepEqual(
        adopted.map((found) => [found.record, found.pid, found.exit]),
        [[record, pid, null]],
      )
      await bed.settle(driver.stop(record.instance, 'SIGTERM', 5000))
      assert.ok(!bed.lives(pid))
      assert.deepEqual(exits.all, [[record.instance, record.nonce, { code: null, signal: 'SIGTERM' }]])
      await bed.settle(driver.close())
    })

    it('reports with its status what ended while nobody watched', async () => {
      const before = await started()
      const record = recordFor(bed.programs.exits3)
      await spawn(before.driver, record)
      await bed.settle(before.exits.next())
      await bed.settle(before.driver.close())
      const { driver, adopted, exits } = await adopt()
      const [{ endedAgoMs = -1, ...found } = {}] = adopted
      assert.deepEqual(found, { record, pid: null, exit: { code: 3, signal: null } })
      assert.ok(endedAgoMs >= 0, 'when it ended is known too')
      assert.equal(adopted.length, 1)
      assert.deepEqual(exits.all, [])
      await bed.settle(driver.close())
    })

    it('tells an end for want of memory apart from any other, after each start of the peer', async () => {
      const { driver, exits } = await started()
      const record = recordFor(bed.programs.hungry)
      const limited = {
        ...record,
        definition: { ...record.definition, memoryMaxBytes: HUNGRY_MAX_BYTES },
      }
      await spawn(driver, limited)
      bed.feed()
      const [, , exit] = await bed.settle(exits.next())
      assert.deepEqual(exit, { code: null, signal: 'SIGKILL', oomKilled: true })
      await bed.settle(driver.close())
      for (let start = 0; start < 2; start += 1) {
        const later = await adopt()
        assert.deepEqual(later.adopted[0]?.exit, exit)
        await bed.settle(later.driver.close())
      }
    })

    it('does not take its own kill for want of memory', async () => {
      const { driver, exits } = await started()
      const record = recordFor(bed.programs.lasting)
      const limited = {
        ...record,
        definition: { ...record.definition, memoryMaxBytes: HUNGRY_MAX_BYTES },
      }
      await spawn(driver, limited)
      await bed.settle(driver.stop(record.instance, 'SIGKILL', 0))
      assert.deepEqual(exits.all[0]?.[2], { code: null, signal: 'SIGKILL' })
      await bed.settle(driver.close())
    })

    it('keeps what update wrote', async () => {
      const before = await started()
      const record = recordFor(bed.programs.lasting)
      await spawn(before.driver, record)
      await bed.settle(before.driver.update({ ...record, draining: true }))
      await bed.settle(before.driver.close())
      const { driver, adopted } = await adopt()
      assert.equal(adopted[0]?.record.draining, true)
      await bed.settle(driver.stop(record.instance, 'SIGKILL', 0))
      await bed.settle(driver.close())
    })

    it('forgets for good', async () => {
      const before = await started()
      const record = recordFor(bed.programs.exits3)
      await spawn(before.driver, record)
      await bed.settle(before.exits.next())
      await bed.settle(before.driver.forget(record.instance))
      await bed.settle(before.driver.close())
      const { driver, adopted } = await adopt()
      assert.deepEqual(adopted, [])
      await bed.settle(driver.close())
    })
  })
}

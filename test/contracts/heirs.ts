// What every Driver must do about successors that are prepared ahead, as a suite beside driver.ts's and over the same beds.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Adopted, Driver, HeirRequest, InstanceRecord } from '../../node/ports.ts'
import { environmentFor, exitsOf, HUNGRY_MAX_BYTES, recordFor, type DriverBed } from './driver.ts'

// Enough that a stop meets the program alive, ending, ended, and its heir beginning.
const RACES = 25

type Exits = ReturnType<typeof exitsOf>

/** A record that names the nonce of its successor. */
const testatorFor = (
  command: readonly string[],
  change: Partial<InstanceRecord> & { readonly seat?: number } = {},
): InstanceRecord & { readonly heir: string } => {
  const record = recordFor(command, change)
  return { ...record, heir: `${record.nonce}-heir` }
}

/** The record that its successor has. */
const heirOf = ({ heir, ...record }: InstanceRecord & { readonly heir: string }): InstanceRecord => ({
  ...record,
  nonce: heir,
  runs: record.runs + 1,
})

/** Runs the suite. */
export const heirContract = (name: string, makeBed: () => Promise<DriverBed>): void => {
  describe(`heir contract › ${name}`, () => {
    let bed: DriverBed
    beforeEach(async () => {
      bed = await makeBed()
    })
    afterEach(async () => {
      await bed.cleanUp()
    })
    const start = async (): Promise<{
      driver: Driver
      exits: Exits
      adopted: readonly Adopted[]
    }> => {
      const driver = bed.makeDriver()
      const exits = exitsOf()
      return { driver, exits, adopted: await bed.settle(driver.start(exits.events)) }
    }
    const arm = async (
      driver: Driver,
      record: InstanceRecord,
      terms: Partial<Pick<HeirRequest, 'condition' | 'notBeforeMs'>> = {},
    ): Promise<void> => {
      const environment = { ...environmentFor(record), TUTTI_NONCE: record.heir ?? '' }
      const request = { record, environment, condition: 'any', notBeforeMs: 0, ...terms } as const
      assert.equal(await bed.settle(driver.arm(request)), true, 'it is armed')
    }
    /** Spawns and arms; resolves with the pid. */
    const begin = async (driver: Driver, record: InstanceRecord): Promise<number> => {
      const { pid } = await bed.settle(driver.spawn({ record, environment: environmentFor(record) }))
      await arm(driver, record)
      return pid
    }
    const killed = { code: null, signal: 'SIGKILL' }

    it('follows an end at once, and tells both as one', async () => {
      const { driver, exits } = await start()
      const record = testatorFor(bed.programs.lasting)
      const pid = await begin(driver, record)
      await bed.crash(pid)
      const [instance, nonce, exit, heir] = await bed.settle(exits.next())
      assert.deepEqual([instance, nonce, exit], [record.instance, record.nonce, killed])
      assert.equal(heir?.nonce, record.heir)
      assert.ok(bed.lives(heir.pid))
      await bed.settle(driver.stop(record.instance, 'SIGTERM', 5000))
      assert.ok(!bed.lives(heir.pid))
      assert.deepEqual(exits.all.at(-1), [record.instance, record.heir, { code: null, signal: 'SIGTERM' }])
      await bed.settle(driver.close())
    })

    it('follows one after the other, each armed anew', async () => {
      const { driver, exits } = await start()
      const first = testatorFor(bed.programs.lasting)
      await bed.crash(await begin(driver, first))
      const [, , , heir] = await bed.settle(exits.next())
      const second = { ...heirOf(first), heir: `${first.heir}-heir` }
      await bed.settle(driver.update(second))
      await arm(driver, second)
      await bed.crash(heir?.pid ?? 0)
      const [, nonce, , third] = await bed.settle(exits.next())
      assert.deepEqual([nonce, third?.nonce], [second.nonce, second.heir])
      await bed.settle(driver.stop(first.instance, 'SIGKILL', 0))
      await bed.settle(driver.close())
    })

    it('has no successor for what is not armed, nor for one that followed', async () => {
      const { driver, exits } = await start()
      const record = testatorFor(bed.programs.exits3)
      await begin(driver, record)
      const ends = [await bed.settle(exits.next()), await bed.settle(exits.next())]
      assert.deepEqual(
        ends.map(([, nonce, exit, heir]) => [nonce, exit.code, heir?.nonce]),
        [
          [record.nonce, 3, record.heir],
          [record.heir, 3, undefined],
        ],
      )
      await bed.settle(driver.close())
    })

    it('follows a failure alone where it is told so', async () => {
      const { driver, exits } = await start()
      for (const [seat, command] of [bed.programs.exits0, bed.programs.exits3].entries()) {
        const record = testatorFor(command, { seat })
        await bed.settle(driver.spawn({ record, environment: environmentFor(record) }))
        await arm(driver, record, { condition: 'on-failure' })
        const [, , exit, heir] = await bed.settle(exits.next())
        assert.deepEqual([exit.code, heir?.nonce], seat === 0 ? [0, undefined] : [3, record.heir])
      }
      await bed.settle(exits.next())
      await bed.settle(driver.close())
    })

    it('follows no end before its time', async () => {
      const { driver, exits } = await start()
      const record = testatorFor(bed.programs.lasting)
      const { pid } = await bed.settle(driver.spawn({ record, environment: environmentFor(record) }))
      await arm(driver, record, { notBeforeMs: 600_000 })
      await bed.crash(pid)
      assert.deepEqual(await bed.settle(exits.next()), [record.instance, record.nonce, killed])
      await bed.settle(driver.close())
    })

    it('is taken back, and armed again', async () => {
      const { driver, exits } = await start()
      const record = testatorFor(bed.programs.lasting)
      const pid = await begin(driver, record)
      assert.equal(await bed.settle(driver.disarm(record.instance)), true)
      await arm(driver, record)
      assert.equal(await bed.settle(driver.disarm(record.instance)), true)
      assert.equal(await bed.settle(driver.disarm(record.instance)), true, 'once more changes nothing')
      await bed.crash(pid)
      assert.deepEqual(await bed.settle(exits.next()), [record.instance, record.nonce, killed])
      await bed.settle(driver.close())
    })

    it('never outlives a stop, however close the crash (S10)', async () => {
      const { driver, exits } = await start()
      for (let race = 0; race < RACES; race += 1) {
        const record = testatorFor(bed.programs.lasting, { seat: race })
        const pid = await begin(driver, record)
        const crash = bed.crash(pid)
        // A step further each time, so that the stop comes at every point of the succession.
        for (let turn = 0; turn < race; turn += 1) await bed.settle(Promise.resolve())
        await bed.settle(Promise.all([crash, driver.stop(record.instance, 'SIGKILL', 0)]))
        assert.ok(!bed.lives(pid), `race ${race}: nothing lives`)
        const told = exits.all.filter(([instance]) => instance === record.instance)
        const [, nonce, , heir] = told.at(-1) ?? []
        assert.equal(heir, undefined, `race ${race}: the last word is an end`)
        assert.equal(nonce, told.length === 1 ? record.nonce : record.heir)
        await bed.settle(driver.forget(record.instance))
      }
      await bed.settle(driver.close())
      const { adopted, driver: next } = await start()
      assert.deepEqual(adopted, [])
      await bed.settle(next.close())
    })

    it('waits for its peer where something of the run is left', async () => {
      const { driver, exits } = await start()
      const record = testatorFor(bed.programs.leaves)
      const pid = await begin(driver, record)
      await bed.deafened(record.instance)
      await bed.crash(pid)
      assert.deepEqual(await bed.settle(exits.next()), [record.instance, record.nonce, killed])
      assert.ok(!bed.lives(pid))
      await bed.settle(driver.close())
    })

    it('follows although nobody watches; the next driver adopts it and knows how the run before it ended (S10)', async () => {
      const before = await start()
      const record = testatorFor(bed.programs.lasting)
      const pid = await begin(before.driver, record)
      await bed.settle(before.driver.close())
      await bed.crash(pid)
      await bed.followed(pid, record.heir)
      const { driver, exits, adopted } = await start()
      assert.deepEqual(
        adopted.map((found) => [found.record, found.exit, found.inherited?.exit]),
        [[heirOf(record), null, killed]],
      )
      const [found] = adopted
      assert.ok(bed.lives(found?.pid ?? 0))
      await bed.settle(driver.stop(record.instance, 'SIGTERM', 5000))
      assert.deepEqual(exits.all, [[record.instance, record.heir, { code: null, signal: 'SIGTERM' }]])
      await bed.settle(driver.close())
    })

    it('tells both ends where the successor ended as well while nobody watched', async () => {
      const before = await start()
      const record = testatorFor(bed.programs.exits3)
      await begin(before.driver, record)
      await bed.settle(before.exits.next())
      await bed.settle(before.exits.next())
      await bed.settle(before.driver.close())
      const { driver, adopted } = await start()
      assert.deepEqual(
        adopted.map(({ record: found, pid, exit, inherited }) => [found, pid, exit, inherited?.exit.code]),
        [[heirOf(record), null, { code: 3, signal: null }, 3]],
      )
      await bed.settle(driver.close())
    })

    it('is taken back by the next driver, whose word it then waits for', async () => {
      const before = await start()
      const record = testatorFor(bed.programs.lasting)
      const pid = await begin(before.driver, record)
      await bed.settle(before.driver.close())
      const { driver, exits, adopted } = await start()
      assert.deepEqual(
        adopted.map((found) => [found.record.nonce, found.pid, found.inherited]),
        [[record.nonce, pid, undefined]],
      )
      await bed.crash(pid)
      assert.deepEqual(await bed.settle(exits.next()), [record.instance, record.nonce, killed])
      await bed.settle(driver.close())
    })

    it('tells each end for want of memory as the run’s own', async () => {
      const { driver, exits } = await start()
      const plain = testatorFor(bed.programs.hungry)
      const definition = { ...plain.definition, memoryMaxBytes: HUNGRY_MAX_BYTES }
      const record = { ...plain, definition }
      await begin(driver, record)
      bed.feed()
      const ends = [await bed.settle(exits.next()), await bed.settle(exits.next())]
      assert.deepEqual(
        ends.map(([, nonce, exit]) => [nonce, exit.oomKilled]),
        [
          [record.nonce, true],
          [record.heir, true],
        ],
      )
      await bed.settle(driver.close())
    })
  })
}

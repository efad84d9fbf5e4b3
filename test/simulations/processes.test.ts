// The scripted driver under the contract that every driver keeps, on a clock that the test turns.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ScriptedHands } from '../../simulations/hands.ts'
import { ScriptedDriver, ScriptedMachine, scriptOf } from '../../simulations/processes.ts'
import { driverContract, type DriverBed } from '../contracts/driver.ts'
import { heirContract } from '../contracts/heirs.ts'
import { turnedClock } from '../contracts/turned-clock.ts'
import { startOf } from '../node/act/support/actions.ts'

const scriptedBed = async (): Promise<DriverBed> => {
  const clock = turnedClock()
  const machine = new ScriptedMachine(clock)
  return {
    programs: {
      lasting: ['run'],
      exits3: ['run', 'exit=3@1s'],
      exits0: ['run', 'exit=0@1s'],
      leaves: ['run', 'forks'],
      deaf: ['run', 'deaf'],
      broken: ['broken'],
      hungry: ['run', 'hungry=1s'],
    },
    makeDriver: () => new ScriptedDriver(machine),
    lives: (pid) => machine.processes().some((process) => process.pid === pid && process.exit === null),
    now: () => clock.now(),
    settle: async (promise) => {
      const turning = { settled: false }
      const done = promise.finally(() => {
        turning.settled = true
      })
      // A rejection is the caller's to see; here it only ends the turning.
      done.catch(() => undefined)
      for (let turn = 0; turn < 100 && !turning.settled; turn += 1) {
        await new Promise((resolve) => {
          setImmediate(resolve)
        })
        if (!turning.settled) clock.turn(100)
      }
      return await done
    },
    deafened: async () => undefined,
    feed: () => undefined,
    crash: async (pid) => {
      const process = machine.processes().find((one) => one.pid === pid && one.exit === null)
      if (process !== undefined) machine.kill(process.record.instance)
    },
    followed: async () => undefined,
    cleanUp: async () => undefined,
  }
}

driverContract('scripted', scriptedBed)
heirContract('scripted', scriptedBed)

const bed = () => {
  const clock = turnedClock()
  const machine = new ScriptedMachine(clock)
  const hands = new ScriptedHands(machine)
  return { clock, machine, hands }
}

describe('scriptOf', () => {
  it('reads the words that it knows and ignores others', () => {
    assert.deepEqual(scriptOf(['node', 'ready=200ms', 'exit=3@1s', 'unwell=5s..8s', 'stop=300ms']), {
      readyAfterMs: 200,
      exit: { code: 3, afterMs: 1000 },
      unwell: { fromMs: 5000, toMs: 8000 },
      stopMs: 300,
      hungryAfterMs: null,
      hangsAfterMs: null,
      broken: false,
      forks: false,
    })
  })
})

describe('scripted hands', () => {
  it('becomes ready when the script says so, restarts, drains, stops and forgets', async () => {
    const { clock, hands } = bed()
    await hands.start({ changed: () => undefined })
    const start = startOf(['run', 'ready=200ms'], { ports: { http: 0 } })
    hands.execute([start, start])
    const look = () => hands.observe()[0]
    clock.turn(199)
    assert.deepEqual(
      [look()?.phase, look()?.probe.everOk, look()?.ports],
      ['running', false, { http: 20_000 }],
    )
    clock.turn(1)
    assert.equal(look()?.probe.everOk, true)
    const { instance } = start
    hands.execute([{ kind: 'drain', instance, reason: '' }])
    assert.equal(look()?.draining, true)
    hands.execute([{ kind: 'stop', instance, signal: 'SIGTERM', graceMs: 1000, reason: '' }])
    assert.equal(look()?.phase, 'stopping')
    clock.turn(1)
    assert.deepEqual([look()?.phase, look()?.exit?.signal, look()?.failuresInARow], ['exited', 'SIGTERM', 0])
    hands.execute([{ kind: 'forget', instance, reason: '' }])
    assert.equal(look(), undefined)
  })

  it('counts failures in a row and forgives them after a stable run', async () => {
    const { clock, hands } = bed()
    await hands.start({ changed: () => undefined })
    const start = startOf(['run', 'exit=1@5s'])
    hands.execute([start])
    clock.turn(5000)
    assert.equal(hands.observe()[0]?.failuresInARow, 1)
    hands.execute([{ kind: 'restart', instance: start.instance, reason: '' }])
    clock.turn(5000)
    assert.deepEqual([hands.observe()[0]?.failuresInARow, hands.observe()[0]?.runs], [2, 2])
  })

  it('leaves processes running when closed, and adopts them', async () => {
    const { clock, machine, hands } = bed()
    await hands.start({ changed: () => undefined })
    hands.execute([startOf(['run', 'ready=1s'], { ports: { http: 0 } })])
    clock.turn(2000)
    await hands.close()
    const next = new ScriptedHands(machine)
    await next.start({ changed: () => undefined })
    const found = next.observe()[0]
    assert.deepEqual([found?.phase, found?.probe.everOk, found?.startedAtMs], ['running', true, 0])
  })

  it('shows what cannot be spawned as broken', async () => {
    const { hands } = bed()
    await hands.start({ changed: () => undefined })
    hands.execute([startOf(['broken'])])
    assert.deepEqual(
      [hands.observe()[0]?.phase, hands.observe()[0]?.error],
      ['broken', "command 'broken' is not on the PATH"],
    )
  })
})

// The hands of simulated peers: the contract of all hands, and the probes that they imitate.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Healthcheck } from '../../crdt/schema/service.ts'
import { livenessFailure } from '../../node/plan/health.ts'
import { ScriptedHands } from '../../simulations/hands.ts'
import { ScriptedMachine } from '../../simulations/processes.ts'
import { recordFor } from '../contracts/driver.ts'
import { handsContract } from '../contracts/hands.ts'
import { turnedClock } from '../contracts/turned-clock.ts'

handsContract('scripted', (machine) => new ScriptedHands(machine))

describe('scripted hands › liveness', () => {
  const liveness: Healthcheck = {
    kind: 'command',
    command: ['alive'],
    intervalMs: 1000,
    timeoutMs: 500,
    retries: 3,
    startPeriodMs: 0,
  }
  const startWith = async (command: readonly string[]) => {
    const clock = turnedClock()
    const hands = new ScriptedHands(new ScriptedMachine(clock))
    await hands.start({ changed: () => undefined })
    const { definition, ...record } = recordFor(command)
    hands.execute([
      { kind: 'start', proofMs: 0, reason: '', ...record, definition: { ...definition, liveness } },
    ])
    const failure = (): string | null => {
      const [facts] = hands.observe()
      return facts === undefined ? null : livenessFailure(facts, clock.now())
    }
    return { clock, hands, failure }
  }

  it('fails once the program hangs, an interval apart, and is asked no more after the end', async () => {
    const { clock, hands, failure } = await startWith(['run', 'hangs=5s'])
    clock.turn(6999)
    assert.equal(failure(), null)
    clock.turn(1)
    assert.equal(failure(), 'liveness failed 3 times in a row: hangs')
    const [{ id } = assert.fail('one instance')] = hands.observe()
    hands.execute([
      { kind: 'stop', instance: id, signal: 'SIGTERM', graceMs: 1000, reason: '', failure: 'hangs' },
    ])
    clock.turn(5000)
    assert.deepEqual([hands.observe()[0]?.phase, hands.observe()[0]?.liveness?.failedInARow], ['exited', 3])
  })

  it('never fails where the program does not hang', async () => {
    const { clock, failure } = await startWith(['run'])
    clock.turn(60_000)
    assert.equal(failure(), null)
  })
})

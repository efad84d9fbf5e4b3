// What all Hands must do, the real executor as well as those of the simulations, as one suite over scripted processes: how
// runs are counted, what is remembered of an end, what is adopted. Probes are each prober's own business.

import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import type { Hands } from '../../node/ports.ts'
import type { Action, StartAction, StopAction } from '../../node/plan/action.ts'
import type { LocalInstance } from '../../node/plan/local.ts'
import { ScriptedMachine } from '../../simulations/processes.ts'
import { recordFor } from './driver.ts'
import { turnedClock, type TurnedClock } from './turned-clock.ts'

/** More turns than any work that needs no time takes. */
const TURNS_MAX = 1000

const startOf = (command: readonly string[], change: Partial<StartAction> = {}): StartAction => {
  const { instance, slot, service, release, definition, cpusMilli, memoryBytes } = recordFor(command)
  const is = { instance, slot, service, release, definition, cpusMilli, memoryBytes }
  return { kind: 'start', proofMs: 0, reason: 'test', ...is, ...change }
}

/** Registers the suite. `make` builds hands over a machine, whose clock is theirs too. */
export const handsContract = (name: string, make: (machine: ScriptedMachine) => Hands): void => {
  let clock: TurnedClock
  let machine: ScriptedMachine
  let hands: Hands

  const facts = (): LocalInstance | undefined => hands.observe()[0]
  const settle = async (condition: () => boolean, what: string): Promise<void> => {
    for (let turn = 0; turn < TURNS_MAX; turn += 1) {
      if (condition()) return
      await new Promise((resolve) => setImmediate(resolve))
      clock.turn(0)
    }
    assert.fail(`never came true: ${what}; ${JSON.stringify(facts())}`)
  }
  const reach = (phase: LocalInstance['phase']): Promise<void> =>
    settle(() => facts()?.phase === phase, `it is ${phase}`)
  const begin = async (): Promise<void> => {
    hands = make(machine)
    await hands.start({ changed: () => undefined })
  }
  const started = async (command: readonly string[], change?: Partial<StartAction>): Promise<StartAction> => {
    const start = startOf(command, change)
    hands.execute([start])
    await settle(() => facts()?.phase !== 'preparing', 'it is spawned')
    return start
  }
  const act = (kind: 'restart' | 'drain' | 'forget', { instance }: StartAction): Action => ({
    kind,
    instance,
    reason: 'test',
  })
  const stopOf = ({ instance }: StartAction, failure?: string): StopAction => ({
    kind: 'stop',
    instance,
    signal: 'SIGTERM',
    graceMs: 1000,
    reason: 'test',
    ...(failure === undefined ? {} : { failure }),
  })

  describe(`hands contract › ${name}`, () => {
    beforeEach(async () => {
      clock = turnedClock()
      machine = new ScriptedMachine(clock)
      await begin()
    })

    it('counts short runs in a row, and from one anew after a stable one', async () => {
      const start = await started(['run', 'exit=1@5s'])
      clock.turn(5000)
      await reach('exited')
      hands.execute([act('restart', start)])
      await reach('running')
      clock.turn(5000)
      await reach('exited')
      assert.deepEqual([facts()?.failuresInARow, facts()?.runs], [2, 2])
    })

    it('takes for stable what the last start or restart says', async () => {
      const start = await started(['run', 'exit=1@5s'], { stableRunMs: 2000 })
      for (const _ of [1, 2, 3]) {
        clock.turn(5000)
        await reach('exited')
        assert.equal(facts()?.failuresInARow, 1)
        hands.execute([act('restart', start)])
        await reach('running')
      }
      clock.turn(5000)
      await reach('exited')
      hands.execute([{ ...act('restart', start), kind: 'restart', stableRunMs: 60_000 }])
      await reach('running')
      clock.turn(5000)
      await reach('exited')
      assert.equal(facts()?.failuresInARow, 2)
    })

    it('forgives failures once a run is stable', async () => {
      const start = await started(['run'], { stableRunMs: 2000 })
      machine.kill(start.instance)
      await reach('exited')
      hands.execute([act('restart', start)])
      await reach('running')
      clock.turn(1999)
      assert.equal(facts()?.failuresInARow, 1)
      clock.turn(1)
      await settle(() => facts()?.failuresInARow === 0, 'it is forgiven')
      assert.equal(machine.find(start.instance)?.record.failuresInARow, 0)
    })

    it('counts a stop as a failed run only where the stop says so, and remembers why', async () => {
      const start = await started(['run'])
      hands.execute([stopOf(start)])
      await settle(() => facts()?.phase === 'stopping', 'the stop is under way')
      clock.turn(1)
      await reach('exited')
      assert.deepEqual([facts()?.failuresInARow, facts()?.exit?.failure], [0, undefined])
      hands.execute([act('restart', start)])
      await reach('running')
      hands.execute([stopOf(start, 'hangs')])
      await settle(() => facts()?.phase === 'stopping', 'the stop is under way')
      clock.turn(1)
      await reach('exited')
      assert.deepEqual([facts()?.failuresInARow, facts()?.exit?.failure], [1, 'hangs'])
    })

    it('keeps the last end while the next run is on', async () => {
      const start = await started(['run', 'exit=7@1s'])
      clock.turn(1000)
      await reach('exited')
      clock.turn(500)
      hands.execute([act('restart', start)])
      await reach('running')
      const { exit, lastExit } = facts() ?? {}
      assert.deepEqual([exit, lastExit?.code, lastExit?.atMs], [null, 7, 1000])
    })

    it('shows what can never be spawned as refused, and counts the attempt', async () => {
      await started(['broken'])
      const { phase, refused, failuresInARow } = facts() ?? {}
      assert.deepEqual([phase, refused, failuresInARow], ['broken', true, 1])
    })

    it('lets what drains serve again without a new run', async () => {
      const start = await started(['run'])
      hands.execute([act('drain', start)])
      await settle(() => facts()?.draining === true, 'it drains')
      hands.execute([start])
      await settle(() => facts()?.draining === false, 'it serves again')
      assert.deepEqual([facts()?.phase, facts()?.runs, facts()?.drainingSinceMs], ['running', 1, null])
    })

    it('forgets only what has ended', async () => {
      const start = await started(['run'])
      hands.execute([act('forget', start)])
      await settle(() => facts() !== undefined, 'it is still there')
      assert.equal(facts()?.phase, 'running')
      machine.kill(start.instance)
      await reach('exited')
      hands.execute([act('forget', start)])
      await settle(() => facts() === undefined, 'it is forgotten')
    })

    const armed = async (start: StartAction): Promise<void> => {
      const terms = { condition: 'any', afterMs: 0 } as const
      hands.execute([{ kind: 'arm', instance: start.instance, terms, reason: 'test' }])
      await settle(() => machine.hasHeir(start.instance), 'it is armed')
    }

    it('counts a run that its heir has followed as ended, and goes on with the heir', async () => {
      const start = await started(['run'], { stableRunMs: 2000 })
      await armed(start)
      clock.turn(1500)
      machine.kill(start.instance)
      await settle(() => facts()?.runs === 2, 'it has followed')
      const { phase, exit, lastExit, failuresInARow, startedAtMs, heir } = facts() ?? {}
      assert.deepEqual(
        [phase, exit, failuresInARow, startedAtMs, heir],
        ['running', null, 1, 1500, undefined],
      )
      assert.deepEqual([lastExit?.signal, lastExit?.atMs], ['SIGKILL', 1500])
      await settle(() => machine.find(start.instance)?.record.runs === 2, 'its record is written')
      clock.turn(2000)
      await settle(() => facts()?.failuresInARow === 0, 'it is forgiven')
      await armed(start)
      machine.kill(start.instance)
      await settle(() => facts()?.runs === 3, 'the next has followed')
    })

    it('takes an heir back when told, before a drain and before a stop', async () => {
      const start = await started(['run'])
      await armed(start)
      hands.execute([{ kind: 'disarm', instance: start.instance, reason: 'test' }])
      await settle(() => facts()?.heir === undefined, 'it is disarmed')
      assert.ok(!machine.hasHeir(start.instance))
      await armed(start)
      hands.execute([act('drain', start)])
      await settle(() => facts()?.heir === undefined, 'it drains without an heir')
      hands.execute([start])
      await settle(() => facts()?.draining === false, 'it serves again')
      // While an action is under way nothing is prepared, and hands may look whether it is over by the clock.
      await new Promise((resolve) => setImmediate(resolve))
      await armed(start)
      hands.execute([stopOf(start)])
      await settle(() => facts()?.phase === 'stopping', 'the stop is under way')
      clock.turn(1)
      await reach('exited')
      assert.deepEqual([facts()?.runs, facts()?.failuresInARow], [1, 0])
    })

    it('adopts an heir that followed meanwhile, and knows how the run before it ended (S10)', async () => {
      const start = await started(['run'], { stableRunMs: 2000 })
      await armed(start)
      await hands.close()
      clock.turn(1000)
      machine.kill(start.instance)
      clock.turn(500)
      await begin()
      const { phase, runs, failuresInARow, lastExit, startedAtMs } = facts() ?? {}
      assert.deepEqual([phase, runs, failuresInARow, startedAtMs], ['running', 2, 1, 1000])
      assert.deepEqual([lastExit?.signal, lastExit?.atMs], ['SIGKILL', 1000])
    })

    it('adopts what runs, with its run, its age and what is stable for it (S10)', async () => {
      const start = await started(['run'], { stableRunMs: 2000 })
      const { pid } = facts() ?? {}
      await hands.close()
      clock.turn(700)
      await begin()
      const found = facts()
      assert.deepEqual([found?.phase, found?.pid, found?.runs], ['running', pid, 1])
      assert.deepEqual([found?.startedAtMs, found?.stableRunMs], [0, 2000])
      assert.equal(machine.processes().length, 1, start.instance)
    })

    it('adopts what ended meanwhile as one more failed run, with status and time, also once it runs again', async () => {
      const start = await started(['run', 'exit=5@1s'])
      await hands.close()
      clock.turn(3000)
      await begin()
      const found = facts()
      assert.deepEqual([found?.phase, found?.failuresInARow], ['exited', 1])
      assert.deepEqual([found?.exit?.code, found?.exit?.atMs], [5, 1000])
      hands.execute([act('restart', start)])
      await reach('running')
      assert.deepEqual([facts()?.exit, facts()?.lastExit?.atMs, facts()?.runs], [null, 1000, 2])
    })
  })
}

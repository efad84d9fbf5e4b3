// An executor over the scripted driver, whose clock, probes and records the test has in its hands.

import { tmpdir } from 'node:os'
import { silentLog } from '../../../../lib/log.ts'
import type { Clock } from '../../../../lib/time.ts'
import { Executor } from '../../../../node/act/executor.ts'
import { createPorts } from '../../../../node/act/ports.ts'
import type { Prober } from '../../../../node/act/prober.ts'
import type { Driver, SpawnRequest } from '../../../../node/ports.ts'
import { TuttiError } from '../../../../lib/errors.ts'
import type { ProbeTally } from '../../../../node/plan/local.ts'
import { ScriptedDriver, ScriptedMachine } from '../../../../simulations/processes.ts'

/** A clock whose `now` the test moves; what is due at once runs in the next turn, later timers when `pass` is told. */
const handClock = (): Clock & { pass(forMs: number): void } => {
  let now = 0
  let timers: { readonly atMs: number; readonly fire: () => void }[] = []
  return {
    now: () => now,
    wall: () => now,
    after: (delayMs, fire) => {
      if (delayMs === 0) {
        const soon = setImmediate(fire)
        return () => {
          clearImmediate(soon)
        }
      }
      const timer = { atMs: now + delayMs, fire }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    pass: (forMs) => {
      now += forMs
      const due = timers.filter((timer) => timer.atMs <= now).toSorted((a, b) => a.atMs - b.atMs)
      timers = timers.filter((timer) => timer.atMs > now)
      for (const timer of due) timer.fire()
    },
  }
}

interface Scripted {
  readonly machine?: ScriptedMachine
  readonly first?: Promise<void>
  /** While it is, programs are not there. */
  readonly missing?: { readonly is: boolean }
  /** Until when a record takes to be dropped. */
  readonly forgotten?: Promise<void>
}

export const scripted = (change: Scripted = {}) => {
  const look = (): void => {
    if (change.missing?.is === true) throw new TuttiError('unknown', 'the program is missing')
  }
  const clock = handClock()
  const machine = change.machine ?? new ScriptedMachine(clock)
  const spawns: SpawnRequest[] = []
  const inner = new ScriptedDriver(machine)
  const driver: Driver = {
    start: async (events) => await inner.start(events),
    spawn: async (request) => {
      spawns.push(request)
      look()
      return await inner.spawn(request)
    },
    arm: async (request) => await inner.arm(request),
    disarm: async (instance) => await inner.disarm(instance),
    update: async (record) => {
      await inner.update(record)
    },
    extend: (...lease) => {
      inner.extend(...lease)
    },
    stop: async (...stop) => {
      await inner.stop(...stop)
    },
    forget: async (instance) => {
      await change.forgotten
      await inner.forget(instance)
    },
    close: async () => {
      await inner.close()
    },
  }
  const tell: ((tally: ProbeTally, changed?: boolean) => void)[] = []
  const prober: Prober = {
    watch: (_, report) => {
      tell.push((tally, changed = true) => {
        report(tally, changed)
      })
      return { first: change.first ?? Promise.resolve(), stop: () => undefined }
    },
  }
  let nonces = 0
  const hands = new Executor({
    driver,
    prober,
    ports: createPorts('a', async () => await Promise.resolve(null)),
    clock,
    log: silentLog,
    peer: { name: 'a', environment: {} },
    directoryOf: () => tmpdir(),
    lastLines: async () => await Promise.resolve(['the last words']),
    lookAgain: look,
    mintNonce: () => {
      nonces += 1
      return `nonce-${nonces}`
    },
    linkEnvironment: async (uses) => await Promise.resolve({ TUTTI_USES_LEDGER: uses.join() }),
  })
  const changes: boolean[] = []
  const begin = async (): Promise<void> => {
    await hands.start({ changed: (urgent) => changes.push(urgent) })
  }
  const phase = (): string | undefined => hands.observe()[0]?.phase
  return { clock, machine, hands, spawns, tell, changes, begin, phase }
}

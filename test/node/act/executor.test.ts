// The executor over the scripted driver for order and bookkeeping, and the built hands over real processes.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { silentLog } from '../../../lib/log.ts'
import { seededRandom } from '../../../lib/random.ts'
import type { Clock } from '../../../lib/time.ts'
import { Executor } from '../../../node/act/executor.ts'
import { createHands } from '../../../node/act/hands.ts'
import { createPorts } from '../../../node/act/ports.ts'
import type { Prober } from '../../../node/act/prober.ts'
import { TALLY_EMPTY } from '../../../node/plan/facts.ts'
import type { Driver, SpawnRequest } from '../../../node/ports.ts'
import type { Action, StartAction, StopAction } from '../../../node/plan/action.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { ProbeTally } from '../../../node/plan/local.ts'
import { ScriptedDriver, ScriptedMachine } from '../../../simulations/processes.ts'
import { recordFor } from '../../contracts/driver.ts'
import { lives, realClock, until } from './support/bed.ts'

const startOf = (
  command: readonly string[],
  change: Partial<StartAction['definition']> = {},
  seat = 0,
): StartAction => {
  const { instance, slot, service, release, definition, cpusMilli, memoryBytes } = recordFor(command, {
    seat,
  })
  return {
    kind: 'start',
    proofMs: 0,
    instance,
    slot,
    service,
    release,
    cpusMilli,
    memoryBytes,
    reason: 'test',
    definition: { ...definition, ...change },
  }
}
const stopOf = ({ instance }: StartAction, graceMs = 5000): StopAction => ({
  kind: 'stop',
  instance,
  signal: 'SIGTERM',
  graceMs,
  reason: 'test',
})
const actOn = ({ instance }: StartAction, kind: 'restart' | 'drain' | 'forget'): Action => ({
  kind,
  instance,
  reason: 'test',
})

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

const scripted = (change: Scripted = {}) => {
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

describe('executor', () => {
  it('shows an instance at once and starts it once, however often it is told to', async () => {
    const { hands, spawns, begin, phase } = scripted()
    await begin()
    const start = startOf(['run'])
    hands.execute([start, start])
    assert.equal(phase(), 'preparing')
    hands.execute([start])
    await until(() => phase() === 'running')
    hands.execute([start])
    assert.equal(spawns.length, 1)
    assert.deepEqual([hands.observe()[0]?.runs, hands.observe()[0]?.pid], [1, 1001])
  })

  it('gives a process its ports, its links and its nonce', async () => {
    const { hands, spawns, begin, phase } = scripted()
    await begin()
    hands.execute([startOf(['run'], { ports: { http: 0 }, uses: ['billing/ledger'] })])
    await until(() => phase() === 'running')
    const { environment, record } = spawns[0] ?? assert.fail('one spawn')
    assert.equal(environment['TUTTI_USES_LEDGER'], 'billing/ledger')
    assert.equal(environment['TUTTI_NONCE'], record.nonce)
    assert.equal(environment['PORT'], String(hands.observe()[0]?.ports['http']))
  })

  it('performs the actions of one instance one after the other', async () => {
    const { hands, begin, phase, clock } = scripted()
    await begin()
    const start = startOf(['run', 'stop=100ms'])
    hands.execute([start, stopOf(start)])
    await until(() => phase() === 'stopping')
    hands.execute([stopOf(start), start])
    clock.pass(100)
    await until(() => phase() === 'running')
    assert.equal(hands.observe()[0]?.runs, 2)
  })

  it('begins what comes together a few in a turn, each once, and in the order of coming', async () => {
    const { hands, spawns, begin } = scripted()
    await begin()
    const starts = Array.from({ length: 100 }, (_, at) => startOf(['run'], {}, at))
    hands.execute(starts)
    assert.deepEqual(
      hands.observe().map(({ phase }) => phase),
      starts.map(() => 'preparing'),
    )
    hands.execute(starts)
    await until(() => spawns.length > 0)
    assert.ok(spawns.length < starts.length)
    await until(() => spawns.length === starts.length)
    assert.deepEqual(
      spawns.map(({ record }) => record.instance),
      starts.map(({ instance }) => instance),
    )
  })

  it('stops, after it has started it, what was to be begun in a later turn', async () => {
    const { hands, spawns, begin } = scripted()
    await begin()
    const starts = Array.from({ length: 40 }, (_, at) => startOf(['run'], {}, at))
    hands.execute(starts)
    hands.execute(starts.map((start) => stopOf(start)))
    await until(() => hands.observe().every(({ phase }) => phase === 'exited'))
    assert.equal(spawns.length, starts.length)
  })

  it('begins no run under a lease that a newer plan does not ask for any more (S9)', async () => {
    const { hands, spawns, begin, phase, clock } = scripted()
    await begin()
    const start = { ...startOf(['run', 'stop=100ms']), lease: { token: 1, untilMs: 60_000 } }
    hands.execute([start, stopOf(start)])
    await until(() => phase() === 'stopping')
    hands.execute([stopOf(start), { ...start, lease: { token: 2, untilMs: 60_000 } }])
    hands.execute([stopOf(start)])
    clock.pass(100)
    await until(() => phase() === 'exited')
    assert.equal(spawns.length, 1)
  })

  it('keeps ports and counts over a restart, with another nonce', async () => {
    const { hands, spawns, begin, phase, clock } = scripted()
    await begin()
    const start = startOf(['run', 'exit=1@1s'], { ports: { http: 0 } })
    hands.execute([start])
    await until(() => phase() === 'running')
    clock.pass(1000)
    assert.deepEqual([phase(), hands.observe()[0]?.failuresInARow], ['exited', 1])
    hands.execute([actOn(start, 'restart')])
    await until(() => phase() === 'running')
    const [first, second] = spawns
    assert.deepEqual(second?.record.ports, first?.record.ports)
    assert.notEqual(second?.record.nonce, first?.record.nonce)
    assert.deepEqual([second?.record.runs, second?.record.failuresInARow], [2, 1])
  })

  it('forgives failures after a stable run, also in the record', async () => {
    const { hands, machine, begin, phase, clock } = scripted()
    await begin()
    const start = startOf(['run', 'exit=1@30s'])
    hands.execute([start])
    await until(() => phase() === 'running')
    machine.kill(start.instance)
    hands.execute([actOn(start, 'restart')])
    await until(() => phase() === 'running')
    clock.pass(10_000)
    assert.equal(hands.observe()[0]?.failuresInARow, 0)
    assert.equal(machine.find(start.instance)?.record.failuresInARow, 0)
    clock.pass(20_000)
    assert.deepEqual([phase(), hands.observe()[0]?.failuresInARow], ['exited', 1])
  })

  it('does not count a stop as a failure', async () => {
    const { hands, begin, phase } = scripted()
    await begin()
    const start = startOf(['run'])
    hands.execute([start])
    await until(() => phase() === 'running')
    hands.execute([stopOf(start)])
    assert.equal(phase(), 'stopping')
    await until(() => phase() === 'exited')
    const [found] = hands.observe()
    assert.deepEqual([found?.failuresInARow, found?.exit?.signal], [0, 'SIGTERM'])
  })

  it('shows a failed start as broken and retries only when told', async () => {
    const { hands, spawns, begin, phase } = scripted()
    await begin()
    const start = startOf(['broken'])
    hands.execute([start])
    await until(() => phase() === 'broken')
    assert.match(hands.observe()[0]?.error ?? '', /is not on the PATH/)
    assert.equal(hands.observe()[0]?.failuresInARow, 1)
    hands.execute([actOn(start, 'restart')])
    await until(() => hands.observe()[0]?.failuresInARow === 2)
    assert.equal(spawns.length, 2)
    hands.execute([actOn(start, 'forget')])
    await until(() => hands.observe().length === 0)
  })

  it('starts anew, and once, what is wanted again while it is being forgotten (S10)', async () => {
    const forgotten = Promise.withResolvers<void>()
    const { begin, hands, machine, phase, spawns } = scripted({ forgotten: forgotten.promise })
    await begin()
    const start = startOf(['run'])
    hands.execute([start])
    await until(() => phase() === 'running')
    machine.kill(start.instance)
    await until(() => phase() === 'exited')
    hands.execute([actOn(start, 'forget')])
    hands.execute([start])
    forgotten.resolve()
    await until(() => phase() === 'running')
    assert.deepEqual([spawns.length, hands.observe().length, hands.observe()[0]?.runs], [2, 1, 1])
    // The facts are those of the run that there is.
    machine.kill(start.instance)
    await until(() => phase() === 'exited')
    await hands.close()
  })

  it('drains, keeps that over a crash of the peer, and takes it back when wanted again', async () => {
    const before = scripted()
    await before.begin()
    const start = startOf(['run'])
    before.hands.execute([start])
    await until(() => before.phase() === 'running')
    before.hands.execute([actOn(start, 'drain')])
    await until(() => before.machine.find(start.instance)?.record.draining === true)
    await before.hands.close()
    const after = scripted({ machine: before.machine })
    await after.begin()
    const [found] = after.hands.observe()
    assert.deepEqual([found?.phase, found?.draining, found?.drainingSinceMs], ['running', true, 0])
    after.hands.execute([start])
    assert.deepEqual([after.hands.observe()[0]?.draining, after.spawns.length], [false, 0])
  })

  it('reports what ended while it was away as exited', async () => {
    const before = scripted()
    await before.begin()
    const start = startOf(['run', 'exit=5@1s'])
    before.hands.execute([start])
    await until(() => before.phase() === 'running')
    await before.hands.close()
    before.clock.pass(1000)
    const after = scripted({ machine: before.machine })
    await after.begin()
    assert.deepEqual([after.phase(), after.hands.observe()[0]?.exit?.code], ['exited', 5])
    // Also once it runs again, which may be at once.
    after.hands.execute([actOn(start, 'restart')])
    await until(() => after.phase() === 'running')
    const [again] = after.hands.observe()
    assert.deepEqual([again?.exit, again?.lastExit?.code, again?.lastExit?.atMs], [null, 5, 0])
  })

  it('waits for the first probe of adopted instances, and no longer than a second', async () => {
    const before = scripted()
    await before.begin()
    before.hands.execute([startOf(['run'], { ports: { http: 0 } })])
    await until(() => before.phase() === 'running')
    await before.hands.close()
    const after = scripted({ machine: before.machine, first: new Promise(() => undefined) })
    let begun = false
    const beginning = after.begin().then(() => {
      begun = true
    })
    await until(() => after.tell.length === 1)
    assert.equal(begun, false)
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    after.clock.pass(1000)
    await beginning
    assert.equal(begun, true)
  })

  it('keeps the tally and tells the agent once a turn, urgently when readiness may have changed', async () => {
    const { hands, begin, tell, changes, phase } = scripted()
    await begin()
    hands.execute([startOf(['run'], { ports: { http: 0 } }), startOf(['run'], {}, 1)])
    await until(() => phase() === 'running' && changes.length > 0)
    const told = changes.length
    tell[0]?.({ ...TALLY_EMPTY, okInARow: 1, everOk: true })
    tell[0]?.({ ...TALLY_EMPTY, okInARow: 2, everOk: true })
    await until(() => changes.length > told)
    assert.deepEqual([changes.slice(told), hands.observe()[0]?.probe.okInARow], [[true], 2])
  })

  it('asks for no pass after a probe that says nothing new', async () => {
    const { hands, begin, tell, changes, phase } = scripted()
    await begin()
    hands.execute([startOf(['run'], { ports: { http: 0 } }), startOf(['run'], {}, 1)])
    await until(() => phase() === 'running' && changes.length > 0)
    const before = changes.length
    tell[0]?.({ ...TALLY_EMPTY, okInARow: 1, everOk: true })
    await until(() => changes.length > before)
    const told = changes.length
    for (let okInARow = 4; okInARow < 100; okInARow += 1)
      tell[0]?.({ ...TALLY_EMPTY, okInARow, everOk: true }, false)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([changes.length, hands.observe()[0]?.probe.okInARow], [told, 99])
  })

  it('counts a stop for a failed liveness as a failed run, remembers why, and what it wrote last', async () => {
    const { hands, begin, phase } = scripted()
    await begin()
    const start = startOf(['run'])
    hands.execute([start])
    await until(() => phase() === 'running')
    hands.execute([{ ...stopOf(start, 0), failure: 'hangs' }])
    await until(() => (hands.observe()[0]?.lastOutput ?? []).length > 0)
    const [facts] = hands.observe()
    assert.deepEqual([facts?.failuresInARow, facts?.exit?.failure], [1, 'hangs'])
    assert.deepEqual(facts?.lastOutput, ['the last words'])
    hands.execute([actOn(start, 'restart')])
    await until(() => phase() === 'running')
    const [again] = hands.observe()
    assert.deepEqual([again?.exit, again?.lastExit?.failure, again?.lastOutput?.length], [null, 'hangs', 1])
  })

  it('spawns nothing that was refused for good until what was missing is there', async () => {
    const missing = { is: true }
    const { hands, begin, clock, phase, spawns } = scripted({ missing })
    await begin()
    const start = startOf(['run'])
    hands.execute([start])
    await until(() => phase() === 'broken')
    assert.equal(hands.observe()[0]?.refused, true)
    const tries = spawns.length
    clock.pass(10_000)
    assert.deepEqual([hands.observe()[0]?.refused, spawns.length], [true, tries])
    missing.is = false
    clock.pass(10_000)
    assert.deepEqual([hands.observe()[0]?.refused, hands.observe()[0]?.failuresInARow], [false, 0])
    hands.execute([actOn(start, 'restart')])
    await until(() => phase() === 'running')
  })

  it('returns the same facts until something changes', async () => {
    const { hands, begin, phase } = scripted()
    await begin()
    hands.execute([startOf(['run'])])
    await until(() => phase() === 'running')
    assert.equal(hands.observe(), hands.observe())
  })
})

describe('built hands', () => {
  const server = `require('http').createServer((q, r) => r.end('ok')).listen(process.env.PORT)`
  const withFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'tutti-hands-'))
    try {
      await use(folder)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  const build = (folder: string) =>
    createHands({
      folder,
      clock: realClock,
      log: silentLog,
      random: seededRandom('hands'),
      peer: { id: folder, name: 'a', environment: process.env },
      linkEnvironment: async () => await Promise.resolve({}),
    })

  it('brings a server up, sees it ready, adopts it ready, and stops it', async () => {
    await withFolder(async (folder) => {
      const healthcheck = {
        kind: 'http',
        path: '/',
        intervalMs: 5000,
        timeoutMs: 2000,
        retries: 3,
        startPeriodMs: 0,
      } as const
      const start = startOf([process.execPath, '-e', server], { ports: { http: 0 }, healthcheck })
      const before = build(folder)
      await before.hands.start({ changed: () => undefined })
      before.hands.execute([start])
      await until(() => before.hands.observe()[0]?.probe.everOk === true)
      await before.close()
      const after = build(folder)
      await after.hands.start({ changed: () => undefined })
      const [found] = after.hands.observe()
      assert.deepEqual([found?.phase, found?.probe.everOk], ['running', true])
      assert.ok(lives(found?.pid ?? 0))
      after.hands.execute([stopOf(start)])
      await until(() => after.hands.observe()[0]?.phase === 'exited')
      assert.deepEqual([lives(found?.pid ?? 0), after.hands.observe()[0]?.failuresInARow], [false, 0])
      await after.close()
    })
  })

  it('keeps the last words of what crashed', async () => {
    await withFolder(async (folder) => {
      const built = build(folder)
      const { hands, output } = built
      await hands.start({ changed: () => undefined })
      const start = startOf(['sh', '-c', 'echo fine; echo "cannot open the database" >&2; exit 1'])
      hands.execute([start])
      await until(() => hands.observe()[0]?.phase === 'exited')
      assert.deepEqual((await output.lastLines(start.instance, 5)).toSorted(), [
        'cannot open the database',
        'fine',
      ])
      hands.execute([actOn(start, 'forget')])
      await until(() => hands.observe().length === 0)
      assert.equal((await output.lastLines(start.instance, 5)).length, 2)
      await built.close()
    })
  })

  it('says in one sentence why a fixed port cannot be had', async () => {
    await withFolder(async (folder) => {
      const stranger = createServer()
      await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
      const address = stranger.address()
      assert.ok(address !== null && typeof address === 'object')
      const built = build(folder)
      const { hands } = built
      await hands.start({ changed: () => undefined })
      hands.execute([startOf(['sleep', '600'], { ports: { http: address.port } })])
      await until(() => hands.observe()[0]?.phase === 'broken')
      assert.match(hands.observe()[0]?.error ?? '', /is in use on this machine/)
      await built.close()
      stranger.close()
    })
  })
})

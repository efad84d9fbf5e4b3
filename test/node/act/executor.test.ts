// The executor over the scripted driver: order and bookkeeping.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TALLY_EMPTY } from '../../../node/plan/facts.ts'
import { actOn, startOf, stopOf } from './support/actions.ts'
import { scripted } from './support/scripted-executor.ts'
import { until } from '../../support/until.ts'

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
    // Until a run has ended it is what the last failure was: a crash loop names it while it tries again.
    assert.equal(phase(), 'preparing')
    assert.match(hands.observe()[0]?.error ?? '', /is not on the PATH/)
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

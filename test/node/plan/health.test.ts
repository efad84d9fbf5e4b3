import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Healthcheck } from '../../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../../crdt/schema/service-defaults.ts'
import { exitText, firstPort, healthOf, livenessFailure, probeOf } from '../../../node/plan/health.ts'
import type { ProbeTally } from '../../../node/plan/local.ts'
import {
  backoffMs,
  CRASH_LOOP_RUNS,
  failuresAfter,
  grantRestarts,
  RESTARTS_PER_SECOND_MAX,
  restartOf,
} from '../../../node/plan/restart.ts'
import { definitionOf, instance, service } from './fleet.ts'

const check: Healthcheck = {
  kind: 'http',
  path: '/up',
  intervalMs: 1000,
  timeoutMs: 500,
  retries: 3,
  startPeriodMs: 5000,
}
const web = service('shop/web', { ports: { http: 0, admin: 0 }, healthcheck: check })
const tally = (parts: Partial<ProbeTally>): ProbeTally => ({
  okInARow: 0,
  failedInARow: 0,
  everOk: false,
  lastFailure: '',
  ...parts,
})

describe('health', () => {
  it('is ready at once without ports and healthcheck, and by connecting to all ports without a healthcheck', () => {
    const plain = service('shop/plain')
    assert.equal(probeOf(plain.definition), null)
    assert.equal(healthOf(instance(plain, 0, { probe: tally({}) }), 0).state, 'ready')
    const ported = definitionOf({ ports: { http: 0, admin: 0 } })
    assert.equal(firstPort(ported), 'admin')
    assert.deepEqual(probeOf(ported)?.kind, 'tcp')
    assert.deepEqual(probeOf(ported)?.ports, ['admin', 'http'])
  })

  it('hands the prober what the healthcheck says', () => {
    assert.deepEqual(probeOf(web.definition), {
      kind: 'http',
      ports: ['admin'],
      path: '/up',
      command: null,
      intervalMs: 1000,
      timeoutMs: 500,
      successes: 1,
    })
    const command: Healthcheck = { ...check, kind: 'command', command: ['test', '-e', 'up'] }
    assert.deepEqual(probeOf(definitionOf({ healthcheck: command }))?.command, ['test', '-e', 'up'])
  })

  it('counts no failures in the start period, and says when that ends', () => {
    const probe = tally({ failedInARow: 7, lastFailure: 'GET /up: 503' })
    const early = healthOf(instance(web, 0, { probe, startedAtMs: 1000 }), 2000)
    assert.deepEqual([early.state, early.changesAtMs], ['starting', 6000])
    const late = healthOf(instance(web, 0, { probe, startedAtMs: 1000 }), 6000)
    assert.deepEqual([late.state, late.reason], ['failing', '3 checks in a row failed: GET /up: 503'])
  })

  it('is failing after `retries` failures and ready after one success', () => {
    const state = (parts: Partial<ProbeTally>) =>
      healthOf(instance(web, 0, { probe: tally(parts) }), 9000).state
    assert.equal(state({ everOk: true, failedInARow: 2 }), 'ready')
    assert.equal(state({ everOk: true, failedInARow: 3 }), 'failing')
    assert.equal(state({ everOk: true, okInARow: 1 }), 'ready')
  })

  it('follows the phase otherwise', () => {
    const state = (parts: Parameters<typeof instance>[2]) => healthOf(instance(web, 0, parts), 9000).state
    assert.equal(state({ phase: 'preparing' }), 'starting')
    assert.equal(state({ draining: true }), 'draining')
    assert.equal(state({ phase: 'stopping' }), 'draining')
    assert.equal(state({ phase: 'exited' }), 'crashed')
    assert.equal(state({ phase: 'broken', error: 'no such file' }), 'crashed')
  })

  it('says how an instance ended, and tells want of memory apart from a crash', () => {
    const { definition } = instance(web, 0, {})
    const text = (code: number | null, signal: string | null, oomKilled = false) =>
      exitText({
        exit: { code, signal, oomKilled, atMs: 0 },
        definition: { ...definition, memoryMaxBytes: 64 * 1024 ** 2 },
      })
    assert.equal(text(null, 'SIGKILL'), 'was ended by SIGKILL')
    assert.equal(text(3, null), 'exited with 3')
    assert.equal(text(143, null), 'exited with 143 (as a shell does after SIGTERM)')
    assert.equal(text(null, null), 'ended, nobody saw how')
    assert.equal(
      text(null, 'SIGKILL', true),
      'out of memory: went over its limit of 64M and was ended by SIGKILL',
    )
    assert.equal(
      text(137, null, true),
      'out of memory: went over its limit of 64M and exited with 137 (as a shell does after SIGKILL)',
    )
  })

  it('says of a ready instance what it runs without', () => {
    const shortfall = 'is not limited to memory 64M: this peer may not make control groups'
    assert.equal(healthOf(instance(web, 0, { shortfall }), 0).reason, shortfall)
  })
})

describe('restart', () => {
  const policy = { ...SERVICE_DEFAULTS.restart, condition: 'any' } as const
  const ended = (code: number | null, failuresInARow = 1) =>
    instance(web, 0, { phase: 'exited', failuresInARow, exit: { code, signal: null, atMs: 1000 } })

  it('doubles from the delay to the maximum, less a jitter of up to a quarter', () => {
    for (const [failures, fullMs] of [
      [0, 500],
      [1, 500],
      [2, 1000],
      [4, 4000],
      [7, 30_000],
      [99, 30_000],
    ] as const) {
      const delayMs = backoffMs(policy, instance(web, 0), failures)
      assert.ok(delayMs <= fullMs && delayMs > fullMs * 0.75 - 1, `${delayMs} for ${fullMs}`)
    }
    const spread = new Set(
      Array.from({ length: 20 }, (_, runs) => backoffMs(policy, instance(web, 0, { runs }), 7)),
    )
    assert.ok(spread.size > 10)
  })

  it('starts over after a stable run', () => {
    assert.equal(failuresAfter(4, 9_999), 5)
    assert.equal(failuresAfter(4, 10_000), 1)
  })

  it('follows the restart condition as Compose does', () => {
    const kind = (condition: 'any' | 'on-failure' | 'none', code: number | null) =>
      restartOf(ended(code), { ...policy, condition }, 2000).kind
    assert.equal(kind('any', 0), 'now')
    assert.equal(kind('on-failure', 0), 'done')
    assert.equal(kind('on-failure', 1), 'now')
    assert.equal(kind('on-failure', null), 'now')
    assert.equal(kind('none', 0), 'done')
    assert.equal(kind('none', 3), 'given-up')
  })

  it('waits for its backoff and names the exit and the crash loop', () => {
    const verdict = restartOf(ended(7, CRASH_LOOP_RUNS), policy, 1000)
    assert.equal(verdict.kind, 'later')
    assert.equal(verdict.reason, 'crash loop: exited with 7, restarts up to 30s apart')
  })

  it('doubles within its bounds for every policy and count, the same every time (property)', () => {
    fc.assert(
      fc.property(
        fc.nat(600_000),
        fc.nat(600_000),
        fc.nat(200),
        fc.nat(1000),
        (delayMs, delayMaxMs, failures, runs) => {
          const ended = instance(web, 0, { runs })
          const pause = backoffMs({ delayMs, delayMaxMs }, ended, failures)
          const most = Math.max(delayMs, delayMaxMs)
          assert.ok(pause <= most && pause >= Math.floor(Math.min(delayMs, most) * 0.75))
          assert.equal(pause, backoffMs({ delayMs, delayMaxMs }, ended, failures))
          assert.ok(pause <= backoffMs({ delayMs, delayMaxMs }, ended, failures + 2))
        },
      ),
    )
  })

  it('takes the window of the service for a stable run', () => {
    assert.equal(failuresAfter(4, 15_000, 20_000), 5)
    assert.equal(failuresAfter(4, 20_000, 20_000), 1)
  })

  it('gives up when the attempts are used up, and says so with the last line', () => {
    const limited = { ...policy, attemptsMax: 2 }
    const after = (failures: number) =>
      restartOf({ ...ended(3, failures), lastOutput: ['no database', ''] }, limited, 60_000)
    assert.equal(after(2).kind, 'now')
    assert.deepEqual(after(3), {
      kind: 'given-up',
      reason: 'exited with 3, and max_attempts of 2 are used up; it wrote last: no database',
    })
  })

  it('is not tried where trying again mends nothing', () => {
    const broken = instance(web, 0, { phase: 'broken', error: 'command x is missing', startedAtMs: 0 })
    assert.equal(restartOf({ ...broken, refused: true }, policy, 99_000).kind, 'refused')
    assert.equal(restartOf(broken, policy, 99_000).kind, 'now')
  })

  it('follows a run that its liveness ended, whatever it ended with', () => {
    const exit = { code: 0, signal: null, atMs: 1000, failure: 'liveness failed 3 times in a row: no answer' }
    const verdict = restartOf({ ...ended(0), exit }, { ...policy, condition: 'on-failure' }, 60_000)
    assert.deepEqual([verdict.kind, verdict.reason], ['now', `${exit.failure} (exited with 0)`])
  })
})

describe('liveness', () => {
  const lively = service('shop/web', { ports: { http: 0 }, liveness: check })
  const failing = (parts: Partial<ProbeTally>) =>
    instance(lively, 0, { probe: tally({ everOk: true }), liveness: tally(parts), startedAtMs: 1000 })

  it('makes an instance failing after `retries` failures, whatever its readiness says', () => {
    assert.equal(healthOf(failing({ everOk: true, failedInARow: 2 }), 2000).state, 'ready')
    const health = healthOf(failing({ everOk: true, failedInARow: 3, lastFailure: 'x' }), 2000)
    assert.deepEqual([health.state, health.reason], ['failing', 'liveness failed 3 times in a row: x'])
  })

  it('does not count before its first success within the start period', () => {
    assert.equal(livenessFailure(failing({ failedInARow: 9 }), 5999), null)
    assert.notEqual(livenessFailure(failing({ failedInARow: 9 }), 6000), null)
  })
})

describe('grantRestarts', () => {
  const wanting = (slot: number, failuresInARow: number, dueMs: number) => ({
    instance: instance(web, slot, { phase: 'exited', failuresInARow, runs: 2, startedAtMs: 0 }),
    dueMs,
  })

  it('lets those that failed least go first, then those that waited longest (L6)', () => {
    const many = Array.from({ length: 12 }, (_, at) => wanting(at, 9, 5000 + at))
    const { granted, againAtMs } = grantRestarts([...many, wanting(20, 1, 9000)], [], 10_000)
    assert.deepEqual(
      granted.map(({ dueMs }) => dueMs),
      [9000, ...Array.from({ length: RESTARTS_PER_SECOND_MAX - 1 }, (_, at) => 5000 + at)],
    )
    assert.equal(againAtMs, 11_000)
  })

  it('starts no more in any second than it may, and everybody in the end (L6, property)', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 60 }), (failures) => {
        let local = failures.map((count, slot) => wanting(slot, count, 0).instance)
        const started: number[] = []
        for (let nowMs = 1000; nowMs < 1000 + failures.length * 200; nowMs += 100) {
          const left = local
            .filter(({ phase }) => phase === 'exited')
            .map((one) => ({ instance: one, dueMs: 0 }))
          const now = new Set(grantRestarts(left, local, nowMs).granted.map((one) => one.instance.id))
          local = local.map((one) =>
            now.has(one.id) ? { ...one, phase: 'running', startedAtMs: nowMs } : one,
          )
          started.push(...[...now].map(() => nowMs))
          const lately = started.filter((atMs) => atMs > nowMs - 1000)
          assert.ok(lately.length <= RESTARTS_PER_SECOND_MAX)
        }
        assert.equal(started.length, failures.length)
      }),
      { numRuns: 30 },
    )
  })
})

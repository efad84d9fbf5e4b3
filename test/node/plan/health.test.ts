import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SERVICE_DEFAULTS, type Healthcheck } from '../../../crdt/schema/service.ts'
import { exitText, firstPort, healthOf, probeOf } from '../../../node/plan/health.ts'
import type { ProbeTally } from '../../../node/plan/local.ts'
import {
  backoffMs,
  CRASH_LOOP_RUNS,
  failuresAfter,
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
    assert.equal(exitText({ code: null, signal: 'SIGKILL', atMs: 0 }), 'was ended by SIGKILL')
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
})

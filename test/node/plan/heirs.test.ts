// Which living runs get a successor ahead, on which terms, and when it is taken back.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { ServiceSpec } from '../../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../../crdt/schema/service-defaults.ts'
import { failuresAfter, IMMEDIATE_RUN_MS, restartOf } from '../../../node/plan/restart.ts'
import { heirActions, heirTermsOf, type Testator } from '../../../node/plan/heirs.ts'
import { instance, service } from './fleet.ts'

type Restart = ServiceSpec['restart']

const testator = (restart: Partial<Restart> = {}, change: Partial<Testator> = {}): Testator => {
  const of = service('shop/web', { restart: { ...SERVICE_DEFAULTS.restart, ...restart } })
  return { service: of, instance: instance(of, 0), isWanted: true, ...change }
}

const calm = { nowMs: 60_000, busy: false }
const kindsOf = (one: Testator, when = calm): readonly string[] =>
  heirActions([one], when).map(({ kind }) => kind)

describe('heirs', () => {
  it('follow any end where there is no delay, and stable runs only where there is one', () => {
    assert.deepEqual(heirTermsOf(testator({ delayMs: 0 })), { condition: 'any', afterMs: 0 })
    assert.deepEqual(heirTermsOf(testator()), { condition: 'any', afterMs: IMMEDIATE_RUN_MS })
    const terms = heirTermsOf(testator({ windowMs: 60_000, condition: 'on-failure' }))
    assert.deepEqual(terms, { condition: 'on-failure', afterMs: 60_000 })
    assert.equal(heirTermsOf(testator({ condition: 'none' })), null)
  })

  it('follow no run that may be the last that its policy allows', () => {
    const used = (failuresInARow: number): Testator => {
      const one = testator({ delayMs: 0, attemptsMax: 2 })
      return { ...one, instance: { ...one.instance, failuresInARow } }
    }
    assert.equal(heirTermsOf(used(1))?.afterMs, 0)
    assert.equal(heirTermsOf(used(2))?.afterMs, SERVICE_DEFAULTS.restart.windowMs)
  })

  it('are for nothing that is fenced, superseded, draining or over (S9)', () => {
    const one = testator()
    assert.equal(heirTermsOf({ ...one, service: { ...one.service, onPartition: 'quorum' } }), null)
    assert.equal(heirTermsOf({ ...one, isWanted: false }), null)
    assert.equal(heirTermsOf({ ...one, instance: { ...one.instance, draining: true } }), null)
    assert.equal(heirTermsOf({ ...one, instance: { ...one.instance, phase: 'stopping' } }), null)
  })

  it('are prepared once for what is ready, and not while anything starts or ends', () => {
    const one = testator()
    assert.deepEqual(kindsOf(one), ['arm'])
    assert.deepEqual(kindsOf(one, { ...calm, busy: true }), [])
    const young = {
      ...one.instance,
      startedAtMs: calm.nowMs - 1,
      probe: { ...one.instance.probe, everOk: false },
    }
    const ported = service('shop/web', { ports: { http: 0 } })
    assert.deepEqual(kindsOf({ ...one, instance: { ...young, definition: ported.definition } }), [])
    for (const heir of ['unavailable', heirTermsOf(one) ?? undefined] as const)
      assert.deepEqual(kindsOf({ ...one, instance: { ...one.instance, heir } }), [])
  })

  it('are taken back, busy or not, when they would do what is not wanted any more', () => {
    const armed = (change: Partial<Testator>, restart: Partial<Restart> = {}): Testator => {
      const one = testator(restart, change)
      return { ...one, instance: { ...one.instance, heir: { condition: 'any', afterMs: 0 } } }
    }
    const busy = { ...calm, busy: true }
    assert.deepEqual(kindsOf(armed({}, { delayMs: 0 }), busy), [])
    assert.deepEqual(kindsOf(armed({}), busy), ['disarm'])
    assert.deepEqual(kindsOf(armed({}, { delayMs: 0, condition: 'on-failure' }), busy), ['disarm'])
    assert.deepEqual(kindsOf(armed({}, { condition: 'none' }), busy), ['disarm'])
    assert.deepEqual(kindsOf(armed({ isWanted: false }, { delayMs: 0 }), busy), ['disarm'])
  })

  it('do nothing that the plan would not do at the end of the run (L6)', () => {
    const runs = fc.record({
      delayMs: fc.constantFrom(0, 1, 500, 60_000),
      delayMaxMs: fc.constantFrom(0, 30_000),
      windowMs: fc.constantFrom(0, 1, 10_000, 60_000),
      attemptsMax: fc.constantFrom(null, 1, 3),
      condition: fc.constantFrom('any' as const, 'on-failure' as const, 'none' as const),
    })
    fc.assert(
      fc.property(
        runs,
        fc.nat({ max: 5 }),
        fc.nat({ max: 120_000 }),
        fc.nat({ max: 1 }),
        (restart, before, ranMs, code) => {
          const one = testator(restart)
          const lived = {
            ...one.instance,
            failuresInARow: before,
            stableRunMs: restart.windowMs,
            startedAtMs: 0,
          }
          const terms = heirTermsOf({ ...one, instance: lived })
          if (terms === null || ranMs < terms.afterMs || (terms.condition === 'on-failure' && code === 0))
            return
          const failuresInARow = failuresAfter(before, ranMs, restart.windowMs)
          const exit = { code, signal: null, atMs: ranMs }
          const ended = { ...lived, phase: 'exited' as const, exit, failuresInARow }
          assert.equal(restartOf(ended, one.service.restart, ranMs).kind, 'now')
        },
      ),
    )
  })
})

describe('restarts after a stable run', () => {
  const endedAfter = (ranMs: number, failuresInARow: number) => {
    const { service: of, instance: lived } = testator()
    const exit = { code: 1, signal: null, atMs: ranMs }
    return restartOf({ ...lived, phase: 'exited', exit, failuresInARow }, of.restart, ranMs).kind
  }

  it('come at once the first time, and with a pause after a short run (L6)', () => {
    assert.equal(endedAfter(IMMEDIATE_RUN_MS, 1), 'now')
    assert.equal(endedAfter(IMMEDIATE_RUN_MS - 1, 1), 'later')
    assert.equal(endedAfter(IMMEDIATE_RUN_MS, 2), 'later')
  })
})

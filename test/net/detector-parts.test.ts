// The detector's smaller parts: beats, self-doubt, refutation, brake.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MemberId } from '../../lib/ids.ts'
import { decodeBeat, encodeBeat } from '../../net/beat.ts'
import { Brake, type BrakeSubject } from '../../net/brake.ts'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import { Refutation } from '../../net/refutation.ts'
import { SelfDoubt } from '../../net/self-doubt.ts'
import { Slowness } from '../../net/slowness.ts'
import { Watch } from '../../net/watch.ts'

describe('beat', () => {
  it('says what its sender asks for, and reads older and unknown words without a throw', () => {
    assert.deepEqual(decodeBeat(encodeBeat('beat')), { kind: 'beat', extraMs: 0 })
    assert.deepEqual(decodeBeat(encodeBeat('probe', 410)), { kind: 'probe', extraMs: 500 })
    assert.deepEqual(decodeBeat(encodeBeat('beat', 1e9)), { kind: 'beat', extraMs: 25_500 })
    assert.deepEqual(decodeBeat(Uint8Array.of(1)), { kind: 'beat', extraMs: 0 })
    assert.equal(decodeBeat(Uint8Array.of(9, 9)).kind, 'other')
    assert.equal(decodeBeat(new Uint8Array()).kind, 'other')
  })
})

describe('SelfDoubt (Lifeguard §IV.A)', () => {
  it('doubts for one silence window after a late tick', () => {
    const doubt = new SelfDoubt(DETECTOR_DEFAULTS)
    assert.ok(!doubt.ticked(1000, 1400))
    assert.ok(doubt.ticked(2000, 9000))
    assert.equal(doubt.doubtUntilMs, 9000 + DETECTOR_DEFAULTS.silenceMs)
    assert.equal(doubt.patienceMs, 0)
  })

  it('accuses nobody until it has read what waited, after a tick that was merely behind', () => {
    const doubt = new SelfDoubt(DETECTOR_DEFAULTS)
    doubt.ticked(1000, 1050)
    assert.ok(doubt.doubtUntilMs < 1050)
    doubt.ticked(2000, 2300)
    assert.equal(doubt.doubtUntilMs, 2900)
    doubt.ticked(2400, 2460)
    assert.equal(doubt.doubtUntilMs, 2900)
  })

  it('grows patient while ticks keep coming late, up to a bound, and calms down', () => {
    const doubt = new SelfDoubt(DETECTOR_DEFAULTS)
    for (let at = 1; at < 20; at += 1) doubt.ticked(at * 1000, at * 1000 + 600)
    assert.equal(doubt.patienceMs, 3 * DETECTOR_DEFAULTS.silenceMs)
    for (let at = 20_000; at < 60_000; at += 250) doubt.ticked(at, at)
    assert.equal(doubt.patienceMs, 0)
  })
})

describe('Slowness', () => {
  const { silenceMs, slownessMaxMs } = DETECTOR_DEFAULTS
  /** Ticks on time, a second apart, with this share of each spent in line for a core. */
  const waiting = (share: number): Slowness => {
    const slowness = new Slowness(DETECTOR_DEFAULTS)
    for (let at = 0; at <= 5; at += 1) slowness.ticked(0, at * share * 1000, at * 1000)
    return slowness
  }

  it('asks for nothing while ticks come in time and a core is there half of the time', () => {
    assert.equal(waiting(0.5).extraMs(5000), 0)
    const slowness = new Slowness(DETECTOR_DEFAULTS)
    slowness.ticked(300, 0, 1000)
    assert.equal(slowness.extraMs(1000), 0)
  })

  it('asks for what a process takes longer that waits for its core, up to a bound', () => {
    assert.equal(Math.round(waiting(0.6).extraMs(5000)), silenceMs / 2)
    assert.equal(waiting(0.9).extraMs(5000), slownessMaxMs)
    assert.equal(waiting(1.1).extraMs(5000), slownessMaxMs)
  })

  it('asks for more after a late tick, less with every second, and nothing after a freeze', () => {
    const slowness = new Slowness(DETECTOR_DEFAULTS)
    slowness.ticked(1300, 0, 1000)
    assert.equal(slowness.extraMs(1000), 3000)
    assert.equal(slowness.extraMs(3000), 1500)
    assert.equal(slowness.extraMs(30_000), 0)
    slowness.ticked(60_000, 0, 100_000)
    assert.equal(slowness.extraMs(100_000), 0)
  })

  it('is bounded and never grows without a new sign, whatever it is told', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ lateMs: fc.nat(20_000), waitMs: fc.nat(5000), passMs: fc.nat(5000) })),
        fc.nat(10_000),
        (ticks, laterMs) => {
          const slowness = new Slowness(DETECTOR_DEFAULTS)
          let nowMs = 0
          let waitedMs = 0
          for (const { lateMs, waitMs, passMs } of ticks) {
            nowMs += passMs
            waitedMs += waitMs
            slowness.ticked(lateMs, waitedMs, nowMs)
          }
          const extraMs = slowness.extraMs(nowMs)
          assert.ok(extraMs >= 0 && extraMs <= slownessMaxMs)
          assert.ok(slowness.extraMs(nowMs + laterMs) <= extraMs)
        },
      ),
    )
  })
})

describe('Watch', () => {
  const { beatIntervalMs, silenceMs, closeGraceMs, cutAfterMs } = DETECTOR_DEFAULTS
  const fresh = (): Watch => new Watch(DETECTOR_DEFAULTS, true, silenceMs, 0)

  it('counts from the last beat, and more shortly from a close', () => {
    const watch = fresh()
    watch.heard(500)
    assert.equal(watch.overdueAtMs(0), 500 + silenceMs)
    assert.equal(watch.overdueAtMs(700), 500 + silenceMs + 700)
    watch.disconnected(false, 900)
    assert.equal(watch.overdueAtMs(0), 900 + closeGraceMs)
    assert.equal(watch.overdueAtMs(700), 900 + closeGraceMs + 700)
    assert.equal(watch.overdueAtMs(9 * silenceMs), 900 + closeGraceMs + silenceMs)
  })

  it('gives an uneven member half as much again at most, and forgets', () => {
    const watch = fresh()
    watch.heard(1900)
    assert.equal(watch.overdueAtMs(0), 1900 + 1.5 * silenceMs)
    let nowMs = 1900
    for (let beat = 0; beat < 60; beat += 1) watch.heard((nowMs += 500))
    assert.equal(watch.overdueAtMs(0), nowMs + silenceMs)
  })

  it('gives a member what it asks for, up to a bound, and its own patience where that is more', () => {
    const { slownessMaxMs } = DETECTOR_DEFAULTS
    const watch = fresh()
    watch.heard(100, 1000)
    assert.equal(watch.overdueAtMs(0), 100 + silenceMs + 1000)
    assert.equal(watch.overdueAtMs(1000), 100 + silenceMs + 1000)
    assert.equal(watch.overdueAtMs(1500), 100 + silenceMs + 1500)
    watch.heard(200, 1e9)
    assert.equal(watch.overdueAtMs(0), 200 + silenceMs + slownessMaxMs)
    watch.disconnected(false, 300)
    assert.equal(watch.overdueAtMs(1e9), 300 + closeGraceMs + silenceMs)
    watch.connected(400)
    watch.heard(500)
    assert.equal(watch.overdueAtMs(0), 500 + silenceMs)
  })

  it('waits twice as long after each refutation by a member it does not hear', () => {
    const watch = fresh()
    watch.disconnected(true, 0)
    const waits = [1, 2, 3, 4, 5, 6, 7, 8].map((incarnation) => {
      watch.accuse(incarnation)
      watch.refuted(0)
      return watch.overdueAtMs(0) / silenceMs
    })
    assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 32, 32])
  })

  it('wants to be looked at for a late beat only once that is missing', () => {
    const watch = fresh()
    assert.equal(watch.probeDueMs(beatIntervalMs - 1), Number.POSITIVE_INFINITY)
    assert.equal(watch.probeDueMs(beatIntervalMs), 1.5 * beatIntervalMs)
    watch.heard(beatIntervalMs)
    assert.equal(watch.probeDueMs(beatIntervalMs), Number.POSITIVE_INFINITY)
    watch.disconnected(true, beatIntervalMs)
    assert.equal(watch.probeDueMs(9 * beatIntervalMs), Number.POSITIVE_INFINITY)
  })

  it('asks for a beat that is late, and gives a deaf connection up once', () => {
    const watch = fresh()
    const lateMs = 1.5 * beatIntervalMs
    assert.ok(!watch.probe(lateMs - 1))
    assert.ok(watch.probe(lateMs))
    assert.ok(!watch.probe(lateMs + 1))
    assert.equal(watch.probeDueMs(lateMs), lateMs + beatIntervalMs)
    watch.accuse(1)
    assert.ok(!watch.cut(cutAfterMs - 1))
    assert.ok(watch.cut(cutAfterMs))
    assert.ok(!watch.cut(cutAfterMs + 1))
  })
})

describe('Refutation (SWIM §4.2)', () => {
  it('answers a conviction at once and a suspicion after a second', () => {
    assert.ok(new Refutation().due(true, true, 1000))
    const patient = new Refutation()
    assert.ok(!patient.due(true, false, 1000))
    assert.ok(!patient.due(true, false, 1900))
    assert.ok(patient.due(true, false, 2000))
  })

  it('backs off while accusations recur, and forgets after a minute of peace', () => {
    const refutation = new Refutation()
    const atMs: number[] = []
    for (let nowMs = 0; nowMs < 300_000; nowMs += 100) if (refutation.due(true, true, nowMs)) atMs.push(nowMs)
    assert.deepEqual(atMs, [0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000, 183_000, 243_000])
    refutation.due(false, false, 300_000)
    refutation.due(false, false, 360_000)
    assert.ok(refutation.due(true, true, 361_000))
    assert.ok(refutation.due(true, true, 362_000))
  })
})

describe('Brake (S16)', () => {
  const me = 'me' as MemberId
  const well = (id: string): BrakeSubject => ({
    id: id as MemberId,
    dead: false,
    lostSinceMs: null,
    accusers: new Set(),
  })
  const gone = (id: string, lostSinceMs: number, by: readonly string[] = ['me']): BrakeSubject => ({
    id: id as MemberId,
    dead: true,
    lostSinceMs,
    accusers: new Set(by as readonly MemberId[]),
  })
  const brakeOver = (others: readonly BrakeSubject[], nowMs: number): number | null => {
    const brake = new Brake(me, DETECTOR_DEFAULTS)
    brake.update(others, nowMs)
    return brake.untilMs(nowMs)
  }

  it('takes more than half, lost together, whether silently or with a close', () => {
    assert.equal(brakeOver([gone('a', 900), gone('b', 1000), well('c')], 1000), 11_000)
    assert.equal(brakeOver([gone('a', 900), gone('b', 1000), well('c'), well('d')], 1000), null)
    const suspect = { ...gone('b', 1000), dead: false }
    assert.equal(brakeOver([gone('a', 900), suspect, well('c')], 1000), 11_000)
    assert.equal(brakeOver([gone('a', 0), gone('b', 50_000), well('c')], 50_000), null)
  })

  it('is not for one lost member, be it the only one', () => {
    assert.equal(brakeOver([gone('a', 1000)], 1000), null)
  })

  it('leaves out of the count who died long ago', () => {
    const old = ['x', 'y', 'z'].map((id) => gone(id, 0))
    assert.equal(brakeOver([...old, gone('a', 60_000), gone('b', 60_000), well('c')], 60_000), 70_000)
  })

  it('does not believe one single other accuser', () => {
    assert.equal(brakeOver([gone('a', 900, ['o']), gone('b', 900, ['o']), well('o')], 1000), null)
    assert.notEqual(brakeOver([gone('a', 900, ['o']), gone('b', 900, ['p']), well('o')], 1000), null)
  })

  it('holds until the view was stable for the hold, and then lets go for good', () => {
    const brake = new Brake(me, DETECTOR_DEFAULTS)
    brake.update([gone('a', 1000), gone('b', 1000), well('c')], 1000)
    brake.update([gone('a', 1000), gone('b', 1000), gone('c', 6000)], 6000)
    assert.equal(brake.untilMs(15_900), 16_000)
    assert.equal(brake.untilMs(16_000), null)
    brake.update([gone('a', 1000), gone('b', 1000), gone('c', 6000)], 17_000)
    assert.equal(brake.untilMs(17_000), null)
  })
})

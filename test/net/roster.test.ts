// The roster: states from statuses, and what a change of the rings may not change.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MemberId } from '../../lib/ids.ts'
import { DETECTOR_DEFAULTS, type ReportedAlert } from '../../net/detector-options.ts'
import type { MemberState } from '../../net/membership.ts'
import type { Rings } from '../../net/rings.ts'
import { Roster } from '../../net/roster.ts'

const id = (name: string): MemberId => name as MemberId
const observedAlwaysBy = (...observers: readonly string[]): Rings => ({
  observersOf: () => observers.map(id),
  observedBy: () => [],
})

class Fixture {
  readonly roster = new Roster(id('self'), DETECTOR_DEFAULTS, () => null)

  constructor(...members: readonly string[]) {
    this.roster.admit(members.map(id), 0)
  }

  status(
    member: string,
    incarnation: number,
    alerts: Readonly<Record<string, ReportedAlert>> = {},
    running = true,
    startedAt = incarnation,
  ): void {
    const entry = this.roster.get(id(member))
    assert.ok(entry !== undefined)
    entry.status = { incarnation, alerts: new Map(Object.entries(alerts)), running, startedAt }
  }

  state(member: string, rings: Rings): MemberState {
    this.roster.judge(rings, 0, 1000)
    return this.roster.get(id(member))?.state ?? 'left'
  }
}

const silent = (incarnation: number): ReportedAlert => ({ incarnation, silent: true })

describe('Roster', () => {
  it('goes alive, suspect, dead with the alerts, and back when they are voided', () => {
    const one = new Fixture('a', 'b', 'm')
    const rings = observedAlwaysBy('a', 'b', 'self')
    one.status('m', 4)
    assert.equal(one.state('m', rings), 'alive')
    one.status('a', 1, { m: silent(4) })
    assert.equal(one.state('m', rings), 'suspect')
    one.status('b', 1, { m: silent(3) })
    assert.equal(one.state('m', rings), 'suspect', 'an older incarnation is void')
    one.status('b', 1, { m: silent(5) })
    assert.equal(one.state('m', rings), 'dead', 'a newer one is not')
    one.status('m', 6)
    assert.equal(one.state('m', rings), 'alive')
  })

  it('holds a silent conviction while this peer is slow, one silence window at most, and no close', () => {
    const { silenceMs } = DETECTOR_DEFAULTS
    const one = new Fixture('a', 'b', 'm')
    const rings = observedAlwaysBy('a', 'b', 'self')
    const stateAt = (slownessMs: number, nowMs: number): MemberState => {
      one.roster.judge(rings, slownessMs, nowMs)
      return one.roster.get(id('m'))?.state ?? 'left'
    }
    one.status('m', 4)
    one.status('a', 1, { m: silent(4) })
    one.status('b', 1, { m: silent(4) })
    assert.equal(stateAt(9e9, 1000), 'suspect')
    assert.equal(one.roster.heldUntilMs, 1000 + silenceMs)
    one.status('b', 2)
    assert.equal(stateAt(9e9, 1100), 'suspect')
    assert.equal(one.roster.heldUntilMs, null)
    one.status('b', 2, { m: silent(4) })
    assert.equal(stateAt(500, 2000), 'suspect')
    assert.equal(stateAt(500, 2499), 'suspect')
    assert.equal(stateAt(500, 2500), 'dead')
    assert.equal(stateAt(9e9, 2600), 'dead')
    const two = new Fixture('a', 'b', 'm')
    two.status('m', 4)
    two.status('a', 1, { m: { incarnation: 4, silent: false } })
    two.status('b', 1, { m: silent(4) })
    two.roster.judge(rings, 9e9, 1000)
    assert.equal(two.roster.get(id('m'))?.state, 'dead')
  })

  it('keeps a dead member dead when new rings appoint others', () => {
    const one = new Fixture('a', 'b', 'c', 'd', 'e', 'm')
    one.status('a', 1, { m: silent(1) })
    one.status('b', 1, { m: silent(1) })
    assert.equal(one.state('m', observedAlwaysBy('a', 'b')), 'dead')
    assert.equal(one.state('m', observedAlwaysBy('a', 'c', 'd', 'e', 'self')), 'dead')
    one.status('b', 1)
    assert.equal(one.state('m', observedAlwaysBy('a', 'c', 'd', 'e', 'self')), 'suspect')
  })

  describe('an observer that begins anew', () => {
    const rings = observedAlwaysBy('a', 'b', 'self')
    const { startGraceMs, silenceMs, massDoubtMs } = DETECTOR_DEFAULTS
    const anew = (
      one: Fixture,
      member: string,
      alerts: Readonly<Record<string, ReportedAlert>> = {},
    ): void => {
      const before = one.roster.get(id(member))?.status
      assert.ok(before)
      one.status(member, before.incarnation + 1, alerts)
      const entry = one.roster.get(id(member))
      assert.ok(entry?.status)
      one.roster.restated(entry, before, entry.status, 1000)
    }
    const lost = (): Fixture => {
      const one = new Fixture('a', 'b', 'm')
      one.status('m', 1)
      one.status('a', 1, { m: silent(1) })
      one.status('b', 1, { m: silent(1) })
      assert.equal(one.state('m', rings), 'dead')
      anew(one, 'a')
      return one
    }

    it('leaves the dead dead until it can have seen for itself (L3)', () => {
      const one = lost()
      assert.equal(one.state('m', rings), 'dead')
      const untilMs = 1000 + startGraceMs + silenceMs + massDoubtMs
      assert.equal(one.roster.heldUntilMs, untilMs)
      one.roster.judge(rings, 0, untilMs)
      assert.equal(one.roster.get(id('m'))?.state, 'suspect')
      assert.equal(one.roster.heldUntilMs, null)
    })

    it('takes back what it does not say any more where it has only refuted an alert on itself', () => {
      const one = lost()
      for (const member of ['a', 'b']) {
        const before = one.roster.get(id(member))?.status
        assert.ok(before)
        one.status(member, before.incarnation + 1, {}, true, before.startedAt ?? 0)
        const entry = one.roster.get(id(member))
        assert.ok(entry?.status)
        one.roster.restated(entry, before, entry.status, 1000)
      }
      assert.equal(one.state('m', rings), 'alive')
    })

    it('is found to have refuted an alert only, also where that comes a word later', () => {
      const one = lost()
      const say = (member: string, startedAt: number | null): void => {
        const entry = one.roster.get(id(member))
        assert.ok(entry?.status)
        const before = entry.status
        entry.status = { incarnation: 9, alerts: new Map(), running: true, startedAt }
        one.roster.restated(entry, before, entry.status, 1000)
      }
      const began = one.roster.get(id('b'))?.status?.startedAt ?? 0
      say('b', null)
      assert.equal(one.state('m', rings), 'dead')
      say('b', began)
      assert.equal(one.state('m', rings), 'suspect')
    })

    it('takes nothing back where the number of its new life comes a word before what it says in it (L3)', () => {
      const one = lost()
      const say = (alerts: Readonly<Record<string, ReportedAlert>>, startedAt: number): void => {
        const entry = one.roster.get(id('b'))
        assert.ok(entry?.status)
        const before = entry.status
        one.status('b', 9, alerts, true, startedAt)
        one.roster.restated(entry, before, entry.status, 1000)
      }
      say({ m: silent(1) }, one.roster.get(id('b'))?.status?.startedAt ?? 0)
      say({}, 9)
      assert.equal(one.state('m', rings), 'dead')
    })

    it('convicts nobody by what it said of a suspect', () => {
      const one = new Fixture('a', 'b', 'm')
      one.status('m', 1)
      one.status('a', 1, { m: silent(1) })
      assert.equal(one.state('m', rings), 'suspect')
      anew(one, 'a')
      assert.equal(one.state('m', rings), 'alive')
    })

    it('is not quoted any more once a newer incarnation, a connection or another observer shows that it was wrong', () => {
      const refuted = lost()
      refuted.status('m', 2)
      assert.equal(refuted.state('m', rings), 'alive')
      const met = lost()
      met.roster.heardOf(id('m'))
      assert.equal(met.state('m', rings), 'suspect')
      const retracted = lost()
      const b = retracted.roster.get(id('b'))
      assert.ok(b?.status)
      const before = b.status
      retracted.status('b', 1)
      retracted.roster.restated(b, before, { ...before, alerts: new Map() }, 1000)
      assert.equal(retracted.state('m', rings), 'alive')
    })
  })

  it('does not hear the alerts of whoever left, was removed or is unknown', () => {
    const one = new Fixture('a', 'b', 'm')
    const rings = observedAlwaysBy('a', 'b', 'self')
    one.status('a', 1, { m: silent(1) })
    one.status('b', 1, { m: silent(1) })
    assert.equal(one.state('m', rings), 'dead')
    one.status('b', 1, { m: silent(1) }, false)
    assert.equal(one.state('b', rings), 'left')
    assert.equal(one.state('m', rings), 'suspect')
    one.roster.admit([id('b'), id('m')], 2000)
    assert.equal(one.state('m', rings), 'alive')
  })

  it('calls a loss silent only while none of its accusers saw a close', () => {
    const one = new Fixture('a', 'b', 'm')
    const rings = observedAlwaysBy('a', 'b')
    one.status('a', 1, { m: silent(1) })
    assert.equal(one.state('m', rings), 'suspect')
    assert.equal(one.roster.get(id('m'))?.silent, true)
    one.status('b', 1, { m: { incarnation: 1, silent: false } })
    assert.equal(one.state('m', rings), 'dead')
    assert.equal(one.roster.get(id('m'))?.silent, false)
  })
})

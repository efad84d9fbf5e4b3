import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Ask, LeaseQuestion, VoterSet } from '../../../../crdt/schema/lease.ts'
import { seededRandom } from '../../../../lib/random.ts'
import { Holder, type HolderScene } from '../../../../node/plan/lease/holder.ts'
import {
  ANSWER_MS,
  HOLD_MS,
  isQuorum,
  LEASE_MS,
  RENEW_MS,
  shortageOf,
} from '../../../../node/plan/lease/terms.ts'
import { Voter } from '../../../../node/plan/lease/voter.ts'

const SLOT = 'shop/lock/0'
const three: VoterSet = { epoch: 2, former: null, present: ['a', 'b', 'c'] }

const askOf = (token: number, voters: VoterSet = three): LeaseQuestion => ({
  voters,
  session: 1,
  asks: [{ slot: SLOT, token }],
  releases: [],
  change: null,
})

/** A voter that has run for long. */
const voterOf = (voters: VoterSet = three): Voter => {
  const voter = new Voter('a', null, 0)
  // One that hears of voters after it was one of them has lost its disk; this one has been here all along.
  for (const known of [{ ...voters, epoch: voters.epoch - 1 }, voters]) {
    const adopted = voter.adopt(known, 0)
    assert.ok(adopted !== null)
    voter.install(adopted)
  }
  return voter
}

const refusalOf = (voter: Voter, from: string, question: LeaseQuestion, nowMs: number): string | null => {
  const verdict = voter.judge(from, question, { nowMs, wall: nowMs })
  voter.install(verdict)
  return verdict.answer.grants[0]?.refusal ?? null
}

describe('a voter', () => {
  it('promises a slot to one holder until its lease is over on its own clock (S9)', () => {
    const voter = voterOf()
    assert.equal(refusalOf(voter, 'b', askOf(1), 20_000), null)
    assert.equal(refusalOf(voter, 'c', askOf(2), 20_000 + LEASE_MS - 1), 'held')
    assert.equal(refusalOf(voter, 'c', askOf(2), 20_000 + LEASE_MS), null)
  })

  it('takes no token twice, and none that is lower (S9)', () => {
    const voter = voterOf()
    assert.equal(refusalOf(voter, 'b', askOf(7), 20_000), null)
    assert.equal(refusalOf(voter, 'b', askOf(7), 21_000), 'stale')
    assert.equal(refusalOf(voter, 'c', askOf(6), 60_000), 'stale')
    assert.equal(refusalOf(voter, 'c', askOf(8), 60_000), null)
  })

  it('changes nothing before its record is installed', () => {
    const voter = voterOf()
    voter.judge('b', askOf(1), { nowMs: 20_000, wall: 20_000 })
    assert.deepEqual(voter.promises(20_000), [])
    assert.equal(refusalOf(voter, 'c', askOf(1), 20_000), null)
  })

  it('promises nothing for a whole lease after a start, but to the holder that its disk names (S9)', () => {
    const before = voterOf()
    const verdict = before.judge('b', askOf(1), { nowMs: 20_000, wall: 20_000 })
    const voter = new Voter('a', verdict.record, 500_000)
    assert.equal(refusalOf(voter, 'c', askOf(2), 500_000 + LEASE_MS - 1), 'fresh')
    const other = new Voter('a', verdict.record, 500_000)
    const soon = other.judge('b', askOf(100), { nowMs: 500_001, wall: 21_000 })
    assert.equal(soon.answer.grants[0]?.refusal, null)
    const late = other.judge('b', askOf(100), { nowMs: 500_001, wall: 20_000 + LEASE_MS })
    assert.equal(late.answer.grants[0]?.refusal, 'fresh')
  })

  it('writes a promise that goes on later, and takes no token again that it gave meanwhile (S9)', () => {
    const voter = voterOf()
    const first = voter.judge('b', askOf(10), { nowMs: 20_000, wall: 20_000 })
    voter.install(first)
    assert.deepEqual([first.record?.promises.length, voter.isLate], [1, false])
    let last = 10
    for (let token = 11; token < 1000; token += 1) {
      const verdict = voter.judge('b', askOf(token), { nowMs: 20_000 + token, wall: 20_000 })
      assert.equal(verdict.answer.grants[0]?.refusal, null)
      // So far ahead of the disk that it must be told first.
      if (verdict.record !== null) break
      voter.install(verdict)
      last = token
    }
    assert.ok(last > 10 && last < 100)
    assert.equal(voter.isLate, true)
    const anew = new Voter('a', first.record, 0)
    assert.equal(refusalOf(anew, 'c', askOf(last), 2 * LEASE_MS), 'stale')
    assert.equal(refusalOf(anew, 'c', askOf(last + 100), 2 * LEASE_MS), null)
    const flushed = voter.flush()
    assert.ok(flushed !== null)
    voter.install(flushed)
    assert.deepEqual([voter.isLate, voter.flush()], [false, null])
  })

  it('writes at once what is promised to another start, in another epoch, or after it was over (S9)', () => {
    const isWritten = (question: LeaseQuestion, nowMs: number): boolean => {
      const voter = voterOf()
      assert.equal(refusalOf(voter, 'b', askOf(10), 20_000), null)
      const verdict = voter.judge('b', question, { nowMs, wall: nowMs })
      assert.equal(verdict.answer.grants[0]?.refusal, null)
      return verdict.record !== null
    }
    assert.equal(isWritten(askOf(11), 21_000), false)
    assert.equal(isWritten({ ...askOf(11), session: 2 }, 21_000), true)
    assert.equal(isWritten(askOf(11, { ...three, epoch: 3 }), 21_000), true)
    assert.equal(isWritten(askOf(11), 20_000 + LEASE_MS), true)
    assert.equal(
      isWritten(
        {
          ...askOf(11),
          asks: [
            { slot: SLOT, token: 11 },
            { slot: 'shop/lock/1', token: 1 },
          ],
        },
        21_000,
      ),
      true,
    )
  })

  it('keeps its tokens through a restart (S9)', () => {
    const verdict = voterOf().judge('b', askOf(9), { nowMs: 20_000, wall: 20_000 })
    const voter = new Voter('a', verdict.record, 0)
    assert.equal(refusalOf(voter, 'c', askOf(9), 50_000), 'stale')
  })

  it('gives a promise up when its holder gives it back, and not for an older word of it', () => {
    const voter = voterOf()
    assert.equal(refusalOf(voter, 'b', askOf(5), 20_000), null)
    const release = (token: number): LeaseQuestion => ({
      ...askOf(6),
      asks: [],
      releases: [{ slot: SLOT, token }],
    })
    refusalOf(voter, 'b', release(4), 20_100)
    refusalOf(voter, 'c', release(9), 20_100)
    assert.equal(refusalOf(voter, 'c', askOf(6), 20_200), 'held')
    refusalOf(voter, 'b', release(5), 20_300)
    assert.equal(refusalOf(voter, 'c', askOf(6), 20_400), null)
  })

  it('leaves no voters behind while a promise of an older epoch may run (S9)', () => {
    const voter = voterOf({ epoch: 1, former: null, present: ['a'] })
    const ballot = { round: 1, by: 'a' }
    const prepare = (epoch: number): LeaseQuestion => ({
      ...askOf(1),
      asks: [],
      change: { kind: 'prepare', epoch, ballot },
    })
    const voters = { epoch: 1, former: null, present: ['a'] }
    assert.equal(refusalOf(voter, 'b', askOf(1, voters), 20_000), null)
    const next = voter.adopt({ epoch: 2, former: ['a'], present: ['a', 'b'] }, 20_000)
    assert.ok(next !== null)
    voter.install(next)
    const early = voter.judge('a', prepare(2), { nowMs: 20_000 + LEASE_MS - 1, wall: 0 })
    assert.equal(early.answer.change?.agreed, false)
    const late = voter.judge('a', prepare(2), { nowMs: 20_000 + LEASE_MS, wall: 0 })
    assert.equal(late.answer.change?.agreed, true)
  })

  it('promises nothing for a lease after it has taken over voters in the place of lost ones (S9)', () => {
    const voters = { epoch: 2000, former: null, present: ['a'] }
    const told = voterOf()
    const replaced = told.replace(voters, 20_000)
    assert.ok(replaced !== null)
    told.install(replaced)
    const heard = voterOf()
    const adopted = heard.adopt(voters, 20_000)
    assert.ok(adopted !== null)
    heard.install(adopted)
    for (const voter of [told, heard]) {
      assert.equal(refusalOf(voter, 'b', askOf(1, voters), 20_000 + LEASE_MS - 1), 'fresh')
      assert.equal(refusalOf(voter, 'b', askOf(1, voters), 20_000 + LEASE_MS), null)
      assert.equal(voter.replace({ ...voters, epoch: 1999 }, 40_000), null)
    }
  })

  it('votes on the next change although it knew nobody before it was told of the voters', () => {
    const voters = { epoch: 2000, former: null, present: ['a', 'b'] }
    const voter = new Voter('a', null, 0)
    const change = { kind: 'replace', epoch: 2000, ballot: { round: 0, by: 'b' }, voters } as const
    const told = voter.judge('b', { ...askOf(1), voters: null, asks: [], change }, { nowMs: 20_000, wall: 0 })
    assert.equal(told.answer.change?.agreed, true)
    assert.equal(told.record?.forgetful, false)
  })

  it('counts a promise of an older epoch also when it has promised the same holder anew (S9)', () => {
    const voter = voterOf()
    assert.equal(refusalOf(voter, 'b', askOf(1), 20_000), null)
    const joint = { epoch: 3, former: three.present, present: ['c'] }
    const next = voter.adopt(joint, 20_000)
    assert.ok(next !== null)
    voter.install(next)
    // No word of what the others said: the lease of epoch 2 may be all that b has.
    assert.equal(refusalOf(voter, 'b', askOf(2, joint), 23_000), null)
    const prepare: LeaseQuestion = {
      ...askOf(1, joint),
      asks: [],
      change: { kind: 'prepare', epoch: 3, ballot: { round: 1, by: 'c' } },
    }
    const early = voter.judge('c', prepare, { nowMs: 20_000 + LEASE_MS - 1, wall: 0 })
    assert.equal(early.answer.change?.agreed, false)
    const late = voter.judge('c', prepare, { nowMs: 20_000 + LEASE_MS, wall: 0 })
    assert.equal(late.answer.change?.agreed, true)
  })

  it('takes nothing back on the word of an earlier start of its holder (S9)', () => {
    const voter = voterOf()
    assert.equal(refusalOf(voter, 'b', { ...askOf(5), session: 2 }, 20_000), null)
    refusalOf(voter, 'b', { ...askOf(5), session: 1, asks: [], releases: [{ slot: SLOT, token: 9 }] }, 20_100)
    assert.equal(refusalOf(voter, 'c', askOf(6), 20_200), 'held')
  })

  it('agrees to a ballot once, whoever was restarted in between', () => {
    const voter = voterOf()
    const question: LeaseQuestion = {
      ...askOf(1),
      asks: [],
      change: { kind: 'prepare', epoch: 2, ballot: { round: 1, by: 'b' } },
    }
    const first = voter.judge('b', question, { nowMs: 20_000, wall: 0 })
    voter.install(first)
    const second = voter.judge('b', question, { nowMs: 20_001, wall: 0 })
    assert.equal(first.answer.change?.agreed, true)
    assert.equal(second.answer.change?.agreed, false)
  })

  it('refuses voters of an older epoch and names its own', () => {
    const voter = voterOf()
    const old = { epoch: 1, former: null, present: ['b'] }
    const { answer } = voter.judge('b', askOf(1, old), { nowMs: 20_000, wall: 0 })
    assert.equal(answer.grants[0]?.refusal, 'voters')
    assert.deepEqual(answer.voters, three)
  })
})

describe('a holder', () => {
  const sceneAt = (nowMs: number): HolderScene => ({
    nowMs,
    wall: 0,
    voters: three,
    inSight: new Set(['a', 'b', 'c']),
    nameOf: (member) => member,
  })
  const grant = (token: number, slot = SLOT) => ({
    voters: three,
    grants: [{ slot, token, refusal: null, seen: token, holder: 'a' }],
    change: null,
  })
  /** A majority promises all that was asked for, at once. */
  const grantAll = (holder: Holder, asks: readonly Ask[], nowMs: number): void => {
    for (const { slot, token } of asks)
      for (const voter of ['a', 'b']) holder.receive(voter, grant(token, slot), sceneAt(nowMs))
  }

  it('counts its lease from before it asked, and needs a majority (S9)', () => {
    const holder = new Holder(seededRandom('holder'))
    holder.want([{ slot: SLOT, above: 0, running: false, stopAheadMs: 0 }], 1000)
    const token = holder.tick(sceneAt(1000)).effects[0]?.asks[0]?.token ?? 0
    assert.deepEqual(holder.receive('a', grant(token), sceneAt(1700)).renewed, [])
    assert.equal(holder.standings(1700).get(SLOT)?.kind, 'none')
    assert.deepEqual(holder.receive('b', grant(token), sceneAt(2300)).renewed, [SLOT])
    const standing = holder.standings(2300).get(SLOT)
    assert.deepEqual(standing, { kind: 'held', token, untilMs: 1000 + HOLD_MS, fresh: true })
    assert.equal(holder.standings(1000 + HOLD_MS).get(SLOT)?.kind, 'none')
  })

  it('has no run begin with a token that a run before was told of when its lease was renewed (S9)', () => {
    const holder = new Holder(seededRandom('holder'))
    const wish = { slot: SLOT, above: 0, running: false, stopAheadMs: 0 }
    const renewed = (nowMs: number): boolean => {
      const token = holder.tick(sceneAt(nowMs)).effects[0]?.asks[0]?.token
      assert.ok(token !== undefined, 'it asks')
      holder.receive('a', grant(token), sceneAt(nowMs))
      holder.receive('b', grant(token), sceneAt(nowMs))
      const standing = holder.standings(nowMs).get(SLOT)
      return standing?.kind === 'held' && standing.fresh
    }
    holder.want([wish], 0)
    assert.equal(renewed(0), true)
    const { token = 0 } = holder.standings(0).get(SLOT) as { token?: number }
    holder.want([{ ...wish, above: token, running: true }], 10)
    assert.equal(renewed(5000), false)
    // It has ended: the next one waits for a token of its own, which is asked for at once.
    holder.want([{ ...wish, above: token }], 5010)
    assert.equal(renewed(5010), true)
  })

  it('tells when a lease that was not renewed nears its end and when it ends, and nothing of one that was', () => {
    const holder = new Holder(seededRandom('holder'))
    holder.want([{ slot: SLOT, above: 0, running: true, stopAheadMs: 2000 }], 0)
    const told: number[] = []
    const renew = (nowMs: number): void => {
      const { effects, changed } = holder.tick(sceneAt(nowMs))
      if (changed) told.push(nowMs)
      const token = effects[0]?.asks[0]?.token ?? 0
      for (const voter of ['a', 'b']) holder.receive(voter, grant(token), sceneAt(nowMs))
    }
    for (const nowMs of [0, 3000, 6000, 9000]) renew(nowMs)
    const untilMs = 9000 + HOLD_MS
    for (const nowMs of [untilMs - 2001, untilMs - 2000, untilMs - 1, untilMs, untilMs + 1])
      if (holder.tick(sceneAt(nowMs)).changed) told.push(nowMs)
    assert.deepEqual(told, [untilMs - 2000, untilMs])
    assert.ok(holder.dueMs > untilMs)
  })

  it('comes to renew all that it holds together, whenever it began with each, and never later than alone', () => {
    for (const offsetMs of [1, 700, 1499, 1500, 1501, 2200, 2999]) {
      const holder = new Holder(seededRandom('holder'))
      const wishes = [SLOT, 'shop/lock/1'].map((slot) => ({ slot, above: 0, running: false, stopAheadMs: 0 }))
      const rounds: { readonly atMs: number; readonly slots: readonly string[] }[] = []
      const turn = (nowMs: number): void => {
        const { effects } = holder.tick(sceneAt(nowMs))
        const asks = effects[0]?.asks ?? []
        if (asks.length > 0) rounds.push({ atMs: nowMs, slots: asks.map(({ slot }) => slot) })
        grantAll(holder, asks, nowMs)
      }
      holder.want(wishes.slice(0, 1), 0)
      turn(0)
      for (let nowMs = offsetMs; nowMs < 30_000; nowMs = holder.dueMs) {
        if (nowMs === offsetMs) holder.want(wishes, nowMs)
        turn(nowMs)
      }
      const late = rounds.filter(({ atMs }) => atMs >= 2 * RENEW_MS)
      assert.deepEqual(new Set(late.map(({ slots }) => slots.length)), new Set([2]), `${offsetMs}`)
      for (const slot of [SLOT, 'shop/lock/1']) {
        const times = rounds.filter(({ slots }) => slots.includes(slot)).map(({ atMs }) => atMs)
        const gaps = times.slice(1).map((atMs, at) => atMs - (times[at] ?? 0))
        assert.ok(Math.max(...gaps) <= RENEW_MS, `${offsetMs}: ${gaps.join(' ')}`)
      }
    }
  })

  it('has a round that failed wait for its time, though others are renewed meanwhile', () => {
    const holder = new Holder(seededRandom('holder'))
    const wishes = [SLOT, 'shop/lock/1'].map((slot) => ({ slot, above: 0, running: false, stopAheadMs: 0 }))
    const asked = (nowMs: number, answering: boolean): readonly string[] => {
      const asks = holder.tick(sceneAt(nowMs)).effects[0]?.asks ?? []
      if (answering) grantAll(holder, asks, nowMs)
      return asks.map(({ slot }) => slot)
    }
    holder.want(wishes.slice(0, 1), 0)
    assert.deepEqual(asked(0, true), [SLOT])
    assert.deepEqual(asked(RENEW_MS, false), [SLOT])
    const failedMs = RENEW_MS + ANSWER_MS
    assert.deepEqual(asked(failedMs, false), [])
    // The second slot's lease is got, and asked for anew as soon as a run has been given its token.
    holder.want(wishes, failedMs)
    assert.deepEqual(asked(failedMs, true), ['shop/lock/1'])
    const given = wishes.map((wish, at) => ({ ...wish, above: at === 0 ? 0 : Number.MAX_SAFE_INTEGER / 2 }))
    holder.want(given, failedMs + 1)
    assert.deepEqual(asked(failedMs + 1, false), ['shop/lock/1'])
  })

  it('gives back what a few have promised, unless something of the slot runs here', () => {
    const releases = [false, true].map((running) => {
      const holder = new Holder(seededRandom('holder'))
      holder.want([{ slot: SLOT, above: 0, running, stopAheadMs: 0 }], 0)
      const token = holder.tick(sceneAt(0)).effects[0]?.asks[0]?.token ?? 0
      holder.receive('a', grant(token), sceneAt(10))
      return holder.tick(sceneAt(1600)).effects[0]?.releases.length ?? 0
    })
    assert.deepEqual(releases, [1, 0])
  })
})

describe('a majority', () => {
  it('of voters that change is one of the former and one of the present ones', () => {
    const voters = { epoch: 3, former: ['a'], present: ['a', 'b', 'c'] }
    assert.equal(isQuorum(voters, new Set(['b', 'c'])), false)
    assert.equal(isQuorum(voters, new Set(['a', 'b'])), true)
  })

  it('that is missing is told in words', () => {
    const two = { epoch: 1, former: null, present: ['a', 'b'] }
    assert.equal(shortageOf(two, new Set(['b'])), 'needs 2 of 2 voters; only 1 is in sight')
  })
})

// The dialler against a small model of a network: reachable members answer, dead ones time out.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MemberId } from '../../lib/ids.ts'
import { seededRandom } from '../../lib/random.ts'
import { mergeAddresses } from '../../net/addresses.ts'
import { Dialler, type DialEffect, type DialTarget } from '../../net/dialler.ts'

const DIAL_TIMEOUT_MS = 3000
const STEP_MS = 10

const named = (count: number): readonly MemberId[] =>
  Array.from({ length: count }, (_, at) => `m${String(at).padStart(3, '0')}` as MemberId)

const target = (id: MemberId, lost = false): DialTarget => ({ id, addresses: [`/dns4/${id}/tcp/1`], lost })

/** One peer's dialler; `reachable` members are connected after 20 ms, all others time out. */
class Bench {
  readonly dialler: Dialler
  readonly reachable = new Set<MemberId>()
  readonly connected = new Set<MemberId>()
  readonly dials: { atMs: number; member: MemberId }[] = []
  readonly cuts: MemberId[] = []
  nowMs = 0
  dialling = 0
  diallingMax = 0
  /** A gater that lets in and throws out: connections that end after so long. */
  livesMs = Number.POSITIVE_INFINITY
  readonly #later: { atMs: number; run: () => void }[] = []

  constructor(self: MemberId, seed: string) {
    this.dialler = new Dialler(self, seededRandom(seed))
  }

  run(durationMs: number): void {
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; this.nowMs += STEP_MS) {
      for (const item of this.#later.splice(0)) {
        if (item.atMs <= this.nowMs) item.run()
        else this.#later.push(item)
      }
      if (this.dialler.nextTickMs <= this.nowMs) {
        for (const effect of this.dialler.tick(this.nowMs)) this.#perform(effect)
      }
    }
  }

  runUntil(condition: () => boolean, limitMs: number): number {
    const startMs = this.nowMs
    while (this.nowMs - startMs < limitMs) {
      this.run(STEP_MS)
      if (condition()) return this.nowMs - startMs
    }
    return Number.POSITIVE_INFINITY
  }

  connect(member: MemberId): void {
    if (this.connected.has(member)) return
    this.connected.add(member)
    this.dialler.connected(member, this.nowMs)
    if (this.livesMs < Number.POSITIVE_INFINITY) this.#after(this.livesMs, () => this.disconnect(member))
  }

  disconnect(member: MemberId): void {
    if (this.connected.delete(member)) this.dialler.disconnected(member, this.nowMs)
  }

  #after(delayMs: number, run: () => void): void {
    this.#later.push({ atMs: this.nowMs + delayMs, run })
  }

  #perform(effect: DialEffect): void {
    if (effect.kind === 'disconnect') {
      this.cuts.push(effect.member)
      this.disconnect(effect.member)
      return
    }
    const { member } = effect
    this.dials.push({ atMs: this.nowMs, member })
    this.dialling += 1
    this.diallingMax = Math.max(this.diallingMax, this.dialling)
    const finish = (ok: boolean): void => {
      this.dialling -= 1
      if (ok) this.connect(member)
      this.dialler.dialled(member, ok, this.nowMs)
    }
    if (this.reachable.has(member)) this.#after(20, () => finish(true))
    // A SYN is sent again after a second: a member that came back meanwhile answers that one.
    else
      this.#after(1000, () =>
        this.reachable.has(member) ? finish(true) : this.#after(2000, () => finish(false)),
      )
  }
}

const bench = (self: MemberId, members: readonly MemberId[], seed = 'dialler'): Bench => {
  const made = new Bench(self, seed)
  made.dialler.setMembers(
    members.map((id) => target(id)),
    0,
  )
  return made
}

describe('dialler', () => {
  it('dials a member at once where it says that it is now', () => {
    const dialler = new Dialler('a' as MemberId, seededRandom('moved'))
    const b = 'b' as MemberId
    dialler.setMembers([target(b)], 0)
    assert.deepEqual(
      dialler.tick(0).map(({ kind }) => kind),
      ['dial'],
    )
    dialler.dialled(b, false, 20)
    dialler.setAddresses(b, ['/dns4/elsewhere/tcp/1'], 30)
    dialler.setAddresses('c' as MemberId, ['/dns4/nobody/tcp/1'], 30)
    assert.ok(dialler.nextTickMs <= 30)
    assert.deepEqual(dialler.tick(30), [{ kind: 'dial', member: b, addresses: ['/dns4/elsewhere/tcp/1'] }])
  })

  const [self = '' as MemberId, ...others] = named(200)

  it('holds a full mesh up to a dozen members', () => {
    const small = bench(self, named(12))
    for (const id of named(12)) small.reachable.add(id)
    small.run(2000)
    assert.equal(small.connected.size, 11)
    assert.equal(small.dials.length, 11)
    small.run(60_000)
    assert.equal(small.dials.length, 11, 'nothing is dialled when all is well')
  })

  it('holds its neighbours and eight random others above that, and different ones on each peer', () => {
    const picks = ['a', 'b'].map((seed) => {
      const large = bench(self, named(100), seed)
      for (const id of others) large.reachable.add(id)
      large.dialler.setNeighbours(others.slice(0, 10), 0)
      large.run(5000)
      assert.ok(others.slice(0, 10).every((id) => large.connected.has(id)))
      assert.equal(large.connected.size, 18)
      return [...large.connected].sort().join()
    })
    assert.notEqual(picks[0], picks[1])
  })

  it('replaces random others that cannot be reached', () => {
    const large = bench(self, named(100))
    for (const id of others.slice(50)) large.reachable.add(id)
    large.run(30_000)
    assert.ok(large.connected.size >= 8, `${large.connected.size} connections`)
  })

  it('dials at once again after a lasting connection ended', () => {
    const small = bench(self, named(3))
    for (const id of named(3)) small.reachable.add(id)
    small.run(10_000)
    small.disconnect('m001' as MemberId)
    assert.ok(small.runUntil(() => small.connected.size === 2, 1000) <= 100)
  })

  it('reaches one living member within three seconds among sixty dead ones, however long all were away', () => {
    for (const awayMs of [1000, 30_000, 600_000]) {
      for (const seed of ['a', 'b', 'c', 'd']) {
        const crowd = bench(self, named(62), seed)
        const living = named(62)[31] ?? self
        crowd.dialler.setMembers(
          others.slice(0, 61).map((id) => target(id, true)),
          0,
        )
        crowd.run(awayMs)
        crowd.reachable.add(living)
        const durationMs = crowd.runUntil(() => crowd.connected.has(living), 20_000)
        // One end alone: its last SYN may be two seconds old. The other end dials as well.
        assert.ok(durationMs <= 5000, `${awayMs} ms away: ${durationMs} ms`)
        assert.ok(crowd.diallingMax <= 48)
      }
    }
  })

  it('lets a member that just went before all that failed for long', () => {
    const back = 'm001' as MemberId
    for (let at = 0; at < 10; at += 1) {
      const crowd = bench(self, named(150))
      crowd.dialler.setMembers(
        named(150).map((id) => target(id, id !== back)),
        0,
      )
      crowd.reachable.add(back)
      crowd.run(60_000 + 310 * at)
      crowd.disconnect(back)
      assert.ok(crowd.runUntil(() => crowd.connected.has(back), 5000) <= 40)
    }
  })

  it('starves nobody: every dead member is dialled again and again', () => {
    const crowd = bench(self, named(100))
    crowd.dialler.setMembers(
      named(100).map((id) => target(id, true)),
      0,
    )
    crowd.run(60_000)
    const from = crowd.dials.length
    crowd.run(20_000)
    const again = new Set(crowd.dials.slice(from).map((dial) => dial.member))
    assert.equal(again.size, 99)
  })

  it('meets after a partition within three seconds, from both ends together', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const a = bench('a' as MemberId, ['a', 'b'] as readonly string[] as readonly MemberId[], `a${seed}`)
      const b = bench('b' as MemberId, ['a', 'b'] as readonly string[] as readonly MemberId[], `b${seed}`)
      for (let step = 0; step < 6000 + seed * 7; step += 1) {
        a.run(STEP_MS)
        b.run(STEP_MS)
      }
      a.reachable.add('b' as MemberId)
      b.reachable.add('a' as MemberId)
      let waitedMs = 0
      while (a.connected.size + b.connected.size === 0 && waitedMs < 10_000) {
        a.run(STEP_MS)
        b.run(STEP_MS)
        waitedMs += STEP_MS
      }
      assert.ok(waitedMs <= 3000, `seed ${seed}: ${waitedMs} ms`)
    }
  })

  it('lets the smaller id dial first, so that two ends do not dial each other', () => {
    const pair = ['a', 'b'] as readonly string[] as readonly MemberId[]
    const a = bench('a' as MemberId, pair)
    const b = bench('b' as MemberId, pair)
    a.reachable.add('b' as MemberId)
    for (let step = 0; step < 500; step += 1) {
      a.run(STEP_MS)
      if (a.connected.size > 0) b.connect('a' as MemberId)
      b.run(STEP_MS)
    }
    assert.equal(a.dials.length, 1)
    assert.equal(b.dials.length, 0)
  })

  it('backs off from a member that lets it in and throws it out', () => {
    const small = bench(self, named(2))
    small.reachable.add('m001' as MemberId)
    small.livesMs = 300
    small.run(60_000)
    assert.ok(small.dials.length < 60, `${small.dials.length} dials in a minute`)
    assert.ok(small.dials.length > 20, 'but for ever')
  })

  it('tries a new address at once', () => {
    const small = bench(self, named(2))
    small.run(60_000)
    small.reachable.add('m001' as MemberId)
    const moved = { id: 'm001' as MemberId, addresses: ['/ip4/10.0.0.9/tcp/1'], lost: true }
    small.run(DIAL_TIMEOUT_MS)
    small.disconnect('m001' as MemberId)
    small.dialler.setMembers([moved], small.nowMs)
    assert.ok(small.runUntil(() => small.connected.size === 1, 5000) <= 1600)
  })

  it('forgets a dial whose outcome never comes', () => {
    const dialler = new Dialler(self, seededRandom('lost'))
    dialler.setMembers([target('m001' as MemberId)], 0)
    assert.equal(dialler.tick(0).length, 1)
    assert.equal(dialler.tick(5000).length, 0)
    assert.equal(dialler.nextTickMs, 10_000)
    dialler.tick(10_000)
    assert.equal(dialler.tick(12_000).length, 1)
  })

  it('hardly looks again while it is connected to everybody', () => {
    const small = bench(self, named(3))
    for (const id of ['m001', 'm002'] as readonly string[] as readonly MemberId[]) {
      small.reachable.add(id)
      small.connect(id)
    }
    small.run(1000)
    let looks = 0
    for (const endMs = small.nowMs + 60_000; small.nowMs < endMs; small.run(STEP_MS))
      if (small.dialler.nextTickMs <= small.nowMs) looks += 1
    assert.ok(looks <= 12, `${looks} looks in a minute`)
  })

  it('lets go of surplus connections slowly, never of neighbours, and not of a few', () => {
    const large = bench(self, named(100))
    const neighbours = others.slice(0, 5)
    large.dialler.setNeighbours(neighbours, 0)
    for (const id of others.slice(0, 40)) large.connect(id)
    large.run(29_000)
    assert.deepEqual(large.cuts, [])
    large.run(21_000)
    assert.ok(large.cuts.length >= 3 && large.cuts.length <= 6, `${large.cuts.length} cut`)
    large.run(120_000)
    assert.ok(neighbours.every((id) => large.connected.has(id)))
    const left = large.connected.size
    assert.ok(left >= 13 && left <= 29, `${left} left`)
    const cuts = large.cuts.length
    large.run(120_000)
    assert.equal(large.cuts.length, cuts, 'and then rests')
  })
})

describe('mergeAddresses', () => {
  it('keeps the order of trust, each address once, and at most sixteen', () => {
    assert.deepEqual(mergeAddresses(['b'], ['a', 'b'], []), ['b', 'a'])
    assert.equal(mergeAddresses(Array.from({ length: 40 }, (_, at) => `${at}`)).length, 16)
  })
})

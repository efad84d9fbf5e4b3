// The fetch machine in a small model of a swarm: members with a pace and with manners, time in steps.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MemberId } from '../../lib/ids.ts'
import { seededRandom, type Random } from '../../lib/random.ts'
import { Fetch, hasBit, OUTSTANDING_BYTES_MAX, type FetchEffect } from '../../net/fetch.ts'

const STEP_MS = 20
const TELL_MS = 140
const CHUNK_BYTES = 64 * 1024
const ORIGIN = 'origin' as MemberId

/** How a member answers. */
interface Manners {
  /** Chunks that it sends in a step, to all together. */
  readonly pace: number
  readonly lies: boolean
  /** Takes questions and answers none. */
  readonly hangs: boolean
  readonly diesAtMs: number
}

const GOOD: Manners = { pace: 8, lies: false, hangs: false, diesAtMs: Infinity }

/** A member that follows another's words of what it has. */
interface Following {
  readonly of: MemberId
  readonly to: MemberId
  readonly ask: number
}

interface Answer {
  readonly of: MemberId
  readonly to: MemberId
  readonly ask: number
  readonly chunks: number[]
}

class Swarm {
  readonly chunks: number
  readonly manners = new Map<MemberId, Manners>()
  readonly fetches = new Map<MemberId, Fetch>()
  readonly sent = new Map<MemberId, number>()
  answers: Answer[] = []
  followings: Following[] = []
  nowMs = 0
  /** The most that was on its way to one fetch. */
  outstandingMax = 0
  readonly #random: Random

  constructor(chunks: number, fetchers: number, seed: string) {
    this.chunks = chunks
    this.#random = seededRandom(seed)
    this.manners.set(ORIGIN, GOOD)
    for (let at = 0; at < fetchers; at += 1) {
      const id = `f${at}` as MemberId
      this.manners.set(id, GOOD)
      const lengths = Array.from({ length: chunks }, () => CHUNK_BYTES)
      this.fetches.set(
        id,
        new Fetch({ self: id, lengths, here: [], random: this.#random.fork(id), nowMs: 0 }),
      )
    }
  }

  is(id: MemberId, manners: Partial<Manners>): void {
    this.manners.set(id, { ...GOOD, ...this.manners.get(id), ...manners })
  }

  isAlive(id: MemberId): boolean {
    return this.nowMs < (this.manners.get(id)?.diesAtMs ?? 0)
  }

  /** Those who are to get it all. */
  get finishing(): readonly Fetch[] {
    return [...this.fetches].filter(([id]) => this.isAlive(id)).map(([, fetch]) => fetch)
  }

  run(limitMs: number): number {
    for (; this.nowMs < limitMs; this.nowMs += STEP_MS) {
      if (this.finishing.every(({ done }) => done)) return this.nowMs
      this.#ask()
      this.#tell()
      this.#answer()
    }
    return Infinity
  }

  #ask(): void {
    const living = [...this.manners.keys()].filter((id) => this.isAlive(id))
    const holders = living.filter((id) => id === ORIGIN || this.fetches.get(id)?.done === true)
    const swarm = living.filter((id) => !holders.includes(id))
    for (const [id, fetch] of this.fetches) {
      if (!this.isAlive(id)) continue
      fetch.setSources(holders, swarm, this.nowMs)
      for (const effect of fetch.tick(this.nowMs)) this.#perform(id, fetch, effect)
      const outstanding = this.answers.filter(({ to }) => to === id).flatMap(({ chunks }) => chunks)
      this.outstandingMax = Math.max(this.outstandingMax, outstanding.length * CHUNK_BYTES)
    }
  }

  #perform(id: MemberId, fetch: Fetch, effect: FetchEffect): void {
    if (effect.kind === 'leave') {
      this.answers = this.answers.filter(({ to, ask }) => to !== id || ask !== effect.ask)
      this.followings = this.followings.filter(({ to, ask }) => to !== id || ask !== effect.ask)
    } else if (effect.kind === 'ask') {
      for (const chunk of effect.chunks) assert.ok(!hasBit(fetch.have, chunk), 'asks for what is here')
      this.answers.push({ of: effect.member, to: id, ask: effect.ask, chunks: [...effect.chunks] })
    } else if (this.manners.get(effect.member)?.hangs !== true)
      this.followings.push({ of: effect.member, to: id, ask: effect.ask })
  }

  /** Everybody tells what it has to whoever follows it, a few times a second. */
  #tell(): void {
    if (this.nowMs % TELL_MS !== 0) return
    for (const { of, to, ask } of this.followings) {
      const fetch = this.fetches.get(to)
      if (this.isAlive(of)) fetch?.has(ask, new Uint8Array(this.fetches.get(of)?.have ?? []), this.nowMs)
      else fetch?.ended(ask, true, this.nowMs)
    }
    this.followings = this.followings.filter(({ of }) => this.isAlive(of))
  }

  #answer(): void {
    const left = new Map([...this.manners].map(([id, { pace }]) => [id, pace]))
    const over = new Set<Answer>()
    for (const answer of this.answers) {
      const { of, to, ask, chunks } = answer
      const fetch = this.fetches.get(to)
      const { lies, hangs } = this.manners.get(of) ?? GOOD
      if (fetch === undefined || !this.isAlive(to)) over.add(answer)
      else if (!this.isAlive(of)) {
        over.add(answer)
        fetch.ended(ask, true, this.nowMs)
      } else if (!hangs) {
        while (chunks.length > 0 && (left.get(of) ?? 0) > 0) {
          left.set(of, (left.get(of) ?? 0) - 1)
          if (lies) {
            fetch.lied(ask, this.nowMs)
            chunks.length = 0
          } else {
            fetch.received(ask, chunks.shift() ?? 0, this.nowMs)
            this.sent.set(of, (this.sent.get(of) ?? 0) + 1)
          }
        }
        if (chunks.length > 0) continue
        over.add(answer)
        if (!lies) fetch.ended(ask, false, this.nowMs)
      }
    }
    this.answers = this.answers.filter((answer) => !over.has(answer))
  }
}

describe('fetch › safety', () => {
  it('has no more on its way than its bound, and asks for nothing that is here (S14)', () => {
    const swarm = new Swarm(600, 3, 'bound')
    swarm.is(ORIGIN, { pace: 2 })
    swarm.run(120_000)
    assert.ok(swarm.outstandingMax <= OUTSTANDING_BYTES_MAX, String(swarm.outstandingMax))
  })

  it('is done when everything is here already, and asks nobody', () => {
    const fetch = new Fetch({
      self: ORIGIN,
      lengths: [1, 2],
      here: [0, 1],
      random: seededRandom('done'),
      nowMs: 0,
    })
    fetch.setSources(['a' as MemberId], [], 0)
    assert.deepEqual(fetch.tick(0), [])
    assert.ok(fetch.done)
    assert.equal(fetch.bytesLeft, 0)
  })

  it('fetches only what is missing: it goes on where an earlier run was', () => {
    const here = Array.from({ length: 90 }, (_, at) => at)
    const lengths = Array.from({ length: 100 }, () => CHUNK_BYTES)
    const fetch = new Fetch({ self: ORIGIN, lengths, here, random: seededRandom('resume'), nowMs: 0 })
    fetch.setSources(['a' as MemberId], [], 0)
    const asked = fetch.tick(0).flatMap((effect) => (effect.kind === 'ask' ? effect.chunks : []))
    assert.deepEqual(
      asked.toSorted((a, b) => a - b),
      lengths.map((_, at) => at).slice(90),
    )
  })
})

describe('fetch › liveness', () => {
  it('gets everything out of one holder', () => {
    const swarm = new Swarm(200, 1, 'one')
    assert.ok(swarm.run(60_000) < 60_000)
    assert.equal(swarm.sent.get(ORIGIN), 200)
  })

  it('has nine fetchers exchange among each other: little more than one copy leaves the origin', () => {
    const swarm = new Swarm(1600, 9, 'nine')
    const tookMs = swarm.run(300_000)
    assert.ok(tookMs < 300_000)
    assert.ok(
      (swarm.sent.get(ORIGIN) ?? 0) <= 1.5 * 1600,
      `${swarm.sent.get(ORIGIN)} of 1600 left the origin`,
    )
  })

  it('asks elsewhere for what a holder does not send, and for what a liar sends', () => {
    const swarm = new Swarm(200, 2, 'manners')
    swarm.manners.set('hung' as MemberId, { ...GOOD, hangs: true })
    swarm.is('f1' as MemberId, { lies: true })
    assert.ok(swarm.run(120_000) < 120_000)
  })

  it('goes on when the origin dies, as long as the swarm has everything', () => {
    const swarm = new Swarm(400, 4, 'orphans')
    swarm.is('f0' as MemberId, { pace: 40 })
    swarm.run(2000)
    assert.ok((swarm.sent.get(ORIGIN) ?? 0) >= 400, 'everything has left the origin')
    swarm.is(ORIGIN, { diesAtMs: swarm.nowMs })
    assert.ok(swarm.run(120_000) < 120_000)
  })

  it('ends for all that live, whoever lies, hangs and dies, while one honest holder lives', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            lies: fc.boolean(),
            hangs: fc.boolean(),
            pace: fc.integer({ min: 1, max: 10 }),
            diesAtMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 4000 })),
          }),
          { minLength: 1, maxLength: 6 },
        ),
        fc.string(),
        (manners, seed) => {
          const swarm = new Swarm(120, manners.length, seed)
          manners.forEach((each, at) => swarm.is(`f${at}` as MemberId, each))
          assert.ok(swarm.run(600_000) < 600_000)
        },
      ),
      { numRuns: 40 },
    )
  })
})

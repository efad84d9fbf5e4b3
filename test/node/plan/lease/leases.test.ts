import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { LEASE_MS, RATE_ERROR_PERCENT } from '../../../../node/plan/lease/terms.ts'
import { Parliament, type Interval } from './parliament.ts'

const BOUND = RATE_ERROR_PERCENT / 100

const overlaps = (intervals: readonly Interval[]): readonly string[] =>
  intervals.flatMap((one, at) =>
    intervals
      .slice(at + 1)
      .filter((other) => other.fromMs < one.toMs)
      .map(
        (other) =>
          `${other.member} from ${other.fromMs} while ${one.member} from ${one.fromMs} to ${one.toMs}`,
      ),
  )

const stale = (intervals: readonly Interval[]): readonly string[] =>
  intervals.flatMap((one, at) => {
    const before = intervals[at - 1]
    return before === undefined || before.lastToken < one.token
      ? []
      : [`${one.member} was given ${one.token} after ${before.lastToken}`]
  })

type Act =
  | { readonly kind: 'want' | 'leave' | 'admit'; readonly at: number }
  /** `among`: one bit for each. */
  | { readonly kind: 'restart' | 'cut'; readonly among: number }
  /** Whoever runs it hears nobody any more, and all others start anew. */
  | { readonly kind: 'strand'; readonly anew: boolean }
  | { readonly kind: 'heal' }

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constantFrom('want' as const, 'leave' as const), at: fc.nat(4) }),
  fc.record({ kind: fc.constant('admit' as const), at: fc.nat(4) }),
  fc.record({ kind: fc.constantFrom('restart' as const, 'cut' as const), among: fc.nat(31) }),
  fc.record({ kind: fc.constant('strand' as const), anew: fc.boolean() }),
  fc.record({ kind: fc.constant('heal' as const) }),
)

const bitsOf = (bits: number): readonly number[] => [0, 1, 2, 3, 4].filter((at) => ((bits >> at) & 1) === 1)

const perform = (parliament: Parliament, step: Act): void => {
  switch (step.kind) {
    case 'want':
      return parliament.want(step.at, true)
    case 'leave':
      return parliament.want(step.at, false)
    case 'restart':
      for (const at of bitsOf(step.among)) parliament.restart(at)
      return
    case 'strand': {
      const stranded = parliament.runs().map((id) => Number(id.slice(1)))
      parliament.cut(...stranded)
      for (const at of bitsOf(31)) if (step.anew && !stranded.includes(at)) parliament.restart(at)
      return
    }
    case 'admit':
      return parliament.admit(step.at + 1)
    case 'cut':
      return parliament.cut(...bitsOf(step.among))
    case 'heal':
      return parliament.cut()
  }
}

const story = fc.record({
  seed: fc.string({ maxLength: 8 }),
  loss: fc.constantFrom(0, 0.05, 0.3),
  delayMs: fc.constantFrom(10, 300, 2500, 12_000),
  diskMs: fc.constantFrom(0, 20, 4000),
  acts: fc.array(fc.record({ act, forMs: fc.constantFrom(200, 1500, 5000, 12_000) }), { maxLength: 25 }),
})

const play = (
  {
    seed,
    loss,
    delayMs,
    diskMs,
    acts,
  }: { seed: string; loss: number; delayMs: number; diskMs: number; acts: { act: Act; forMs: number }[] },
  rateError: number,
): Parliament => {
  const parliament = new Parliament({ seed, members: 5, rateError, loss, delayMs, diskMs })
  parliament.run(LEASE_MS * 2)
  // Everybody wants it all the time: whoever may have it takes it at once.
  for (const at of bitsOf(31)) parliament.want(at, true)
  parliament.run(LEASE_MS)
  for (const { act: step, forMs } of acts) {
    perform(parliament, step)
    parliament.run(forMs)
  }
  return parliament
}

describe('leases', () => {
  it('safety: never let two run at once while every clock is within the bound (S9)', () => {
    fc.assert(
      fc.property(story, (drawn) => {
        const { intervals } = play(drawn, BOUND)
        assert.deepEqual(overlaps(intervals), [])
        assert.deepEqual(stale(intervals), [])
      }),
      { numRuns: 20 },
    )
  })

  it('safety: give rising tokens however wrong the clocks are (S9)', () => {
    fc.assert(
      fc.property(story, (drawn) => {
        assert.deepEqual(stale(play(drawn, 0.6).intervals), [])
      }),
      { numRuns: 15 },
    )
  })

  it('safety: leave nobody running behind voters that have changed without it (S9)', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const clocks = { rateError: BOUND, loss: 0, delayMs: 10 }
      const parliament = new Parliament({ seed: `left behind ${seed}`, members: 5, ...clocks })
      parliament.run(LEASE_MS * 2)
      for (const at of bitsOf(31)) parliament.want(at, true)
      parliament.run(LEASE_MS)
      perform(parliament, { kind: 'strand', anew: false })
      parliament.run(5000)
      parliament.admit(1)
      parliament.run(5000)
      parliament.cut()
      parliament.run(5000)
      assert.deepEqual(overlaps(parliament.intervals), [])
    }
  })

  it('safety: give rising tokens where a majority forgets how far it has gone on (S9)', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const clocks = { rateError: BOUND, loss: 0, delayMs: 10 }
      const parliament = new Parliament({ seed: `forgotten ${seed}`, members: 5, ...clocks })
      parliament.run(LEASE_MS * 2)
      parliament.want(0, true)
      parliament.run(LEASE_MS * 2)
      perform(parliament, { kind: 'strand', anew: true })
      // Nobody else has asked meanwhile, so nobody knows more than the disks.
      parliament.run(LEASE_MS * 2)
      parliament.want(1, true)
      parliament.run(LEASE_MS)
      assert.ok(parliament.intervals.length > 1, 'another one runs it')
      assert.deepEqual(stale(parliament.intervals), [])
      assert.deepEqual(overlaps(parliament.intervals), [])
    }
  })

  it('safety: never let two run at once where an operator replaces voters that are lost (S9)', () => {
    let replaced = 0
    fc.assert(
      fc.property(story, fc.nat(4), fc.boolean(), (drawn, kept, two) => {
        const parliament = play(drawn, BOUND)
        const stay = new Set([kept, two ? (kept + 1) % 5 : kept])
        if (parliament.replace(...bitsOf(31).filter((at) => !stay.has(at)))) replaced += 1
        for (const at of stay) parliament.want(at, true)
        parliament.run(5000)
        parliament.restart(kept)
        parliament.cut()
        parliament.run(LEASE_MS * 3)
        assert.deepEqual(overlaps(parliament.intervals), [])
        assert.deepEqual(stale(parliament.intervals), [])
      }),
      { numRuns: 20 },
    )
    assert.ok(replaced > 0)
  })

  it('safety: let what the lost voters have promised run out before others promise it (S9)', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const parliament = new Parliament({
        seed: `run out ${seed}`,
        members: 5,
        rateError: BOUND,
        loss: 0,
        delayMs: 10,
      })
      parliament.admit(3)
      parliament.run(LEASE_MS * 2)
      parliament.want(2, true)
      parliament.run(LEASE_MS + 2000)
      assert.deepEqual(parliament.runs(), ['p2'])
      // The two that join never voted, and are a majority of those who do from now on.
      assert.equal(parliament.replace(0, 1), true)
      parliament.run(50)
      parliament.cut(2)
      parliament.want(3, true)
      parliament.want(4, true)
      parliament.run(LEASE_MS * 3)
      assert.notDeepEqual(parliament.runs(), [])
      assert.deepEqual(overlaps(parliament.intervals), [])
      assert.deepEqual(stale(parliament.intervals), [])
    }
  })

  it('liveness: voters that replace lost ones run the slot after a lease, and change again (L7)', () => {
    const parliament = new Parliament({ seed: 'lost', members: 5, rateError: BOUND, loss: 0, delayMs: 20 })
    parliament.run(40_000)
    parliament.want(0, true)
    parliament.run(3000)
    assert.equal(parliament.replace(0, 1), false)
    parliament.run(30_000)
    assert.equal(parliament.voters?.present.length, 3)
    assert.equal(parliament.replace(2, 3), true)
    parliament.want(4, true)
    parliament.run(LEASE_MS + 1000)
    assert.deepEqual(parliament.runs(), ['p4'])
    assert.deepEqual(parliament.voters.present, ['p4'])
  })

  it('liveness: a majority in sight runs the slot within a lease, and the rest stops (L7)', () => {
    const parliament = new Parliament({
      seed: 'majority',
      members: 5,
      rateError: BOUND,
      loss: 0.05,
      delayMs: 50,
    })
    parliament.run(40_000)
    assert.deepEqual(parliament.voters?.former, null)
    assert.equal(parliament.voters.present.length, 5)
    parliament.want(0, true)
    parliament.run(3000)
    assert.deepEqual(parliament.runs(), ['p0'])
    parliament.cut(0, 1)
    parliament.want(3, true)
    parliament.run(LEASE_MS + 3000)
    assert.deepEqual(parliament.runs(), ['p3'])
  })

  it('liveness: a lease is renewed for as long as it is wanted, through lost messages and restarts of few', () => {
    const parliament = new Parliament({
      seed: 'renewal',
      members: 3,
      rateError: BOUND,
      loss: 0.02,
      delayMs: 50,
    })
    parliament.run(40_000)
    parliament.want(0, true)
    parliament.run(60_000)
    parliament.restart(1)
    parliament.run(60_000)
    parliament.restart(0)
    parliament.run(60_000)
    assert.deepEqual(parliament.runs(), ['p0'])
    assert.equal(parliament.intervals.length, 1)
  })

  it('moves as soon as its holder gives it back', () => {
    const parliament = new Parliament({ seed: 'back', members: 3, rateError: 0, loss: 0, delayMs: 20 })
    parliament.run(40_000)
    parliament.want(0, true)
    parliament.run(3000)
    parliament.want(1, true)
    parliament.run(20_000)
    assert.deepEqual(parliament.runs(), ['p0'])
    parliament.want(0, false)
    parliament.run(2500)
    assert.deepEqual(parliament.runs(), ['p1'])
  })

  it('two voters: the survivor of two does not start it (L7)', () => {
    const parliament = new Parliament({ seed: 'two', members: 2, rateError: BOUND, loss: 0, delayMs: 20 })
    parliament.run(40_000)
    parliament.cut(0)
    parliament.want(1, true)
    parliament.run(60_000)
    assert.deepEqual(parliament.runs(), [])
  })
})

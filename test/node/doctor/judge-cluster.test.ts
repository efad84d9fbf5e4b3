// The judgement of what members say of one another: who is missing, whose clock is off, which way a link is broken.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MemberAnswer, MemberFacts, Reach } from '../../../node/doctor/facts.ts'
import type { Finding } from '../../../node/doctor/finding.ts'
import { judgeCluster, linkOf } from '../../../node/doctor/judge-cluster.ts'

const NAMES = ['a', 'b', 'c'] as const
const addressOf = (name: string): string =>
  `/ip4/10.0.0.${NAMES.findIndex((each) => each === name) + 1}/tcp/7701/p2p/x`

const reach = (to: string, over: Partial<Reach> = {}): Reach => ({
  to,
  answered: true,
  failure: '',
  tried: [{ address: addressOf(to), failure: '', ms: 1 }],
  ...over,
})

/** A member that dials nobody's address, but has the connection that the other made. */
const refused = (to: string): Reach =>
  reach(to, { tried: [{ address: addressOf(to), failure: 'no answer', ms: 1500 }] })
const cut = (to: string): Reach => ({ ...refused(to), answered: false, failure: 'broken' })

const answer = (name: string, over: Partial<MemberAnswer> = {}): MemberAnswer => ({
  version: '0.1.0',
  node: '24.1.0',
  documentFormat: 1,
  placementVersion: 1,
  machine: name,
  addresses: [addressOf(name)],
  findings: [],
  reach: NAMES.filter((each) => each !== name).map((each) => reach(each)),
  ...over,
})

const member = (name: string, over: Partial<MemberFacts> = {}): MemberFacts => ({
  name,
  self: name === 'a',
  state: 'alive',
  ageMs: 0,
  answer: answer(name),
  failure: '',
  clock: name === 'a' ? null : { offsetMs: 2, errorMs: 1 },
  ...over,
})

const cluster = (
  over: Partial<Record<(typeof NAMES)[number], Partial<MemberFacts>>> = {},
): readonly MemberFacts[] => NAMES.map((name) => member(name, over[name]))

const troubles = (findings: readonly Finding[]): readonly string[] =>
  findings
    .filter(({ level }) => level !== 'ok')
    .map(({ level, check, found }) => `${level} ${check}: ${found}`)

describe('a cluster', () => {
  it('of members that all reach one another is well', () => {
    assert.deepEqual(troubles(judgeCluster(cluster())), [])
    assert.deepEqual(troubles(judgeCluster([member('a', { answer: answer('a', { reach: [] }) })])), [])
  })

  it('is judged alike in whatever order its members are given', () => {
    const facts = cluster({ b: { state: 'dead', answer: null, failure: 'is dead' } })
    assert.deepEqual(judgeCluster(facts.toReversed()), judgeCluster(facts))
  })

  it('says who is dead and what was tried, and says nothing of links to it', () => {
    const dead = cluster({
      a: { answer: answer('a', { reach: [cut('b'), reach('c')] }) },
      b: { state: 'dead', ageMs: 61_000, answer: null, failure: 'is dead', clock: null },
    })
    assert.deepEqual(troubles(judgeCluster(dead)), [
      'fail members: b has been dead for 1m1s (/ip4/10.0.0.2/tcp/7701 no answer)',
    ])
  })

  it('does not miss who has left', () => {
    assert.deepEqual(troubles(judgeCluster(cluster({ c: { state: 'left', answer: null } }))), [])
  })

  it('tells mixed versions, by member', () => {
    const mixed = cluster({
      c: { answer: answer('c', { version: '0.2.0', placementVersion: 2, documentFormat: 2 }) },
    })
    assert.deepEqual(troubles(judgeCluster(mixed)), [
      'warn versions: tutti 0.1.0 on a, b; 0.2.0 on c',
      'warn versions: log format 1 on a, b; 2 on c',
      'warn versions: placement version 1 on a, b; 2 on c; the lowest is in force',
    ])
  })

  it('tells a clock that is off by more than the round trip explains', () => {
    const skewed = (offsetMs: number, errorMs: number) =>
      troubles(judgeCluster(cluster({ b: { clock: { offsetMs, errorMs } } })))
    assert.deepEqual(skewed(3000, 5), ["warn skew: the clock of b is 3s ahead of this one's"])
    assert.deepEqual(skewed(-120_000, 5), ["fail skew: the clock of b is 2m behind this one's"])
    assert.deepEqual(skewed(900, 700), [])
  })
})

describe('a link', () => {
  it('that works one way only is named with its direction and the address that failed', () => {
    const facts = cluster({ b: { answer: answer('b', { reach: [refused('a'), reach('c')] }) } })
    assert.deepEqual(troubles(judgeCluster(facts)), [
      'fail reach: one way only: a reaches b, but b does not reach a (/ip4/10.0.0.1/tcp/7701 no answer)',
    ])
    const turned = cluster({ a: { answer: answer('a', { reach: [refused('b'), reach('c')] }) } })
    assert.match(troubles(judgeCluster(turned)).join(), /b reaches a, but a does not reach b/)
  })

  it('that is cut is named once, with what either side tried', () => {
    const facts = cluster({
      b: { answer: answer('b', { reach: [reach('a'), cut('c')] }) },
      c: { answer: answer('c', { reach: [reach('a'), cut('b')] }) },
    })
    const found = troubles(judgeCluster(facts))
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', /b and c do not reach each other \(b: .*10\.0\.0\.3.* c: .*10\.0\.0\.2/)
  })

  it('to a member that cannot be asked is judged by the side that can', () => {
    const facts = cluster({
      a: { answer: answer('a', { reach: [cut('b'), reach('c')] }) },
      b: { answer: null, failure: 'no connection', clock: null },
    })
    const found = troubles(judgeCluster(facts)).join('\n')
    assert.match(found, /fail members: b is alive but could not be asked: no connection/)
    assert.match(found, /a does not reach b .*no answer.* b could not be asked/)
    assert.match(found, /c reaches b; the way back is unknown/)
  })

  it('is in one of four states', () => {
    const [a, b] = [member('a'), member('b')]
    const [via, gone] = [answer('a', { reach: [refused('b')] }), answer('a', { reach: [cut('b')] })]
    assert.equal(linkOf(a, b), 'reaches')
    assert.equal(linkOf(member('a', { answer: via }), b), 'connected')
    assert.equal(linkOf(member('a', { answer: gone }), b), 'cut')
    assert.equal(linkOf(member('a', { answer: null }), b), 'unknown')
  })

  it('of hundreds is not named a hundred times', () => {
    const names = Array.from({ length: 20 }, (_, at) => `m${at}`)
    const all = names.map((name) =>
      member(name, {
        answer: answer(name, { reach: names.filter((to) => to !== name).map((to) => cut(to)) }),
      }),
    )
    const found = troubles(judgeCluster(all))
    assert.equal(found.length, 13)
    assert.match(found.at(-1) ?? '', /178 more pairs/)
  })
})

describe('addresses', () => {
  const loopback = ['/ip4/127.0.0.1/tcp/7701/p2p/x']

  it('on loopback are told where others are elsewhere, and not on one machine', () => {
    const apart = cluster({ b: { answer: answer('b', { addresses: loopback }) } })
    assert.match(troubles(judgeCluster(apart)).join(), /warn addresses: b listens on loopback only/)
    const together = NAMES.map((name) =>
      member(name, { answer: answer(name, { machine: 'm', addresses: loopback }) }),
    )
    assert.deepEqual(troubles(judgeCluster(together)), [])
  })

  it('of a private network are told where others are public', () => {
    const mixed = cluster({ c: { answer: answer('c', { addresses: ['/ip4/203.0.113.9/tcp/7701'] }) } })
    assert.match(
      troubles(judgeCluster(mixed)).join('\n'),
      /warn addresses: a has private addresses only .*NAT/,
    )
  })
})

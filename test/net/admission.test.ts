// Admission: every refusal with its sentence, idempotence, names; and the join protocol's codec.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { TuttiError } from '../../lib/errors.ts'
import { NAME_PATTERN, type ClusterId, type MemberId } from '../../lib/ids.ts'
import { signerFromSeed } from '../../lib/signature.ts'
import { judgeJoin, nameLike, type JoinFacts } from '../../net/admission.ts'
import {
  decodeJoinAnswer,
  decodeJoinRequest,
  encodeJoinAnswer,
  encodeJoinRequest,
  joinIsSigned,
  signJoin,
  type JoinRequest,
} from '../../net/join-wire.ts'

const cluster = 'c'.repeat(32) as ClusterId
const invite = signerFromSeed(new Uint8Array(32).fill(1)).member
const newcomer = signerFromSeed(new Uint8Array(32).fill(2))
const other = signerFromSeed(new Uint8Array(32).fill(3))

const facts: JoinFacts = {
  cluster,
  invite,
  record: { expiresAt: 10_000, uses: 1, used: 0, role: 'operator' },
  members: [{ id: other.member, name: 'alpha', role: 'operator' }],
  removed: [],
  wallMs: 5000,
}

const ask = (change: Partial<Omit<JoinRequest, 'member' | 'signature'>> = {}): JoinRequest =>
  signJoin(
    { cluster, name: 'beta', nameChosen: false, addresses: ['/ip4/10.0.0.2/tcp/4001'], ...change },
    invite,
    newcomer,
  )

const reasonOf = (changed: Partial<JoinFacts>, request: JoinRequest = ask()): string => {
  const verdict = judgeJoin({ ...facts, ...changed }, request)
  assert.equal(verdict.kind, 'refuse')
  return verdict.kind === 'refuse' ? verdict.reason : ''
}

const nameOf = (changed: Partial<JoinFacts>, request: JoinRequest): string => {
  const verdict = judgeJoin({ ...facts, ...changed }, request)
  assert.equal(verdict.kind, 'admit')
  return verdict.kind === 'admit' ? verdict.name : ''
}

describe('judgeJoin', () => {
  it('admits a newcomer under its name and the role of its invite', () => {
    assert.deepEqual(judgeJoin(facts, ask()), { kind: 'admit', name: 'beta', role: 'operator', known: false })
  })

  it('admits a member again without asking the invite: its last answer got lost', () => {
    const members = [...facts.members, { id: newcomer.member, name: 'b', role: 'runner' as const }]
    const used = { expiresAt: 1, uses: 1, used: 1, role: 'operator' as const }
    assert.deepEqual(judgeJoin({ ...facts, members, record: used }, ask()), {
      kind: 'admit',
      name: 'b',
      role: 'runner',
      known: true,
    })
  })

  it('refuses with one sentence and a next step', () => {
    assert.match(reasonOf({ record: null }), /unknown here or was withdrawn; ask for a new one/)
    assert.match(reasonOf({ wallMs: 70_000 }), /expired 1m ago; ask for a new one/)
    assert.match(
      reasonOf({ record: { expiresAt: 10_000, uses: 2, used: 2, role: 'runner' } }),
      /used up: it was good for 2 machines; ask/,
    )
    assert.match(reasonOf({ cluster: 'd'.repeat(32) as ClusterId }), /another cluster/)
    assert.match(reasonOf({ removed: [newcomer.member] }), /this key was removed.*start with a fresh --data/)
    const full = Array.from({ length: 1000 }, (_, at) => ({
      id: `m${at}` as MemberId,
      name: `n${at}`,
      role: 'runner' as const,
    }))
    assert.match(reasonOf({ members: full }), /full with 1000 members; remove one/)
  })

  it('refuses a request that the named key did not sign for this invite', () => {
    const request = ask()
    assert.match(reasonOf({}, { ...request, member: other.member }), /not signed/)
    assert.match(reasonOf({ invite: other.member }, request), /not signed/)
    assert.match(reasonOf({}, { ...request, signature: new Uint8Array(64) }), /not signed/)
    const asInvite = signJoin(request, invite, signerFromSeed(new Uint8Array(32).fill(1)))
    assert.match(reasonOf({}, asInvite), /not signed/)
  })

  it('finds a free name for one that was not chosen, and refuses a chosen one that is taken', () => {
    assert.equal(nameOf({}, ask({ name: 'alpha' })), 'alpha-2')
    const members = ['alpha', 'alpha-2', 'x'.repeat(63)].map((name) => ({
      id: name as MemberId,
      name,
      role: 'runner' as const,
    }))
    assert.equal(nameOf({ members }, ask({ name: 'alpha' })), 'alpha-3')
    assert.equal(nameOf({ members }, ask({ name: 'x'.repeat(63) })), `${'x'.repeat(61)}-2`)
    assert.match(reasonOf({}, ask({ name: 'alpha', nameChosen: true })), /taken.*--name/)
    assert.match(reasonOf({}, ask({ name: 'Not Usable', nameChosen: true })), /not usable.*--name/)
    assert.equal(nameOf({}, ask({ name: 'gamma', nameChosen: true })), 'gamma')
  })
})

describe('nameLike', () => {
  it('makes any host name usable', () => {
    assert.equal(nameLike('Web_01.example.org'), 'web-01')
    assert.equal(nameLike('---'), 'peer')
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), (text) => {
        assert.match(nameLike(text), new RegExp(NAME_PATTERN))
      }),
      { numRuns: 300 },
    )
  })
})

describe('join protocol', () => {
  it('reads back requests and answers', () => {
    const request = ask({ nameChosen: true })
    const read = decodeJoinRequest(encodeJoinRequest(request))
    assert.deepEqual(read, request)
    assert.ok(joinIsSigned(read, invite))
    const answer = {
      cluster,
      name: 'beta',
      members: [{ id: other.member, addresses: ['/ip4/10.0.0.1/tcp/1'] }],
    }
    assert.deepEqual(decodeJoinAnswer(encodeJoinAnswer(answer)), answer)
  })

  it('sends no more addresses than the other side reads', () => {
    const addresses = Array.from({ length: 50 }, (_, at) => `/ip4/10.0.0.${at}/tcp/1`)
    assert.equal(decodeJoinRequest(encodeJoinRequest(ask({ addresses }))).addresses.length, 32)
  })

  it('rejects anything else with an error of its own', () => {
    const bytes = encodeJoinRequest(ask())
    for (let length = 0; length < bytes.length; length += 1) {
      assert.throws(() => decodeJoinRequest(bytes.subarray(0, length)), TuttiError)
    }
    assert.throws(() => decodeJoinRequest(Uint8Array.of(2, ...bytes.subarray(1))), /another version/)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        for (const decode of [decodeJoinRequest, decodeJoinAnswer]) {
          try {
            decode(noise)
          } catch (error) {
            assert.ok(error instanceof TuttiError)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

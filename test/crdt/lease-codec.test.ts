// What peers say of leases is canonical JSON, put together of texts that were written before: the result must not show it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  decodeAnswer,
  decodeQuestion,
  decodeVoterRecord,
  encodeAnswer,
  encodeQuestion,
  encodeVoterRecord,
  REFUSALS,
  type LeaseAnswer,
  type LeaseQuestion,
  type VoterRecord,
} from '../../crdt/schema/lease.ts'
import { textOf } from '../../lib/bytes.ts'
import { canonicalJson, type Json } from '../../lib/order.ts'

const id = fc.string({ minLength: 1, maxLength: 20 })
const count = fc.maxSafeNat()
const nullable = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(of, { nil: null })
const voters = fc.record({ present: fc.array(id), epoch: count, former: nullable(fc.array(id)) })
const ballot = fc.record({ round: count, by: id })
const accepted = fc.record({ voters, ballot })
const ask = fc.record({ token: count, slot: id })

const record: fc.Arbitrary<VoterRecord> = fc.record({
  voters: nullable(voters),
  forgetful: fc.boolean(),
  tokenFloor: count,
  promises: fc.array(
    fc.record({ slot: id, holder: id, session: count, token: count, epoch: count, at: count }),
  ),
  ballot: nullable(ballot),
  accepted: nullable(accepted),
})

const question: fc.Arbitrary<LeaseQuestion> = fc.record({
  voters: nullable(voters),
  session: count,
  asks: fc.array(ask),
  releases: fc.array(ask),
  change: nullable(fc.record({ kind: fc.constant('accept' as const), epoch: count, ballot, voters })),
})

const answer: fc.Arbitrary<LeaseAnswer> = fc.record({
  voters: nullable(voters),
  grants: fc.array(
    fc.record({
      token: count,
      slot: id,
      refusal: nullable(fc.constantFrom(...REFUSALS)),
      seen: count,
      holder: nullable(id),
    }),
  ),
  change: nullable(
    fc.record({
      kind: fc.constantFrom('prepare' as const, 'accept' as const),
      epoch: count,
      ballot,
      agreed: fc.boolean(),
      bound: nullable(ballot),
      accepted: nullable(accepted),
    }),
  ),
})

const holds = <T extends Json>(
  values: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => T | null,
): void =>
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encode(value)
      assert.equal(textOf(bytes), canonicalJson(value))
      assert.deepEqual(encode(value), bytes)
      const read = decode(bytes)
      assert.ok(read !== null)
      assert.equal(canonicalJson(read), textOf(bytes))
    }),
    { numRuns: 100 },
  )

describe('words about leases', () => {
  it('are canonical JSON, the second time as the first, and are read as they were written', () => {
    holds(record, encodeVoterRecord, decodeVoterRecord)
    holds(question, encodeQuestion, decodeQuestion)
    holds(answer, encodeAnswer, decodeAnswer)
  })
})

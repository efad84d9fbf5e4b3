// Messages of anti-entropy: what is written is read, and vectors without names are short.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { decodeSync, encodeSync, type SyncMessage } from '../../crdt/sync-message.ts'
import type { ActorId, MemberId } from '../../lib/ids.ts'

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString('hex'))
/** As values are that a program makes. */
const plain = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true })
const seq = fc.nat({ max: 2 ** 40 })
const cursor = plain({ incarnation: fc.integer({ min: 1, max: 2 ** 40 }), seq })
const actors = fc.array(fc.tuple(hex(16), seq)).map((pairs) => new Map(pairs as [ActorId, number][]))
const members = fc
  .array(fc.tuple(fc.string({ minLength: 1, maxLength: 20 }), cursor))
  .map((pairs) => new Map(pairs as [MemberId, { incarnation: number; seq: number }][]))
const nothing = fc.constant({ incarnation: 0, seq: 0 })
const message: fc.Arbitrary<SyncMessage> = fc.oneof(
  plain({ kind: fc.constant('digest' as const), intent: hex(16), status: hex(16) }),
  fc.constant({ kind: 'equal' as const }),
  plain({
    kind: fc.constant('vectors' as const),
    answer: fc.boolean(),
    intent: fc.option(actors),
    status: fc.option(members),
  }),
  plain({
    kind: fc.constant('listed' as const),
    answer: fc.boolean(),
    intent: fc.option(actors),
    status: plain({ list: hex(8), cursors: fc.array(fc.oneof(cursor, nothing)) }),
  }),
)

describe('messages of anti-entropy', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(message, (one) => {
        assert.deepEqual(decodeSync(encodeSync(one)), one)
      }),
    )
  })

  it('take five bytes a member without names, for members that started within hours', () => {
    const cursors = Array.from({ length: 1000 }, (_, at) => ({
      incarnation: 1_767_225_600 + 17 * at,
      seq: 100 + at,
    }))
    const status = { list: '0123456789abcdef', cursors }
    assert.ok(encodeSync({ kind: 'listed', answer: true, intent: null, status }).length < 5100)
  })

  it('are refused as a whole when a list is cut off', () => {
    const status = { list: '0123456789abcdef', cursors: [{ incarnation: 5, seq: 7 }] }
    const whole = encodeSync({ kind: 'listed', answer: false, intent: null, status })
    for (let length = 0; length < whole.length; length += 1)
      assert.throws(() => decodeSync(whole.subarray(0, length)), { name: 'TuttiError' })
  })
})

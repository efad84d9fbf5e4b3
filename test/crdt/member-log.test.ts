// One member's log: what it keeps, what it drops, and what it never holds more of.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemberLog } from '../../crdt/member-log.ts'
import { memberOf } from './cluster.ts'

const record = (seq: number, retained: readonly number[], ...keys: readonly string[]) => ({
  member: memberOf('ada'),
  incarnation: 1,
  seq,
  retained,
  entries: keys.map((key) => ({ key, value: `${seq}` })),
})
const bytes = new Uint8Array(10)

describe('member log', () => {
  it('keeps the word of an older record on keys until it is complete', () => {
    const log = new MemberLog(1)
    log.add(record(1, [], 'a', 'b'), bytes)
    assert.equal(log.add(record(3, [2], 'b'), bytes), 'gap')
    assert.deepEqual(
      new Map(log.live()),
      new Map([
        ['a', '1'],
        ['b', '3'],
      ]),
    )
    assert.equal(log.cursor, 1)
    assert.equal(log.add(record(2, [], 'c'), bytes), 'new')
    assert.deepEqual(
      new Map(log.live()),
      new Map([
        ['c', '2'],
        ['b', '3'],
      ]),
    )
    assert.deepEqual([log.cursor, log.seqs()], [3, [2, 3]])
  })

  it('never lets an older value over a newer one', () => {
    const log = new MemberLog(1)
    log.add(record(5, [4], 'a'), bytes)
    log.add(record(4, [], 'a', 'b'), bytes)
    assert.deepEqual(
      new Map(log.live()),
      new Map([
        ['a', '5'],
        ['b', '4'],
      ]),
    )
  })

  it('refuses more bytes than a member may occupy, until a full record makes room', () => {
    const log = new MemberLog(1)
    const large = new Uint8Array(1024 * 1024)
    for (const seq of [1, 2, 3])
      assert.equal(log.add(record(seq, [1, 2].slice(0, seq - 1), `k${seq}`), large), 'new')
    assert.equal(log.add(record(4, [1, 2, 3], 'k4'), large), 'full')
    assert.equal(log.add(record(5, [], 'k5'), large), 'new')
    assert.deepEqual(log.seqs(), [5])
  })
})

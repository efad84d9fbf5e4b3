// Records prove themselves, in one encoding only.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeRecord, encodeRecord, recordIsAuthentic, signRecord } from '../../crdt/record.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { ChangeHash, ClusterId } from '../../lib/ids.ts'
import { actorOf, CLUSTER, FOUNDER, memberOf } from './cluster.ts'

const record = signRecord(FOUNDER, CLUSTER, {
  actor: actorOf('ada'),
  seq: 3,
  hash: sha256Hex('x') as ChangeHash,
  bytes: Uint8Array.of(1, 2, 3),
})

describe('record', () => {
  it('survives its encoding', () => {
    assert.deepEqual(decodeRecord(encodeRecord(record)), record)
  })

  it('is authentic for its author, its bytes and its cluster only', () => {
    assert.ok(recordIsAuthentic(CLUSTER, record))
    assert.ok(!recordIsAuthentic(CLUSTER, { ...record, author: memberOf('eve') }))
    assert.ok(!recordIsAuthentic(CLUSTER, { ...record, bytes: Uint8Array.of(1, 2, 4) }))
    assert.ok(!recordIsAuthentic('00'.repeat(16) as ClusterId, record))
  })

  it('is refused truncated, extended or oversized', () => {
    const encoded = encodeRecord(record)
    assert.throws(() => decodeRecord(encoded.subarray(0, encoded.length - 1)), /truncated/)
    assert.throws(() => decodeRecord(Uint8Array.from([...encoded, 0])), /left over/)
    assert.throws(() => decodeRecord(new Uint8Array(2 ** 21)), /exceeds/)
    assert.throws(() => decodeRecord(Uint8Array.of(9)), /another version/)
  })
})

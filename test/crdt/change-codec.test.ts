// The codec against Automerge itself: the same bytes for the same change, and no way in for any others.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as Automerge from '@automerge/automerge'
import { changeHashOf, decodeChange, encodeChange, type Change, type OpId } from '../../crdt/change-codec.ts'
import { columnsForTest } from './columns-for-test.ts'
import { genesisOf } from '../../crdt/genesis.ts'
import type { ActorId } from '../../lib/ids.ts'
import { seededRandom } from '../../lib/random.ts'
import { CLUSTER } from './cluster.ts'

const genesis = genesisOf(CLUSTER)
const handleOf = (actor: string) => {
  const handle = Automerge.getBackend(Automerge.init<unknown>({ actor }))
  handle.applyChanges([genesis.bytes])
  return handle
}

const op = (counter: number): OpId => ({ counter, actor: genesis.actor })
const change = (changes: Partial<Change> = {}): Change => ({
  actor: 'ab'.repeat(16) as ActorId,
  seq: 1,
  startOp: genesis.opMax + 1,
  time: 0,
  message: 'test',
  deps: [genesis.hash],
  ops: [{ object: op(1), key: 'name', value: 'x', replaces: [] }],
  ...changes,
})

describe('change codec', () => {
  it('reads and writes what Automerge writes, byte for byte', () => {
    const random = seededRandom('codec')
    const main = handleOf('00'.repeat(16))
    let compared = 0
    for (let round = 0; round < 120; round += 1) {
      const branches = ['11', '99', 'ee'].map((actor) =>
        main.fork(`${actor}${round.toString(16).padStart(30, '0')}`),
      )
      for (const branch of branches) {
        for (let left = random.below(6); left >= 0; left -= 1) {
          const [datatype, value] = [
            ['str', 'é'.repeat(random.below(40))],
            ['int', random.below(2) * 2 ** (random.below(6) * 8) + random.below(300)],
            ['boolean', random.below(2) === 0],
            ['null', null],
          ][random.below(4)] as ['str', string]
          branch.put(`${1 + random.below(9)}@${genesis.actor}`, `key ${random.below(6)}`, value, datatype)
        }
        const message = random.below(2) === 0 ? 'words' : null
        if (branch.commit(message, random.below(2 ** 31) * 1000) === null) continue
        const bytes = branch.getLastLocalChange()
        assert.ok(bytes)
        main.applyChanges([bytes])
        const { ops, hash } = Automerge.decodeChange(bytes)
        // Putting what wins a conflict already becomes a deletion of the losers, which the document never holds.
        if (ops.some(({ action }) => action !== 'set')) continue
        assert.equal(changeHashOf(bytes), hash)
        assert.deepEqual(encodeChange(decodeChange(bytes)), bytes)
        compared += 1
      }
    }
    assert.ok(compared > 200)
  })

  it('refuses a chunk that differs from the canonical one in any single byte', () => {
    const bytes = encodeChange(change())
    for (let at = 0; at < bytes.length; at += 1) {
      const forged = bytes.slice()
      forged[at] = (forged[at] ?? 0) ^ 1
      try {
        // A flip within a value gives another change, but then the checksum is wrong.
        assert.deepEqual(decodeChange(forged), null)
      } catch (thrown) {
        assert.match(String(thrown), /TuttiError/)
      }
    }
  })

  it('refuses a column that claims a run of 2^40 rows without producing it', () => {
    assert.throws(() => decodeChange(columnsForTest(change(), 2 ** 40)), /more rows than it may/)
  })

  it('refuses compressed chunks, changes without ops, and truncated ones', () => {
    const bytes = encodeChange(change())
    assert.throws(
      () => decodeChange(Uint8Array.from([...bytes.slice(0, 8), 2, ...bytes.slice(9)])),
      /compressed/,
    )
    assert.throws(() => decodeChange(encodeChange(change({ ops: [] }))), /changes nothing/)
    assert.throws(() => decodeChange(bytes.subarray(0, bytes.length - 1)), /truncated|canonical/)
  })

  it('keeps integers, texts, booleans and null apart', () => {
    const values = [0, 63, 64, 2 ** 53 - 1, '', 'true', true, false, null, '0']
    const ops = values.map((value, index) => ({ object: op(1), key: `k${index}`, value, replaces: [] }))
    assert.deepEqual(
      decodeChange(encodeChange(change({ ops }))).ops.map(({ value }) => value),
      values,
    )
  })
})

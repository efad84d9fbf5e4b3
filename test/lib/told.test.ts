// Memory of a follower.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Told } from '../../lib/told.ts'

describe('told', () => {
  it('knows what was told of each stream, and the latest time of all', () => {
    const told = new Told()
    assert.equal(told.at, null)
    told.note('a', 10, 500)
    told.note('b', 3, 400)
    assert.equal(told.at, 500)
    assert.ok(!told.has('a', 10), 'a stream that goes on tells nothing again')
    told.askedAgain()
    assert.ok(told.has('a', 10) && told.has('a', 1) && !told.has('a', 11))
    assert.ok(!told.has('b', 4) && !told.has('c', 0))
  })

  it('takes a stream that is past what was told for one that goes on, wherever it begins anew', () => {
    const told = new Told()
    told.note('a', 10, 1)
    told.askedAgain()
    told.note('a', 12, 2)
    assert.ok(!told.has('a', 3))
  })

  it('forgets the streams it heard of first, never the recent ones (S14)', () => {
    const told = new Told()
    for (let at = 0; at < 10_001; at += 1) told.note(`${at}`, 1, at)
    told.askedAgain()
    assert.ok(!told.has('0', 1) && told.has('1', 1) && told.has('10000', 1))
  })
})

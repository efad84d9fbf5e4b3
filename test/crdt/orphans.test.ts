// Orphans wait for one cause at a time, and there is room for so many.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Orphans } from '../../crdt/orphans.ts'
import type { ChangeHash } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'

const hash = (text: string): ChangeHash => text as ChangeHash

describe('orphans', () => {
  it('are released by the cause they wait for, once', () => {
    const orphans = new Orphans()
    orphans.add(hash('b'), Uint8Array.of(1), hash('a'))
    orphans.add(hash('c'), Uint8Array.of(2), hash('a'))
    orphans.add(hash('d'), Uint8Array.of(3), hash('x'))
    assert.deepEqual(orphans.take(hash('a')), [Uint8Array.of(1), Uint8Array.of(2)])
    assert.deepEqual(orphans.take(hash('a')), [])
    assert.equal(orphans.size, 1)
  })

  it('make room for new ones, the oldest first, by number and by size', () => {
    const orphans = new Orphans()
    for (let index = 0; index <= LIMITS.orphansMax; index += 1)
      orphans.add(hash(`h${index}`), Uint8Array.of(1), hash(`w${index}`))
    assert.equal(orphans.size, LIMITS.orphansMax)
    assert.deepEqual(orphans.take(hash('w0')), [])
    const large = new Uint8Array(512 * 1024)
    for (let index = 0; index < 40; index += 1) orphans.add(hash(`l${index}`), large, hash('later'))
    assert.equal(orphans.take(hash('later')).length, 32)
  })
})

// Identifiers: composing and taking apart again are inverse.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  instanceIdOf,
  interned,
  memberIdOf,
  NAME_PATTERN,
  partsOfInstance,
  partsOfService,
  seatOfSlot,
  serviceIdOf,
  serviceOfSlot,
  slotIdOf,
  type ReleaseId,
} from '../../lib/ids.ts'

const name = fc.stringMatching(new RegExp(NAME_PATTERN))

describe('ids', () => {
  it('take apart what they were composed of', () => {
    const seat = fc.oneof(fc.nat(), name)
    fc.assert(
      fc.property(name, name, seat, fc.stringMatching(/^[0-9a-f]{12}$/), (cell, own, at, release) => {
        const service = serviceIdOf(cell, own)
        const slot = slotIdOf(service, at)
        assert.deepEqual(partsOfService(service), { cell, name: own })
        assert.equal(serviceOfSlot(slot), service)
        assert.equal(seatOfSlot(slot), String(at))
        assert.deepEqual(partsOfInstance(instanceIdOf(slot, release as ReleaseId)), { slot, release })
      }),
      { numRuns: 200 },
    )
  })

  it('are the same text as what they were read from', () => {
    const odd = fc.constantFrom('', '7', '__proto__', 'constructor', 'é')
    fc.assert(
      fc.property(fc.oneof(fc.string(), odd), (text) => {
        assert.equal(interned(` ${text}`.slice(1)), text)
        assert.equal(memberIdOf(text), text)
      }),
      { numRuns: 200 },
    )
  })

  it('read as people write them', () => {
    const slot = slotIdOf(serviceIdOf('shop', 'web'), 2)
    assert.equal(instanceIdOf(slot, '0123456789ab' as ReleaseId), 'shop/web/2@0123456789ab')
  })

  it('allow names that can be DNS labels, and no others', () => {
    const pattern = new RegExp(NAME_PATTERN)
    for (const good of ['a', '0', 'a-b', 'web2', 'a'.repeat(63)]) assert.match(good, pattern)
    for (const bad of ['', '-a', 'a-', 'A', 'a_b', 'a.b', 'a/b', 'ü', 'a'.repeat(64), 'a b'])
      assert.doesNotMatch(bad, pattern)
  })
})

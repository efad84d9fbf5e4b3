// Who can read an edit: one that an older member could not is refused while that one is a member.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Edit } from '../../../crdt/edit.ts'
import { demandOf, DOCUMENT_FORMAT } from '../../../crdt/schema/format.ts'
import { LATER_DEFAULTS } from '../../../crdt/schema/service-defaults.ts'
import type { MemberStatus } from '../../../crdt/schema/status.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { checkReaders } from '../../../node/agent/readers.ts'
import { fleet } from '../plan/fleet.ts'

const edit = (field: string): Edit => ({ container: 'services', key: `shop/web/3/${field}`, value: null })

describe('the format that an edit asks for', () => {
  it('is none for fields of the first version, whatever their last word', () => {
    assert.equal(demandOf(edit('replicas')), null)
    assert.equal(demandOf(edit('environment/user')), null)
    assert.equal(demandOf({ container: 'members', key: 'm/user', value: null }), null)
  })

  it('is one that this version reads, for every later field', () => {
    for (const field of Object.keys(LATER_DEFAULTS)) {
      const demand = demandOf(edit(field))
      assert.ok(demand !== null && demand.format > 0 && demand.format <= DOCUMENT_FORMAT, field)
    }
  })
})

describe('a value that came later', () => {
  it('asks for the format that it came with, and the values before it for none', () => {
    const partition = { ...edit('onPartition'), value: 'quorum' }
    assert.deepEqual(demandOf(partition), { format: 2, field: 'onPartition: quorum' })
    assert.equal(demandOf({ ...partition, value: 'stay' }), null)
  })
})

describe('an edit that not every member can read', () => {
  const { view, statuses, self } = fleet({ members: { oak: {}, elm: {} }, services: [] })
  const reading = (document: number | null): ReadonlyMap<MemberId, MemberStatus> =>
    new Map(
      [...statuses].map(([id, status]) => [
        id,
        id === self || document === null
          ? { ...status, formats: { document: 1 } }
          : { ...status, formats: { document } },
      ]),
    )

  it('is refused with the name of the member and of the field (S4)', () => {
    const other = view.members.find(({ id }) => id !== self)?.name ?? ''
    assert.throws(
      () => checkReaders([edit('replicas'), edit('user')], view, reading(0)),
      new RegExp(`${other} runs an older tutti, which cannot read 'user'`),
    )
    const silent = new Map(statuses)
    assert.throws(
      () => checkReaders([edit('user')], view, silent),
      /an older tutti/,
      'it does not say so at all',
    )
  })

  it('is taken where all can, where nothing is known of a member, and of who is no member', () => {
    checkReaders([edit('user')], view, reading(1))
    checkReaders([edit('replicas')], view, reading(0))
    checkReaders([edit('user')], view, new Map())
    checkReaders([edit('user')], { ...view, members: [] }, reading(0))
  })
})

// Confinement as an eligibility: who may hold what asks for a user or for isolation, and that nothing else changes by it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { ConfinementFacts } from '../../../crdt/schema/status.ts'
import { slotIdOf } from '../../../lib/ids.ts'
import { confinementLack } from '../../../node/plan/confinement.ts'
import { explainSlot } from '../../../node/plan/explain.ts'
import { place } from '../../../node/plan/placement.ts'
import { fleet, holding, idOf, numbered, service } from './fleet.ts'

const ABLE: ConfinementFacts = { sandboxLack: '', userLack: '', ownUsers: [] }
const UNABLE: ConfinementFacts = {
  sandboxLack: 'bubblewrap is not installed',
  userLack: 'its peer does not run as root',
  ownUsers: ['ann', '1000', 'ann:staff'],
}

const arbitraryConfinement = fc.constantFrom(undefined, ABLE, UNABLE)

const arbitraryServices = fc
  .array(
    fc.record({
      replicas: fc.integer({ min: 0, max: 9 }),
      mode: fc.constantFrom<'replicated' | 'global'>('replicated', 'global'),
      constraints: fc.constantFrom<string[]>([], ['node.labels.zone != a']),
      spread: fc.constantFrom(null, 'node.labels.zone'),
    }),
    { maxLength: 6 },
  )
  .map((all) => all.map((options, at) => service(`c/s${at}`, options)))

const arbitraryMembers = fc.array(
  fc.record({
    cpus: fc.integer({ min: 1, max: 8 }),
    labels: fc.record({ zone: fc.constantFrom('a', 'b') }),
    cordoned: fc.boolean(),
    state: fc.constantFrom('alive' as const, 'dead' as const),
    confinement: arbitraryConfinement,
  }),
  { minLength: 1, maxLength: 7 },
)

/** Members with what they said of confinement, and the same ones silent. */
const told = (all: readonly { readonly confinement: ConfinementFacts | undefined }[]) =>
  numbered(all.length, (at) => {
    const { confinement, ...rest } = all[at] ?? { confinement: undefined }
    return { ...rest, ...(confinement === undefined ? {} : { confinement }) }
  })
const silent = (all: readonly { readonly confinement: ConfinementFacts | undefined }[]) =>
  numbered(all.length, (at) => ({ ...all[at], confinement: ABLE }))

describe('confinement', () => {
  it('hinders only what asks for it', () => {
    const none = { user: null, isolation: 'none' } as const
    assert.equal(confinementLack(none, UNABLE), null)
    assert.equal(
      confinementLack({ ...none, isolation: 'sandbox' }, UNABLE),
      'cannot isolate: bubblewrap is not installed',
    )
    assert.equal(
      confinementLack({ ...none, user: 'www' }, UNABLE),
      'cannot change to user www: its peer does not run as root',
    )
    assert.equal(confinementLack({ user: 'www', isolation: 'sandbox' }, ABLE), null)
  })

  it("lets a peer without root run what asks for the peer's own user, in each way to write it", () => {
    for (const user of UNABLE.ownUsers)
      assert.equal(confinementLack({ user, isolation: 'none' }, UNABLE), null)
  })

  it('takes a member that has said nothing at its former word: the start will tell', () => {
    assert.equal(confinementLack({ user: 'www', isolation: 'sandbox' }, null), null)
  })

  it('changes no answer for services that ask for none (S5)', () => {
    fc.assert(
      fc.property(arbitraryMembers, arbitraryServices, (members, services) => {
        const first = services[0]
        const holds = first === undefined ? {} : { m0: holding(first, [0, 1]) }
        const of = (those: ReturnType<typeof told>) => [
          ...place(fleet({ members: those, services, holds })).values(),
        ]
        assert.deepEqual(of(told(members)), of(silent(members)))
      }),
      { numRuns: 200 },
    )
  })

  it('places what asks for it on members that can, and nowhere else', () => {
    fc.assert(
      fc.property(arbitraryMembers, arbitraryServices, (members, plain) => {
        const services = plain.map((one) => ({ ...one, isolation: 'sandbox' as const }))
        const placements = place(fleet({ members: told(members), services }))
        members.forEach(({ confinement }, at) => {
          if (confinement !== UNABLE) return
          assert.ok([...placements.values()].every(({ member }) => member !== idOf(`m${at}`)))
        })
      }),
      { numRuns: 200 },
    )
  })

  it('waits for the last member that decides without it, lest two versions act at once (S5)', () => {
    const spec = service('a/b', { isolation: 'sandbox', replicas: 4 })
    const members = (placementVersion: number) => ({
      m0: { confinement: UNABLE },
      m1: { confinement: ABLE },
      m2: { placementVersion },
    })
    const usedBy = (version: number): boolean =>
      [...place(fleet({ members: members(version), services: [spec] })).values()].some(
        ({ member }) => member === idOf('m0'),
      )
    assert.deepEqual([usedBy(1), usedBy(2)], [true, false])
  })

  it('is explained member by member, with what would change it', () => {
    const spec = service('a/b', { isolation: 'sandbox' })
    const members = { p1: { confinement: UNABLE }, p2: { confinement: UNABLE, labels: { zone: 'a' } } }
    const explained = explainSlot(fleet({ members, services: [spec] }), slotIdOf(spec.id, 0))
    assert.equal(
      explained?.reason,
      'nobody can hold it: p1 cannot isolate: bubblewrap is not installed; p2 cannot isolate: bubblewrap is not installed',
    )
    assert.deepEqual(
      explained.candidates.map(({ eligible, reasons }) => [eligible, ...reasons]),
      [
        [false, 'cannot isolate: bubblewrap is not installed'],
        [false, 'cannot isolate: bubblewrap is not installed'],
      ],
    )
    assert.ok(explained.changes.includes('add a member with bubblewrap'))
  })
})

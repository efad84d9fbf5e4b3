// Conviction: the circular question of who is dead, on small tables and as properties.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { MemberId } from '../../lib/ids.ts'
import { accusersNeeded, convict } from '../../net/conviction.ts'
import { ringsOf } from '../../net/rings.ts'

const letters = (text: string): readonly MemberId[] =>
  text.split('') as readonly string[] as readonly MemberId[]

/** Who is dead for `self` among `members`; `alerts` like `A>BC` (A accuses B and C). */
const deadFor = (
  self: string,
  members: string,
  alerts: readonly string[],
  dead = '',
  undecided = '',
): string => {
  const accusers = new Map<MemberId, Set<MemberId>>()
  for (const alert of alerts) {
    const [accuser = '', accused = ''] = alert.split('>')
    for (const id of letters(accused)) {
      const found = accusers.get(id) ?? new Set<MemberId>()
      accusers.set(id, found.add(accuser as MemberId))
    }
  }
  const result = convict({
    self: self as MemberId,
    population: new Set(letters(members)),
    accusers,
    observersOf: (id) => ringsOf(letters(members)).observersOf(id),
    dead: new Set(letters(dead)),
    undecided: new Set(letters(undecided)),
  })
  return [...result].sort().join('')
}

describe('accusersNeeded', () => {
  it('is a majority, at most three', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6].map(accusersNeeded), [1, 2, 2, 3, 3, 3])
  })
})

describe('convict', () => {
  it('lets the only other member decide', () => {
    assert.equal(deadFor('A', 'AB', ['A>B']), 'B')
  })

  it('does not let one of several decide', () => {
    assert.equal(deadFor('A', 'ABC', ['B>C']), '')
    assert.equal(deadFor('A', 'ABC', ['B>C', 'A>C']), 'C')
    assert.equal(deadFor('D', 'ABCDEF', ['A>BCDEF']), '')
    assert.equal(deadFor('D', 'ABCDEFG', ['A>BCEFG']), '')
  })

  it('convicts all that one survivor lost', () => {
    assert.equal(deadFor('A', 'ABC', ['A>BC']), 'BC')
    assert.equal(deadFor('A', 'ABCDE', ['A>BCDE']), 'BCDE')
  })

  it('asks for a second accuser although the only observer left accuses, while others live', () => {
    const members = 'ABCDEFGHIJKL'
    const [last = '', ...fallen] = ringsOf(letters(members)).observersOf('A' as MemberId)
    const others = letters(members).filter((id) => id !== 'A' && id !== last && !fallen.includes(id))
    const self = others[0] ?? ''
    const alerts = [last, ...others].map((id) => `${id}>${fallen.join('')}`)
    const expected = [...fallen].sort().join('')
    assert.equal(deadFor(self, members, [...alerts, `${last}>A`]), expected)
    assert.equal(deadFor(self, members, [...alerts, `${last}>A`, `${self}>A`]), `A${expected}`)
  })

  it('follows each side of a split when all alerts meet', () => {
    const alerts = ['A>CD', 'B>CD', 'C>AB', 'D>AB']
    assert.equal(deadFor('A', 'ABCD', alerts), 'CD')
    assert.equal(deadFor('C', 'ABCD', alerts), 'AB')
    assert.equal(deadFor('A', 'ABCDE', ['A>CDE', 'B>CDE', 'C>AB', 'D>AB', 'E>AB']), 'CDE')
  })

  it('does not count the alerts of the dead, unless they died after whom they accused', () => {
    const alerts = ['A>E', 'B>ACDF', 'C>B', 'D>B', 'F>B']
    assert.equal(deadFor('C', 'ABCDEF', alerts), 'B')
    assert.equal(deadFor('E', 'ABCDEF', ['A>BCD', 'B>F', 'C>F', 'D>F', 'E>BCD', 'F>BCD'], 'F'), 'BCDF')
  })

  it('keeps dead whom a lone survivor lost until those who come back could know better', () => {
    assert.equal(deadFor('A', 'ABC', ['A>B'], 'B', 'C'), 'B')
    assert.equal(deadFor('A', 'ABC', ['A>B'], 'B'), '')
    assert.equal(deadFor('A', 'ABC', ['A>B'], '', 'C'), '')
    assert.equal(deadFor('A', 'ABC', [], 'B', 'C'), '')
  })

  describe('safety', () => {
    const cases = fc
      .integer({ min: 2, max: 12 })
      .chain((count) =>
        fc.tuple(fc.constant(count), fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)))),
      )
    const named = (count: number): string => 'ABCDEFGHIJKL'.slice(0, count)
    const texts = (pairs: readonly (readonly [number, number])[]): readonly string[] =>
      pairs.filter(([a, b]) => a !== b).map(([a, b]) => `${'ABCDEFGHIJKL'[a]}>${'ABCDEFGHIJKL'[b]}`)

    it('never convicts self, nor anyone without an accuser', () => {
      fc.assert(
        fc.property(cases, ([count, pairs]) => {
          const accused = new Set(texts(pairs).map((text) => text.slice(2)))
          for (const id of deadFor('A', named(count), texts(pairs))) {
            assert.ok(id !== 'A' && accused.has(id))
          }
        }),
        { numRuns: 300 },
      )
    })

    it('never convicts by the alerts of one member while two others live', () => {
      fc.assert(
        fc.property(fc.integer({ min: 3, max: 12 }), fc.integer({ min: 1, max: 11 }), (count, at) => {
          const members = named(count)
          const bad = members[at % count] ?? 'B'
          if (bad === 'A') return
          const others = members.replace(bad, '').replace('A', '')
          assert.equal(deadFor('A', members, [`${bad}>${others}`]), '')
        }),
        { numRuns: 100 },
      )
    })

    it('is unmoved by the order in which alerts arrive', () => {
      fc.assert(
        fc.property(cases, ([count, pairs]) => {
          const alerts = texts(pairs)
          assert.equal(deadFor('A', named(count), alerts), deadFor('A', named(count), [...alerts].reverse()))
        }),
        { numRuns: 200 },
      )
    })
  })
})

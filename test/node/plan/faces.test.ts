// What readers get from the plan's folder: explanations, forecasts, endpoints and stewards.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { slotIdOf, type SlotId } from '../../../lib/ids.ts'
import { endpointsOf } from '../../../node/plan/endpoints.ts'
import { explainService, explainSlot } from '../../../node/plan/explain.ts'
import { forecast, forecastView } from '../../../node/plan/forecast.ts'
import { withMember, withoutMembers } from '../../../node/plan/what-if.ts'
import { place } from '../../../node/plan/placement.ts'
import { stewardOf } from '../../../node/plan/steward.ts'
import { fleet, holding, idOf, numbered, service, viewOf } from './fleet.ts'

const web = service('shop/web', { replicas: 3, ports: { http: 0 } })

describe('explain', () => {
  it('agrees with the placement on every slot', () => {
    const services = [
      web,
      service('shop/log', { mode: 'global' }),
      service('a/b', { replicas: 9, reservedCpusMilli: 3000 }),
    ]
    const input = fleet({ members: numbered(4, (at) => ({ cordoned: at === 2 })), services })
    const placements = place(input)
    for (const explained of explainService(input, [...placements.keys()])) {
      assert.equal(explained.member, placements.get(explained.slot)?.member)
      assert.equal(explained.reason, placements.get(explained.slot)?.reason)
      assert.deepEqual(
        explained.candidates.map(({ rank }) => rank),
        [1, 2, 3, 4],
      )
      if (explained.member !== null)
        assert.ok(explained.candidates.find(({ member }) => member === explained.member)?.eligible)
    }
  })

  it('names whom a slot would go to, and it goes there', () => {
    const input = fleet({ members: numbered(5), services: [web] })
    const slot = slotIdOf(web.id, 0)
    const explained = explainSlot(input, slot)
    const holder = Object.keys(numbered(5)).find((name) => idOf(name) === explained?.member) ?? ''
    const next = /moves to (m\d)/.exec(explained?.changes[0] ?? '')?.[1] ?? ''
    const gone = { ...numbered(5), [holder]: { state: 'left' as const } }
    const after = place(fleet({ members: gone, services: [web] }))
    assert.equal(after.get(slot)?.member, idOf(next))
    const again = explainSlot(fleet({ members: gone, services: [web], self: next }), slot)
    assert.match(
      again?.reason ?? '',
      new RegExp(`^its home ${holder} has left; the best of 4 candidates by spread and hash$`),
    )
    assert.equal(again?.changes[1], `it returns to ${holder}, which has left, when that takes slots again`)
    const home = again?.candidates.find(({ name }) => name === holder)
    assert.deepEqual([home?.eligible, home?.reasons], [false, ['has left']])
  })

  it('names no member that is gone among those that could take a slot at home', () => {
    const input = fleet({
      members: numbered(4, (at) => (at === 2 ? { draining: true } : {})),
      services: [web],
    })
    for (const { member, candidates } of explainService(input, [...place(input).keys()])) {
      const drained = candidates.find(({ name }) => name === 'm2')
      assert.notEqual(member, idOf('m2'))
      assert.deepEqual([drained?.eligible, drained?.reasons], [false, ['is draining']])
    }
  })

  it('says why not here, and what would change it, for a slot that nobody can hold', () => {
    const spec = service('shop/db', {
      reservedMemoryBytes: 2 ** 29,
      constraints: ['node.labels.disk == ssd'],
    })
    const explained = explainSlot(
      fleet({
        members: {
          elm: { memoryBytes: 2 ** 27, labels: { disk: 'ssd' } },
          oak: { cordoned: true, labels: { disk: 'ssd' } },
        },
        services: [spec],
      }),
      slotIdOf(spec.id, 0),
    )
    assert.equal(explained?.member, null)
    assert.deepEqual(
      explained?.candidates.map(({ name, reasons }) => `${name} ${reasons.join('; ')}`).toSorted(),
      ['elm needs 512M, 128M of 128M is free', 'oak is cordoned and accepts no new slot'],
    )
    assert.deepEqual(explained?.changes.toSorted(), [
      'add a member with 512M free, node.labels.disk == ssd',
      'free room on elm, or reserve less: it needs 512M, 128M of 128M is free',
      'uncordon oak',
    ])
  })

  it('has nothing to say of a slot that is not wanted', () => {
    assert.equal(explainSlot(fleet({ members: numbered(2), services: [web] }), 'shop/web/7' as SlotId), null)
  })
})

describe('forecast', () => {
  const input = fleet({ members: numbered(3), services: [web] })
  const after = (...services: ReturnType<typeof service>[]) =>
    forecastView(input, viewOf(input.view.members, services))

  it('says slot by slot what starts, stops and is replaced', () => {
    const kinds = (result: ReturnType<typeof after>) =>
      result.slots.map(({ slot, kind }) => `${slot} ${kind}`)
    assert.deepEqual([after(web).slots, after(web).warnings], [[], []])
    assert.deepEqual(kinds(after(service('shop/web', { ports: { http: 0 }, replicas: 4 }))), [
      'shop/web/3 start',
    ])
    assert.deepEqual(kinds(after(service('shop/web', { ports: { http: 0 }, replicas: 2 }))), [
      'shop/web/2 stop',
    ])
    assert.deepEqual(
      kinds(after(service('shop/web', { ports: { http: 0 }, replicas: 3, restartToken: 'x' }))),
      ['shop/web/0 replace', 'shop/web/1 replace', 'shop/web/2 replace'],
    )
    assert.deepEqual(after().slots.map(({ reason }) => reason)[0], 'its service is removed')
  })

  it('warns of what is allowed but probably not meant', () => {
    const { warnings } = after(
      service('shop/a', { constraints: ['node.labels.zone == mars'] }),
      service('shop/b', { replicasPerNodeMax: 1, replicas: 5 }),
      service('shop/c', { stopped: true }),
      service('shop/d', { dependsOn: { nope: 'healthy' } }),
    )
    assert.equal(warnings[0], 'shop/a: no member meets the constraint node.labels.zone == mars')
    assert.match(warnings[1] ?? '', /^shop\/a: 1 of 1 slots have no place: nobody can hold it: /)
    assert.match(warnings[2] ?? '', /^shop\/b: 2 of 5 slots have no place: .*holds 1 of this service already/)
    assert.equal(warnings[3], 'shop/c is stopped; tutti start shop/c runs it again')
    assert.equal(warnings[4], 'shop/d depends on shop/nope, which does not exist; it will not start')
  })

  it('says what moves when a member goes or comes', () => {
    const holder = place(input).get(slotIdOf(web.id, 0))?.member ?? idOf('m0')
    const killed = forecast(input, withoutMembers(input, new Set([holder])))
    assert.ok(
      killed.slots.some(
        ({ slot, kind, from }) => slot === 'shop/web/0' && kind === 'move' && from === holder,
      ),
    )
    const more = fleet({ members: numbered(4), services: [web] })
    const member = more.view.members.find(({ name }) => name === 'm3')
    const facts = more.statuses.get(idOf('m3'))?.facts
    assert.ok(member !== undefined && facts)
    const joined = forecast(input, withMember(input, member, facts))
    assert.ok(joined.slots.every(({ kind }) => kind === 'move'))
  })
})

describe('endpoints', () => {
  it('are the ready instances on members that are present, and no others', () => {
    const holds = {
      m0: holding(web, [0]),
      m1: holding(web, [1], { state: 'draining' }),
      m2: holding(web, [2]),
      m3: holding(service('gone/gone'), [0]),
    }
    const members = numbered(4, (at) =>
      at === 2 ? { state: 'dead' } : { state: at === 0 ? 'suspect' : 'alive' },
    )
    const endpoints = endpointsOf(fleet({ members, services: [web], holds }))
    assert.deepEqual([...endpoints.keys()], [web.id])
    const [only, ...rest] = endpoints.get(web.id) ?? []
    assert.deepEqual([only?.host, only?.port, only?.slot, rest.length], ['m0.test', 8000, 'shop/web/0', 0])
  })
})

describe('stewards', () => {
  it('are the same for every peer, always present, and change only for duties of a member that goes', () => {
    const all = numbered(6)
    const less = numbered(6, (at) => (at === 2 ? { state: 'dead' } : {}))
    const duties = Array.from({ length: 60 }, (_, at) => `c/s${at}`)
    const seen = new Set<string | null>()
    for (const duty of duties) {
      const before = stewardOf(duty, fleet({ members: all, self: 'm1' }))
      const after = stewardOf(duty, fleet({ members: less, self: 'm3' }))
      assert.equal(before, stewardOf(duty, fleet({ members: all, self: 'm5' })))
      assert.ok(before === after || before === idOf('m2'))
      assert.notEqual(after, idOf('m2'))
      seen.add(before)
    }
    assert.equal(seen.size, 6)
    assert.equal(stewardOf('x', fleet({ members: { a: { state: 'dead' } } })), null)
  })
})

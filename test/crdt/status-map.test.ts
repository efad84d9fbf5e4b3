// Status: last values by their writer alone, whatever is lost, repeated or reordered on the way.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { changedMembers } from '../../lib/changed-members.ts'
import { StatusMap } from '../../crdt/status-map.ts'
import { openStatus, sealStatus } from '../../crdt/status-record.ts'
import { shareStates, shareStatuses } from '../../crdt/status-share.ts'
import { signerOf, memberOf } from './cluster.ts'

const mapOf = (name: string, incarnation = 1): StatusMap =>
  new StatusMap({ signer: signerOf(name), incarnation })

const report = (digest: string) => ({ digest, settled: true, waiting: [] })
const instance = (state: string) => ({
  slot: 'shop/web/0',
  release: 'r1',
  state,
  pid: 1,
  ports: { http: 80 },
  since: 0,
  restarts: 0,
  reason: '',
  cpusMilli: 0,
  memoryBytes: 0,
})

const seal = (map: StatusMap): Uint8Array => {
  const sealed = map.seal()
  assert.ok(sealed)
  return sealed
}

/** The same with peers of one process sharing what they hold. */
const sharing = <T>(act: () => T): T => {
  shareStatuses(1000)
  shareStates(true)
  try {
    return act()
  } finally {
    shareStates(false)
    shareStatuses(0)
  }
}

const pull = (to: StatusMap, from: StatusMap): void => {
  for (const record of from.missingFrom(to.vector(), Infinity))
    assert.notEqual(to.ingest(record).kind, 'invalid')
}

describe('status map', () => {
  it('tells once who has said something', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('report', report('d1'))
    assert.deepEqual(ada.takeChanged(), [memberOf('ada')])
    const sealed = seal(ada)
    bob.ingest(sealed)
    bob.ingest(sealed)
    assert.deepEqual(bob.takeChanged(), [memberOf('ada')])
    assert.deepEqual(bob.takeChanged(), [])
    assert.equal(bob.statusOf(memberOf('ada'))?.report?.digest, 'd1')
    bob.retain(new Set([memberOf('bob')]))
    assert.deepEqual(bob.takeChanged(), [memberOf('ada')])
    assert.equal(bob.statusOf(memberOf('ada')), null)
  })

  it('holds the same whether peers of one process share it or not, in any order and with repeats', () => {
    const ada = mapOf('ada')
    const records = Array.from({ length: 30 }, (_, at) => {
      ada.set(
        `instance/shop/web/${at % 4}@r1`,
        at % 7 === 0 ? null : instance(at % 3 === 0 ? 'ready' : 'failing'),
      )
      ada.set('report', report(`d${at}`))
      return seal(ada)
    })
    const orders = fc.array(fc.nat({ max: records.length - 1 }), { maxLength: 60 })
    const heldAfter = (order: readonly number[]) => {
      const map = mapOf('bob')
      const admissions = order.map((at) => map.ingest(records[at] ?? new Uint8Array()).kind)
      return { admissions, said: map.statuses(), digest: map.digest(), records: map.records() }
    }
    fc.assert(
      fc.property(fc.array(orders, { minLength: 1, maxLength: 4 }), (peers) => {
        const alone = peers.map(heldAfter)
        assert.deepEqual(
          sharing(() => peers.map(heldAfter)),
          alone,
        )
      }),
      { numRuns: 30 },
    )
  })

  it('tells what a map made anew would, in order, whatever it told before, and changes nothing that it told', () => {
    const names = ['ada', 'cem', 'dan']
    const everybody = new Set(['bob', ...names].map(memberOf))
    const step = fc.record({
      who: fc.nat(names.length - 1),
      what: fc.constantFrom('report', 'instance', 'restart', 'leave'),
      ask: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const bob = mapOf('bob')
        bob.retain(everybody)
        const maps = new Map(names.map((name) => [name, mapOf(name)]))
        const told: (readonly [ReturnType<StatusMap['statuses']>, unknown])[] = []
        for (const [at, { who, what, ask }] of steps.entries()) {
          const name = names[who] ?? ''
          const map = maps.get(name) ?? mapOf(name)
          if (what === 'leave') {
            bob.retain(new Set([...everybody].filter((id) => id !== memberOf(name))))
            bob.retain(everybody)
          } else {
            if (what === 'restart') map.refute(map.incarnation)
            map.set(what === 'instance' ? 'instance/shop/web/0@r1' : 'report', {
              ...(what === 'instance' ? instance('ready') : report(`d${at}`)),
              ...(what === 'instance' ? { since: at } : {}),
            })
            bob.ingest(seal(map))
          }
          if (!ask) continue
          const fresh = mapOf('bob')
          fresh.retain(everybody)
          for (const record of bob.records()) fresh.ingest(record)
          const statuses = bob.statuses()
          assert.deepEqual([...statuses.keys()], [...statuses.keys()].sort())
          assert.deepEqual(bob.digest(), fresh.digest())
          assert.deepEqual(bob.vector(), fresh.vector())
          assert.deepEqual(bob.listedVector(), fresh.listedVector())
          for (const [earlier, copy] of told) assert.deepEqual([...earlier], copy)
          for (const [earlier] of told)
            for (const [id, status] of statuses)
              if (earlier.get(id) !== status)
                assert.ok(changedMembers(earlier, statuses)?.includes(id) ?? true)
          told.push([statuses, [...statuses]])
        }
      }),
      { numRuns: 60 },
    )
  })

  it('says the same elsewhere as at home', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('report', report('d1'))
    ada.set('instance/shop/web/0@r1', instance('ready'))
    ada.set(`alert/${memberOf('cem')}`, { incarnation: 2, silent: true })
    const sealed = seal(ada)
    const { kept, ...taken } = bob.ingest(sealed)
    assert.deepEqual(taken, { kind: 'new', member: memberOf('ada'), news: 'more', isAnew: true })
    assert.deepEqual(kept, sealed)
    assert.notEqual(kept, sealed)
    const said = bob.statuses().get(memberOf('ada'))
    assert.deepEqual(said, ada.statuses().get(memberOf('ada')))
    assert.equal(said?.instances.get('shop/web/0@r1')?.state, 'ready')
    assert.deepEqual([...(said?.alerts.keys() ?? [])], [memberOf('cem')])
    assert.equal(ada.digest(), bob.digest())
  })

  it('says when a record changes nothing but how far its member is, or whom it accuses', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    const alert = `alert/${memberOf('cem')}`
    ada.set('instance/shop/web/0@r1', instance('ready'))
    assert.equal(bob.ingest(seal(ada)).news, 'more')
    ada.set('report', report('d1'))
    assert.equal(bob.ingest(seal(ada)).news, 'report')
    ada.set(alert, { incarnation: 2, silent: true })
    assert.equal(bob.ingest(seal(ada)).news, 'alerts')
    ada.set(alert, null)
    ada.set('report', report('d2'))
    assert.equal(bob.ingest(seal(ada)).news, 'alerts', 'what is said of others is not lost among the rest')
    ada.set('report', report('d3'))
    ada.set('instance/shop/web/0@r1', null)
    assert.equal(bob.ingest(seal(ada)).news, 'more')
  })

  it('says when a record is the first of its member, or of a new incarnation of it', () => {
    const bob = mapOf('bob')
    const isAnew = (ada: StatusMap, digest: string): boolean | undefined => {
      ada.set('report', report(digest))
      return bob.ingest(seal(ada)).isAnew
    }
    const before = mapOf('ada')
    assert.deepEqual([isAnew(before, 'd1'), isAnew(before, 'd2')], [true, false])
    const after = mapOf('ada', 2)
    assert.deepEqual([isAnew(after, 'd3'), isAnew(after, 'd4')], [true, false])
  })

  it('seals nothing when nothing changed', () => {
    const ada = mapOf('ada')
    assert.equal(ada.seal(), null)
    assert.equal(ada.set('report', report('d1')), true)
    assert.equal(ada.set('report', { waiting: [], settled: true, digest: 'd1' }), false)
    seal(ada)
    assert.equal(ada.set('report', report('d1')), false)
    ada.set('passing', 1)
    ada.set('passing', null)
    assert.equal(ada.seal(), null)
  })

  it('applies a record behind a gap at once, and counts it as complete when the gap is filled', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('instance/a@1', instance('ready'))
    const first = seal(ada)
    ada.set('report', report('d2'))
    const second = seal(ada)
    assert.equal(bob.ingest(second).kind, 'gap')
    assert.equal(bob.statuses().get(memberOf('ada'))?.report?.digest, 'd2')
    assert.equal(bob.vector().get(memberOf('ada'))?.seq, 0)
    assert.equal(bob.ingest(first).kind, 'new')
    assert.deepEqual(bob.vector().get(memberOf('ada')), { incarnation: 1, seq: 2 })
    assert.equal(bob.ingest(first).kind, 'known')
  })

  it('needs no record that was superseded', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    for (let round = 0; round < 10; round += 1) {
      ada.set('report', report(`d${round}`))
      const sealed = seal(ada)
      if (round === 9) assert.equal(bob.ingest(sealed).kind, 'new')
    }
    assert.equal(ada.records().length, 1)
    assert.equal(ada.digest(), bob.digest())
  })

  it('forgets deleted entries, and keeps records in proportion to what lives', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    for (let round = 0; round < 300; round += 1) {
      ada.set(`instance/s${round}@r`, instance('ready'))
      if (round >= 3) ada.set(`instance/s${round - 3}@r`, null)
      bob.ingest(seal(ada))
      for (const map of [ada, bob]) assert.ok(map.records().length <= 20)
    }
    assert.equal(bob.statuses().get(memberOf('ada'))?.instances.size, 3)
    assert.equal(ada.digest(), bob.digest())
  })

  it('voids everything of a lower incarnation', () => {
    const bob = mapOf('bob')
    const before = mapOf('ada', 1)
    before.set('instance/old@1', instance('ready'))
    const old = seal(before)
    bob.ingest(old)
    const after = mapOf('ada', 2)
    after.set('report', report('d'))
    assert.equal(bob.ingest(seal(after)).kind, 'new')
    assert.equal(bob.ingest(old).kind, 'known')
    assert.equal(bob.statuses().get(memberOf('ada'))?.instances.size, 0)
    assert.equal(bob.statuses().get(memberOf('ada'))?.incarnation, 2)
  })

  it('shows what was said before until the next incarnation is whole, whatever of it comes first (L4)', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('instance/shop/web/0@r1', instance('ready'))
    bob.ingest(seal(ada))
    ada.refute(4)
    ada.set('instance/shop/web/1@r1', instance('ready'))
    const whole = seal(ada)
    ada.set('report', report('d2'))
    const later = seal(ada)
    assert.equal(bob.ingest(later).kind, 'gap')
    const said = bob.statuses().get(memberOf('ada'))
    assert.equal(said?.incarnation, 5)
    assert.deepEqual([...(said?.instances.keys() ?? [])], ['shop/web/0@r1'])
    assert.equal(said?.report, null)
    // Nor does a third incarnation of which a part comes first take anything away.
    ada.refute(9)
    seal(ada)
    ada.set('report', report('d3'))
    bob.ingest(seal(ada))
    assert.deepEqual([...(bob.statuses().get(memberOf('ada'))?.instances.keys() ?? [])], ['shop/web/0@r1'])
    assert.equal(bob.ingest(whole).kind, 'known')
    pull(bob, ada)
    assert.deepEqual(bob.statuses().get(memberOf('ada')), ada.statuses().get(memberOf('ada')))
  })

  it('refutes with a higher incarnation and restates everything', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('report', report('d'))
    bob.ingest(seal(ada))
    ada.refute(4)
    assert.equal(ada.incarnation, 5)
    assert.equal(bob.ingest(seal(ada)).kind, 'new')
    assert.equal(bob.statuses().get(memberOf('ada'))?.incarnation, 5)
    assert.equal(bob.statuses().get(memberOf('ada'))?.report?.digest, 'd')
    const bare = mapOf('cem')
    bare.refute(1)
    assert.ok(bare.pending)
    assert.equal(bob.ingest(seal(bare)).kind, 'new')
  })

  it('rises above itself when others know a later life of it', () => {
    const later = mapOf('ada', 7)
    later.set('report', report('d'))
    const ada = mapOf('ada', 1)
    ada.ingest(seal(later))
    assert.equal(ada.incarnation, 8)
    assert.ok(ada.pending)
    ada.heardOfSelf(3)
    assert.equal(ada.incarnation, 8)
  })

  it('takes no record that its member did not sign as it is', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('report', report('d'))
    const sealed = seal(ada)
    for (let at = 0; at < sealed.length; at += 7) {
      const forged = sealed.slice()
      forged[at] = (forged[at] ?? 0) ^ 1
      const { kind, reason } = bob.ingest(forged)
      assert.equal(kind, 'invalid')
      assert.match(reason ?? '', /\w/)
    }
    assert.equal(bob.ingest(new Uint8Array(0)).kind, 'invalid')
  })

  it('refuses keys, values and totals beyond the limits', () => {
    const ada = mapOf('ada')
    assert.throws(() => ada.set('k'.repeat(301), 1), /300 bytes/)
    assert.throws(() => ada.set('k', 'x'.repeat(32 * 1024)), /32768 bytes/)
    assert.throws(() => {
      for (let index = 0; index < 40; index += 1) ada.set(`k${index}`, 'x'.repeat(30_000))
    }, /must fit into one record/)
    assert.ok(seal(ada).length < 2 ** 20)
  })

  it('passes over fields and keys of a newer version, leaves out what it cannot read, and passes all of it on', () => {
    const [ada, bob, cem] = [mapOf('ada'), mapOf('bob'), mapOf('cem')]
    ada.set('report', { ...report('d'), mood: 'good' })
    ada.set('weather', 'rain')
    ada.set('instance/a@1', instance('levitating'))
    ada.set('instance/b@1', {
      ...instance('ready'),
      altitude: 3,
      exit: { code: 0, signal: null, why: 'tired' },
    })
    ada.set('alert/cem', { incarnation: 1, silent: true, certainty: 3 })
    bob.ingest(seal(ada))
    const said = bob.statuses().get(memberOf('ada'))
    assert.deepEqual(said?.report, report('d'))
    assert.deepEqual([...(said?.instances.keys() ?? [])], ['b@1'])
    assert.equal(Object.hasOwn(said?.instances.get('b@1') ?? {}, 'altitude'), false)
    assert.deepEqual(said?.alerts.get('cem'), { incarnation: 1, silent: true })
    // Whoever understands more gets the very bytes that were signed.
    for (const record of bob.missingFrom(new Map(), 1 << 20)) cem.ingest(record)
    assert.deepEqual(cem.records(), ada.records())
  })

  it('reads confinement from a key of its own, also with fields of a newer version, and knows a member without it', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('report', report('d'))
    bob.ingest(seal(ada))
    assert.equal(bob.statuses().get(memberOf('ada'))?.confinement, undefined)
    const confinement = { sandboxLack: 'no', userLack: '', ownUsers: [] }
    ada.set('confinement', { ...confinement, networks: 'none' })
    bob.ingest(seal(ada))
    assert.deepEqual(bob.statuses().get(memberOf('ada'))?.confinement, confinement)
  })

  it('keeps members only, and takes nothing of others', () => {
    const [ada, bob] = [mapOf('ada'), mapOf('bob')]
    ada.set('report', report('d'))
    const sealed = seal(ada)
    bob.ingest(sealed)
    bob.retain(new Set([memberOf('bob')]))
    assert.ok(!bob.statuses().has(memberOf('ada')))
    assert.equal(bob.ingest(sealed).kind, 'known')
    assert.ok(!bob.statuses().has(memberOf('ada')))
  })

  it('converges under loss, repetition and reordering (S1)', () => {
    const steps = fc.array(
      fc.record({ key: fc.nat(6), value: fc.option(fc.nat(3)), fate: fc.nat(4), restart: fc.nat(12) }),
      { minLength: 1, maxLength: 60 },
    )
    fc.assert(
      fc.property(steps, (todo) => {
        const [ada, bob, cem] = [mapOf('ada'), mapOf('bob'), mapOf('cem')]
        const late: Uint8Array[] = []
        for (const { key, value, fate, restart } of todo) {
          ada.set(`k${key}`, value)
          if (restart === 0) ada.refute(0)
          const sealed = ada.seal()
          if (sealed === null) continue
          if (fate < 2) bob.ingest(sealed)
          if (fate === 2) late.push(sealed)
          if (fate === 3) pull(cem, bob)
        }
        for (const record of late.toReversed()) {
          bob.ingest(record)
          bob.ingest(record)
        }
        pull(cem, ada)
        pull(bob, cem)
        for (const map of [bob, cem]) {
          assert.equal(map.digest(), ada.digest())
          // Nothing sealed, nothing known of her elsewhere.
          const own = ada.vector().get(memberOf('ada'))
          assert.deepEqual(map.vector().get(memberOf('ada')), own?.seq === 0 ? undefined : own)
        }
        assert.deepEqual(
          bob.records().map((bytes) => openStatus(bytes)),
          ada.records().map((bytes) => openStatus(bytes)),
        )
      }),
      { numRuns: 40 },
    )
  })

  it('opens only canonical records', () => {
    const signer = signerOf('ada')
    const record = { incarnation: 1, seq: 9, retained: [2, 5], entries: [{ key: 'a', value: '1' }] }
    assert.deepEqual(openStatus(sealStatus(signer, record)), { ...record, member: signer.member })
    assert.throws(() => openStatus(sealStatus(signer, { ...record, retained: [9] })), /not before it/)
    assert.throws(
      () => openStatus(sealStatus(signer, { ...record, entries: [...record.entries, ...record.entries] })),
      /twice/,
    )
  })
})

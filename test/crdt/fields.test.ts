// What the document may hold, key by key.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ContainerName, Scalar } from '../../crdt/edit.ts'
import { fieldFault, formatPath, lifeRank, parseLife, placeOf } from '../../crdt/fields.ts'
import { memberOf } from './cluster.ts'

const bob = memberOf('bob')

const allowed: readonly [ContainerName, string, Scalar][] = [
  ['cluster', 'name', 'home'],
  ['members', `${bob}/@`, '1:live'],
  ['members', `${bob}/@`, '12:removed'],
  ['members', `${bob}/role`, 'runner'],
  ['members', `${bob}/addresses`, '["/ip4/10.0.0.1/tcp/7400"]'],
  ['members', `${bob}/invite`, null],
  ['invites', bob, '{"expiresAt":5,"role":"operator","uses":1}'],
  ['invites', bob, null],
  ['services', 'shop/web/@', '1:deleted'],
  ['services', 'shop/web/1/command', '["node","web.js"]'],
  ['services', 'shop/web/1/replicas', 0],
  ['services', 'shop/web/1/environment/LOG_LEVEL', 'info'],
  ['services', 'shop/web/1/environment/LOG_LEVEL', null],
  ['services', 'shop/web/1/ports/http', 8080],
  ['services', 'shop/web/1/dependsOn/db', 'healthy'],
  ['services', 'shop/web/1/healthcheck', null],
  ['services', 'shop/web/1/update/order', 'stop-first'],
]

const forbidden: readonly [ContainerName, string, Scalar][] = [
  ['cluster', 'owner', 'x'],
  ['members', `${bob}/@`, '0:live'],
  ['members', `${bob}/@`, '1:deleted'],
  ['members', `${bob}/shoe`, 1],
  ['members', 'nobody/name', 'x'],
  ['members', `${bob}/name`, 'Two Words'],
  ['members', `${bob}/addresses`, '[ ]'],
  ['invites', bob, '{"uses":1,"role":"operator","expiresAt":5}'],
  ['invites', bob, '{"expiresAt":5,"role":"king","uses":1}'],
  ['cells', 'shop', 'x'],
  ['packages', 'shop', 'x'],
  ['services', 'shop/web', 'x'],
  ['services', 'Shop/web/@', '1:live'],
  ['services', 'shop/web/0/replicas', 1],
  ['services', 'shop/web/01/replicas', 1],
  ['services', 'shop/web/1/colour', 'red'],
  ['services', 'shop/web/1/replicas', null],
  ['services', 'shop/web/1/replicas', 2001],
  ['services', 'shop/web/1/replicas', 1.5],
  ['services', 'shop/web/1/replicas', '3'],
  ['services', 'shop/web/1/command', '[]'],
  ['services', 'shop/web/1/command', '["a", "b"]'],
  ['services', 'shop/web/1/command', 'node web.js'],
  ['services', 'shop/web/1/command', '['.repeat(16_000)],
  ['services', 'shop/web/1/environment/__proto__', 'x'],
  ['services', 'shop/web/1/environment/A/B', 'x'],
  ['services', 'shop/web/1/environment/A', 1],
  ['services', 'shop/web/1/environment/A', 'x'.repeat(32 * 1024 + 1)],
  ['services', 'shop/web/1/ports/http', 65_536],
  ['services', 'shop/web/1/healthcheck', '{"kind":"http"}'],
]

describe('fields', () => {
  for (const [container, key, value] of allowed)
    it(`lets ${container} hold ${key.replace(bob, 'bob')} = ${String(value)}`, () =>
      assert.equal(fieldFault(container, key, value), null))

  for (const [container, key, value] of forbidden)
    it(`refuses ${container} ${key.replace(bob, 'bob')} = ${String(value).slice(0, 40)}`, () =>
      assert.match(fieldFault(container, key, value) ?? '', /^(the value of )?'.*(field|exceeds)/))

  it('places a key with its entity', () => {
    assert.deepEqual(placeOf('services', 'shop/web/2/update/order'), {
      entity: 'services/shop/web',
      field: '2/update/order',
    })
    assert.deepEqual(placeOf('members', `${bob}/name`), { entity: `members/${bob}`, field: 'name' })
  })

  it('orders lives: deletion over life, the next generation over both', () => {
    const ranks = ['1:live', '1:deleted', '2:live', '2:removed'].map((text) => {
      const life = parseLife(text)
      assert.ok(life)
      return lifeRank(life)
    })
    assert.deepEqual(
      ranks,
      ranks.toSorted((a, b) => a - b),
    )
    assert.equal(new Set(ranks).size, 4)
  })

  it('names a field as people read it', () => {
    assert.equal(formatPath('services/shop/web', '2/environment/LOG_LEVEL'), 'shop/web environment.LOG_LEVEL')
    assert.equal(formatPath('services/shop/web', '@'), 'shop/web')
    assert.equal(
      formatPath(`members/${bob}`, 'cordoned', () => 'bob'),
      'peer bob cordoned',
    )
  })
})

// The genesis is a constant of the format: were its bytes to change, no peer could read an older cluster.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clusterIdOf, containerPathOf, genesisOf, isOwnActor, ownActor } from '../../crdt/genesis.ts'
import type { ActorId, ClusterId } from '../../lib/ids.ts'
import { CLUSTER, FOUNDER, NONCE, memberOf } from './cluster.ts'

describe('genesis', () => {
  it('is the same bytes for the same cluster, for ever', () => {
    const { hash, actor, opMax } = genesisOf('ab'.repeat(16) as ClusterId)
    assert.equal(hash, '7d9cbb1ae85b0b1df0ad28caa14cf9e82112e05955087a788ed6c2076aeada4b')
    assert.equal(actor, 'c82627504f2419988a9cfb81ec3e66e4')
    assert.equal(opMax, 70)
  })

  it('differs between clusters', () => {
    assert.notEqual(genesisOf('ab'.repeat(16) as ClusterId).hash, genesisOf(CLUSTER).hash)
  })

  it('names a cluster after its founder and nonce', () => {
    assert.equal(clusterIdOf(FOUNDER.member, NONCE), CLUSTER)
    assert.notEqual(clusterIdOf(memberOf('eve'), NONCE), CLUSTER)
  })

  it('finds for every key the container that an op made, and back', () => {
    const genesis = genesisOf(CLUSTER)
    for (const path of ['cluster', 'members', containerPathOf('services', 'shop/web/1/replicas')]) {
      const object = genesis.objectOf(path)
      assert.ok(object)
      assert.equal(genesis.pathOf(object), path)
    }
    assert.equal(containerPathOf('services', 'shop/web/@'), containerPathOf('services', 'shop/web/7/mode'))
  })

  it('gives each member actors that nobody else may use', () => {
    const random = 'ff'.repeat(16) as ActorId
    const actor = ownActor(memberOf('bob'), random)
    assert.ok(isOwnActor(memberOf('bob'), actor))
    assert.ok(!isOwnActor(memberOf('eve'), actor))
    assert.equal(actor.slice(8), random.slice(8))
  })
})

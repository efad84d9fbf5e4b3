// Gossip's mesh in simulations: few neighbours each, and everybody is reached.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hash32 } from '../../lib/hash.ts'
import type { MemberId } from '../../lib/ids.ts'
import { Mesh } from '../../simulations/mesh.ts'

describe('a mesh', () => {
  const ids = Array.from({ length: 300 }, (_, at) => `m${at}` as MemberId)
  // About eighteen connections each, as the dialler makes them.
  const connected = new Map(
    ids.map((id) => [
      id,
      ids.filter((other) => other !== id && hash32([id, other].sort().join()) % 300 < 18),
    ]),
  )
  const meshes = new Map(ids.map((id) => [id, new Mesh(id)]))
  const among = (id: MemberId): readonly MemberId[] =>
    meshes
      .get(id)
      ?.among(connected.get(id) ?? [], (other) => meshes.get(other)?.choose(connected.get(other) ?? []), 0) ??
    []

  it('is the same from both ends, with some five neighbours each', () => {
    const degrees = ids.map((id) => {
      for (const other of among(id)) assert.ok(among(other).includes(id))
      return among(id).length
    })
    const mean = degrees.reduce((sum, degree) => sum + degree, 0) / ids.length
    assert.ok(mean > 3 && mean < 6, `${mean} neighbours`)
  })

  it('is listed anew when anybody is wired otherwise', () => {
    const [self, ...others] = ids.slice(0, 6)
    assert.ok(self !== undefined)
    const mesh = new Mesh(self)
    const chosen = others.filter((id) => mesh.choose(others).has(id))
    assert.deepEqual(
      mesh.among(others, () => new Set(), 0),
      chosen,
    )
    const chosenBack = (): ReadonlySet<MemberId> => new Set([self])
    assert.deepEqual(mesh.among(others, chosenBack, 0), chosen)
    assert.deepEqual(mesh.among(others, chosenBack, 1), others)
  })

  it('reaches everybody within a few hops', () => {
    let reached = new Set<MemberId>(ids.slice(0, 1))
    for (let hop = 0; hop < 8; hop += 1) reached = new Set([...reached, ...[...reached].flatMap(among)])
    assert.equal(reached.size, ids.length)
  })
})

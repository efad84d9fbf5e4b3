// Versions in one cluster: what an older and a newer peer say, and that the present one lives with both.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell } from '../../crdt/edits.ts'
import { placementVersionOf, PLACEMENT_VERSION } from '../../node/plan/placement-version.ts'
import type { Machine } from '../../simulations/machine.ts'
import { specOf } from '../../simulations/services.ts'
import type { Version } from '../../simulations/versions.ts'
import { agentOf, World } from '../../simulations/world.ts'

const restarted = async (world: World, machine: Machine, version: Version): Promise<void> => {
  machine.kill()
  machine.version = version
  await world.finish(machine.start())
  await world.settle()
}

describe('a mixed fleet', () => {
  const cell = (world: World, isolation: 'none' | 'sandbox') => {
    const web = { ...specOf(world.random, 'web', 'ready=50ms'), mode: 'replicated' as const, constraints: [] }
    return { name: 'shop', services: [{ ...web, replicas: 4, isolation }] }
  }

  it('with a newer peer agrees, places and rests as ever (L1, L2, S5)', async () => {
    const world = new World({ seed: 'newer' })
    const [first, second] = await world.cluster(3)
    assert.ok(first && second)
    await restarted(world, second, 'newer')
    const { view } = agentOf(first).snapshot()
    await world.finish(
      agentOf(first).edit(applyCell(view, cell(world, 'sandbox')).edits, { message: 'apply', at: 0 }),
    )
    await world.settle()
    const { statuses, ...rest } = agentOf(first).snapshot()
    const said = statuses.get(second.signer.member)
    assert.equal(said?.facts?.placementVersionMax, PLACEMENT_VERSION + 1)
    assert.ok(said.report !== null && said.formats !== undefined && said.instances.size > 0)
    assert.equal(placementVersionOf({ ...rest, statuses }), PLACEMENT_VERSION)
  })

  it('with an older peer acts on its placement version, and takes no edit that it cannot read (S4, S5)', async () => {
    const world = new World({ seed: 'older' })
    const [first, second] = await world.cluster(3)
    assert.ok(first && second)
    await restarted(world, second, 'older')
    const snapshot = agentOf(first).snapshot()
    const said = snapshot.statuses.get(second.signer.member)
    assert.deepEqual([said?.formats, said?.confinement], [undefined, undefined])
    assert.equal(placementVersionOf(snapshot), 1)
    const plain = applyCell(snapshot.view, cell(world, 'none')).edits
    await world.finish(agentOf(first).edit(plain, { message: 'apply', at: 0 }))
    await world.settle()
    const edits = applyCell(agentOf(first).view(), cell(world, 'sandbox')).edits
    await assert.rejects(
      agentOf(first).edit(edits, { message: 'isolate', at: 0 }),
      /m1 runs an older tutti, which cannot read 'isolation'; upgrade it first/,
    )
    await restarted(world, second, 'present')
    await world.finish(agentOf(first).edit(edits, { message: 'isolate', at: 0 }))
    await world.settle()
    assert.equal(placementVersionOf(agentOf(second).snapshot()), PLACEMENT_VERSION)
  })
})

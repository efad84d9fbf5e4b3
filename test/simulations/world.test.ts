// The world of a simulation as those see it who look at it together.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { agentOf, World } from '../../simulations/world.ts'

describe('looking together', () => {
  it('shows everybody the same snapshot of a peer, and a new one the next time', async () => {
    const world = new World({ seed: 'together' })
    const [first] = await world.cluster(2)
    assert.ok(first)
    const agent = agentOf(first)
    let before = agent.snapshot()
    world.together(() => {
      before = world.sightOf(agent)
      assert.equal(world.sightOf(agent), before)
      assert.equal(world.snapshots()[0], before)
    })
    world.together(() => assert.notEqual(world.sightOf(agent), before))
  })

  it('shows each what is there now when nobody looks together', async () => {
    const world = new World({ seed: 'alone' })
    const [first] = await world.cluster(1)
    assert.ok(first)
    assert.throws(() =>
      world.together(() => {
        throw new Error('a checker is wrong itself')
      }),
    )
    assert.notEqual(world.sightOf(agentOf(first)), world.sightOf(agentOf(first)))
  })
})

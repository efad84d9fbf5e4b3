// What replies say of leases: from a voter's own promises, and from the leases that the answering peer holds.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defined } from '../../../../lib/assert.ts'
import type { AgentSnapshot } from '../../../../node/ports.ts'
import { place } from '../../../../node/plan/placement.ts'
import { explainReply } from '../../../../node/serve/replies/explain.ts'
import { instancesReply } from '../../../../node/serve/replies/instances.ts'
import { readingOf, type Reading } from '../../../../node/serve/replies/reading.ts'
import { statusReply } from '../../../../node/serve/replies/services.ts'
import { serviceIdOf } from '../../../../lib/ids.ts'
import { FakeAgent, service } from '../fake-agent.ts'

const SLOT = 'shop/lock/0'

/** Three peers, one of which, elm, runs the slot under token 7. Asked is oak. */
const world = (): FakeAgent => {
  const agent = new FakeAgent(['oak', 'elm', 'ash'])
  agent.apply('shop', [service('lock', { replicas: 1, onPartition: 'quorum' })])
  agent.say(0, 'oak', {})
  agent.say(1, 'elm', { [SLOT]: 'ready' })
  agent.say(2, 'ash', {})
  const elm = defined(agent.statuses.get(agent.id(1)), 'what elm says')
  const fences = new Map([...elm.instances.keys()].map((instance) => [instance, 7]))
  agent.statuses.set(agent.id(1), { ...elm, fences })
  return agent
}

const read = (agent: FakeAgent, known: Partial<AgentSnapshot>): Reading => {
  const snapshot = { ...agent.snapshot(), ...known }
  return readingOf(snapshot, place(snapshot))
}

describe('leases in replies', () => {
  it('show holder, token and what is left as the asked peer has promised it', () => {
    const agent = world()
    const reading = read(agent, {
      promises: [{ slot: SLOT, holder: agent.id(1), token: 9, leftMs: 4200.7 }],
    })
    const lease = { holder: 'elm', token: 9, leftMs: 4200 }
    assert.deepEqual(explainReply(reading, serviceIdOf('shop', 'lock')).slots[0]?.lease, lease)
    const [row] = instancesReply(reading).instances
    assert.deepEqual([row?.fence, row?.lease], [7, lease])
    const [status] = statusReply(reading).cells[0]?.services ?? []
    assert.deepEqual(status?.leases, [{ slot: SLOT, ...lease }])
  })

  it('show the token of a run also where nothing is known of the lease', () => {
    const [row] = instancesReply(read(world(), {})).instances
    assert.deepEqual([row?.fence, row?.lease], [7, undefined])
  })

  it('show what this peer holds before what it has promised', () => {
    const agent = world()
    const reading = read(agent, {
      leases: new Map([
        [SLOT, { kind: 'held', token: 11, untilMs: agent.snapshot().nowMs + 500, fresh: true }],
      ]),
      promises: [{ slot: SLOT, holder: agent.id(1), token: 9, leftMs: 4000 }],
    })
    const lease = explainReply(reading, serviceIdOf('shop', 'lock')).slots[0]?.lease
    assert.deepEqual(lease, { holder: 'oak', token: 11, leftMs: 500 })
    // Another peer's run is not under it.
    assert.equal(instancesReply(reading).instances[0]?.lease, undefined)
  })

  it('name the voters, also while they change', () => {
    const agent = world()
    const voters = { epoch: 3, former: [agent.id(1)], present: [agent.id(0), agent.id(1)] }
    assert.deepEqual(statusReply(read(agent, { voters })).voters, {
      present: ['elm', 'oak'],
      former: ['elm'],
    })
    assert.equal(statusReply(read(agent, { voters: null })).voters, null)
  })
})

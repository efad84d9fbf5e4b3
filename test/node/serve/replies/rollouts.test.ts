// What `GET /v1/placements` says of the rollout of a service and of the release in each of its slots.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defined } from '../../../../lib/assert.ts'
import { serviceIdOf } from '../../../../lib/ids.ts'
import type { HookStatus, RolloutStatus } from '../../../../crdt/schema/status.ts'
import { place } from '../../../../node/plan/placement.ts'
import { explainReply } from '../../../../node/serve/replies/explain.ts'
import { readingOf } from '../../../../node/serve/replies/reading.ts'
import { FakeAgent, service, WALL } from '../fake-agent.ts'

const WEB = serviceIdOf('shop', 'web')
const OLD = '00000000600d'

/** Web has a canary, in its slot 0 on elm; the others serve the old release on ash. */
const world = (phase: RolloutStatus['phase'], reason: string, hooks: Record<string, HookStatus> = {}) => {
  const agent = new FakeAgent(['oak', 'elm', 'ash'])
  const update = { order: 'start-first', parallelism: 1, canary: 1, monitorMs: 5000 } as const
  agent.apply('shop', [service('web', { replicas: 2, update })])
  const release = defined(
    agent.view.services.find(({ id }) => id === WEB),
    'the service',
  ).release
  agent.say(1, 'elm', { 'shop/web/0': 'ready' })
  agent.say(2, 'ash', { 'shop/web/1': { release: OLD, reason: 'serves until it is replaced' } })
  const word = {
    release,
    phase,
    open: 1,
    wave: 1,
    since: WALL,
    reason,
    good: OLD,
    verified: true,
    heeded: '',
  }
  for (const [seat, id] of agent.ids.entries()) {
    const said = defined(agent.statuses.get(id), 'a status')
    const entries = Object.entries(hooks).filter(([name]) => name === ['oak', 'elm', 'ash'][seat])
    const own = new Map(entries.map(([, hook]) => [`${WEB}@${release}`, hook]))
    agent.statuses.set(id, { ...said, rollouts: new Map([[WEB, word]]), hooks: own })
  }
  const snapshot = agent.snapshot()
  return { release, reply: explainReply(readingOf(snapshot, place(snapshot)), WEB) }
}

describe('an explanation', () => {
  it('says how far the rollout is, what it waits for, and who judges it', () => {
    const { release, reply } = world('canary', 'all its slots are ready; must stay so for 5s')
    const { rollout } = reply
    assert.deepEqual(
      [rollout?.release, rollout?.phase, rollout?.open, rollout?.slots, rollout?.ready, rollout?.good],
      [release, 'canary', 1, 2, 1, OLD],
    )
    assert.match(rollout?.reason ?? '', /must stay so/)
    assert.match(rollout?.steward ?? '', /^(oak|elm|ash)$/)
  })

  it('says of each slot what it has of the release, and what serves in it meanwhile', () => {
    const { reply } = world('canary', '')
    const [first, second] = reply.slots.map(({ release }) => release)
    assert.deepEqual(first, { canary: true, state: 'ready', others: [], reason: '' })
    const others = [{ release: OLD, peer: 'ash', state: 'ready' }]
    assert.deepEqual(second, { canary: false, state: null, others, reason: '' })
  })

  it('names the runs of the hook before the release, the last one first', () => {
    const { reply } = world('preparing', '', {
      oak: { state: 'failed', reason: 'was cut off', attempt: 1, cutOff: true },
      ash: { state: 'running', reason: 'pre_deploy runs', attempt: 2 },
    })
    assert.deepEqual(reply.rollout?.preDeploy, [
      { peer: 'ash', state: 'running', reason: 'pre_deploy runs', attempt: 2 },
      { peer: 'oak', state: 'failed', reason: 'was cut off', attempt: 1 },
    ])
  })
})

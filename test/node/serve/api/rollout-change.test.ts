import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defined } from '../../../../lib/assert.ts'
import { serviceIdOf, type ReleaseId } from '../../../../lib/ids.ts'
import type { RolloutPhase } from '../../../../crdt/schema/status.ts'
import type { ServiceSpec } from '../../../../crdt/schema/service.ts'
import { rolloutEdits } from '../../../../node/serve/api/rollout-change.ts'
import type { RolloutCommand } from '../../../../node/serve/api/contract-rollout.ts'
import { FakeAgent, service, WALL } from '../fake-agent.ts'

const WEB = serviceIdOf('shop', 'web')
const update = { order: 'start-first', parallelism: 1, canary: 1 } as const

const releaseIn = (agent: FakeAgent): ReleaseId =>
  defined(
    agent.view.services.find(({ id }) => id === WEB),
    'the service',
  ).release

/** Two releases of web, the second of which is on its way as said; or nobody has said anything of it. */
const world = (phase: RolloutPhase | null, over: Partial<ServiceSpec> = {}): FakeAgent => {
  const agent = new FakeAgent(['oak', 'elm'])
  for (const version of ['one', 'two'])
    agent.apply('shop', [service('web', { environment: { VERSION: version }, update, ...over })])
  if (phase === null) return agent
  const release = releaseIn(agent)
  const word = {
    release,
    phase,
    open: 1,
    wave: 1,
    since: WALL,
    reason: '',
    good: null,
    verified: false,
    heeded: '',
  }
  const said = defined(agent.statuses.get(agent.id(1)), 'a status')
  agent.statuses.set(agent.id(1), { ...said, rollouts: new Map([[WEB, word]]) })
  return agent
}

const say = (agent: FakeAgent, order: RolloutCommand): number =>
  rolloutEdits(agent.snapshot(), agent.view, WEB, order, { token: () => 'token', past: agent.past }).length

describe('an operator’s word on a rollout', () => {
  it('is an edit while the rollout is on its way', () => {
    for (const phase of ['preparing', 'canary', 'rolling', 'paused', null] as const)
      for (const order of ['pause', 'resume', 'promote', 'abort'] as const)
        assert.ok(say(world(phase), order) > 0, `${order} while ${String(phase)}`)
  })

  it('is refused when it is done: an abort would go further back than anybody meant', () => {
    for (const order of ['pause', 'resume', 'promote', 'abort'] as const)
      assert.throws(() => say(world('done'), order), {
        code: 'refused',
        message: new RegExp(`nothing to ${order}`),
      })
    assert.throws(() => say(world('done'), 'abort'), /tutti rollback shop\/web/)
  })

  it('aborts no return', () => {
    const agent = world(null)
    agent.write(
      rolloutEdits(agent.snapshot(), agent.view, WEB, 'abort', { token: () => 't', past: agent.past }),
    )
    assert.throws(
      () => say(agent, 'abort'),
      /goes back to [0-9a-f]{12} already; go further back with tutti rollback/,
    )
  })

  it('takes a plain rolling update back, of which nobody says anything', () => {
    const plain = { update: { order: 'start-first', parallelism: 1 } } as const
    assert.ok(say(world(null, plain), 'abort') > 0)
  })
})

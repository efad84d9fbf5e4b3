// Events from snapshots: what is told of instances whose end nobody was there to see.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eventsBetween } from '../../../node/agent/event-ring.ts'
import type { LocalInstance } from '../../../node/plan/local.ts'
import type { AgentSnapshot } from '../../../node/ports.ts'
import { fleet, holding, instance, service } from '../plan/fleet.ts'

const web = service('shop/web')

const snapshotOf = (facts: Partial<LocalInstance>): AgentSnapshot => ({
  ...fleet({ members: { oak: {} }, services: [web], holds: { oak: holding(web, [0]) } }),
  local: [instance(web, 0, facts)],
  plan: null,
  wall: 1_000_000,
})

const told = (before: AgentSnapshot | null, after: AgentSnapshot): readonly string[] =>
  eventsBetween(before, after)
    .filter(({ kind, message }) => kind === 'instance' && message.startsWith('its last run'))
    .map(({ message }) => message)

describe('events of ends', () => {
  const lastExit = { code: 7, signal: null, atMs: 88_000 }

  it('tell of a run that ended before anybody looked, once', () => {
    const after = snapshotOf({ lastExit })
    assert.deepEqual(told(null, after), ['its last run exited with 7, 12s ago'])
    assert.deepEqual(told(after, after), [])
  })

  it('leave to the state what the state tells', () => {
    const crashed = snapshotOf({ lastExit, exit: lastExit, phase: 'exited' })
    assert.deepEqual(told(null, crashed), [])
    assert.deepEqual(told(crashed, snapshotOf({ lastExit })), [])
  })
})

// Gates of a start that need a view of their own; the others are seen at work in the transcripts.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { brakeGate } from '../../../node/plan/gates.ts'
import { fleet, service } from './fleet.ts'

const web = service('shop/web', { replicas: 2 })

describe('brake gate', () => {
  const input = fleet({ members: { m0: {}, m1: {}, m2: {} }, services: [web] })
  const [, one, two] = input.view.members.map(({ id }) => id)
  assert.ok(one && two)
  const members = input.membership.members.map((member) =>
    member.id === one ? { ...member, state: 'dead' as const, silent: true } : member,
  )
  const braked = { ...input, membership: { members, brakedUntilMs: input.nowMs + 1000 } }

  it('keeps a slot of a vanished member closed while the brake holds (S16)', () => {
    assert.match(brakeGate(braked, [one]) ?? '', /^waits for the brake: m1, which serves it, is dead/)
  })

  it('is open for slots that nobody, or somebody who is there, holds, and once the brake is off', () => {
    assert.equal(brakeGate(braked, []), null)
    assert.equal(brakeGate(braked, [two]), null)
    const free = { members, brakedUntilMs: null }
    assert.equal(brakeGate({ ...input, membership: free }, [one]), null)
  })
})

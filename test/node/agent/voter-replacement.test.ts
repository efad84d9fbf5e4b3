// Replacing lost voters: what is refused, and what is told to whom. The safety of it is held in plan/lease.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LeaseAnswer, VoterSet } from '../../../crdt/schema/lease.ts'
import { replaceVoters } from '../../../node/agent/voter-replacement.ts'

const HOUR_MS = 3_600_000
const lost: VoterSet = { epoch: 7, former: null, present: ['a', 'x', 'y'] }

/** Peers that know voters, and take over what they are told; a silent one says nothing. */
const world = (options: {
  readonly knows: Readonly<Record<string, VoterSet | null>>
  readonly away?: string
  readonly silent?: string
}) => {
  const known = new Map(Object.entries(options.knows))
  const operators = [...known.keys()].sort()
  const take = (member: string, voters: VoterSet | null): void => {
    if ((voters?.epoch ?? -1) > (known.get(member)?.epoch ?? -1)) known.set(member, voters)
  }
  const answerOf = (to: string, agreed: boolean | null): LeaseAnswer => ({
    voters: known.get(to) ?? null,
    grants: [],
    change:
      agreed === null
        ? null
        : { kind: 'replace', epoch: 0, ballot: { round: 0, by: 'a' }, agreed, bound: null, accepted: null },
  })
  const replacing = replaceVoters({
    self: 'a',
    wall: () => 5000 * HOUR_MS,
    operators,
    inSight: new Set(operators.filter((member) => member !== options.away)),
    nameOf: (member) => `peer-${member}`,
    voters: () => known.get('a') ?? null,
    ask: async (to, { voters, change }) => {
      if (to === options.silent) throw new Error('no answer')
      take(to, voters)
      if (change === null) return answerOf(to, null)
      assert.equal(change.kind, 'replace')
      take(to, change.voters)
      return answerOf(to, true)
    },
    adopt: async (voters) => take('a', voters),
    replace: async (voters) => {
      take('a', voters)
      return true
    },
  })
  return { known, replacing }
}

describe('replacing voters', () => {
  it('makes all operators the voters where the present ones are lost, far above their epoch', async () => {
    const { known, replacing } = world({ knows: { a: null, b: lost, c: { ...lost, epoch: 6 } } })
    const voters = await replacing
    assert.deepEqual(voters, { epoch: 5000, former: null, present: ['a', 'b', 'c'] })
    assert.deepEqual([...known.values()], [voters, voters, voters])
  })

  it('makes them the voters where nobody knows any', async () => {
    assert.equal((await world({ knows: { a: null, b: null } }).replacing).epoch, 5000)
    const late = { epoch: 4900, former: null, present: ['x'] }
    assert.equal((await world({ knows: { a: late, b: null } }).replacing).epoch, 5900)
  })

  it('refuses where the members among the voters are a majority still, whoever knows them (S9)', async () => {
    const alive = { epoch: 8, former: null, present: ['a', 'b', 'x'] }
    for (const knows of [
      { a: alive, b: lost },
      { a: lost, b: alive },
      { a: null, b: alive },
    ]) {
      const { known, replacing } = world({ knows })
      await assert.rejects(replacing, /the voters are not lost/)
      assert.equal(known.get('a')?.epoch, 8)
    }
  })

  it('refuses while an operator is not in sight, or does not answer (S9)', async () => {
    const knows = { a: lost, b: lost, c: lost }
    await assert.rejects(world({ knows, away: 'b' }).replacing, /peer-b is not in sight; start every peer/)
    await assert.rejects(
      world({ knows, silent: 'c' }).replacing,
      /no answer from peer-c; nothing was replaced/,
    )
  })
})

// Whole commands about voters, against a peer that says what the test wants.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { VotersStanding } from '../../node/serve/api/contract-leases.ts'
import { fakePeer, tutti, type FakePeer } from './fake.ts'

let peer: FakePeer
let standing: VotersStanding
before(async () => {
  peer = await fakePeer({
    'GET /v1/voters': () => standing,
    'POST /v1/voters': () => ({ present: ['a', 'd'], epoch: 490_000 }),
  })
})
after(() => peer.close())

describe('tutti voters', () => {
  it('shows who votes, and exits with 1 when no majority is in sight', async () => {
    standing = { voters: { present: ['a', 'b', 'c'], former: null }, lacking: null, lost: false }
    const well = await tutti(['voters'], { peer })
    assert.deepEqual([well.code, well.stdout], [0, 'voters: a, b, c\na majority is in sight\n'])
    const lacking = 'needs 2 of 3 voters; only 1 is in sight'
    standing = { voters: { present: ['a', 'b', 'c'], former: ['a'] }, lacking, lost: true }
    const lost = await tutti(['voters'], { peer })
    assert.deepEqual([lost.code, lost.stdout], [1, `voters: a, b, c\nuntil now, and still: a\n${lacking}\n`])
    assert.match(lost.stderr, /see 'tutti voters replace'/)
    standing = { voters: null, lacking: 'this peer has heard of no voters', lost: true }
    assert.match((await tutti(['voters'], { peer })).stderr, /a peer learns of them when it needs them/)
    assert.deepEqual(JSON.parse((await tutti(['voters', '--json'], { peer })).stdout), standing)
  })

  it('replaces them once somebody vouches that whoever was removed is switched off', async () => {
    const replace = ['voters', 'replace']
    assert.equal((await tutti(replace, { peer })).code, 2)
    const refused = await tutti(replace, { peer, isTerminal: true, answer: 'n' })
    assert.deepEqual([refused.code, refused.stdout], [1, 'nothing was changed\n'])
    assert.equal(peer.asked.filter(({ method }) => method === 'POST').length, 0)
    const { code, stdout } = await tutti([...replace, '--yes'], { peer })
    assert.deepEqual(
      [code, stdout],
      [0, 'the voters are a, d now; quorum slots begin within half a minute\n'],
    )
  })
})

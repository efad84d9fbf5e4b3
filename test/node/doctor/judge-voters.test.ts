// What an examination says of those who vote on leases.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { judgeVoters, type VoterFacts } from '../../../node/doctor/judge-voters.ts'

const well: VoterFacts = { services: ['shop/ledger'], known: true, lacking: null, lost: false }

const said = (over: Partial<VoterFacts>): readonly string[] =>
  judgeVoters({ ...well, ...over }).map(({ level, found }) => `${level} ${found}`)

describe('voters', () => {
  it('are nobody’s concern where nothing needs a lease', () => {
    assert.deepEqual(said({ services: [], lost: true, lacking: 'all' }), [])
  })

  it('are well while a majority is in sight', () => {
    assert.deepEqual(said({}), ['ok a majority is in sight'])
  })

  it('are missed where too few are in sight, are members, or are known (L7)', () => {
    const lacking = 'needs 2 of 3 voters; only 1 is in sight'
    assert.deepEqual(said({ lacking }), [`fail ${lacking}, so shop/ledger cannot run here`])
    assert.deepEqual(said({ lacking, lost: true, services: ['shop/ledger', 'shop/queue'] }), [
      'fail too few of the voters are members still to decide anything, so shop/ledger and others cannot run',
    ])
    assert.deepEqual(said({ known: false, lost: true, lacking: 'any' }), [
      'warn this peer has heard of no voters',
    ])
  })
})

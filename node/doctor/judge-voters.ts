// Whether those who vote on leases of quorum slots can decide anything, where there are such slots. Pure.

import { fail, ok, warn, type Finding } from './finding.ts'

export interface VoterFacts {
  /** Services whose slots need leases. */
  readonly services: readonly string[]
  /** This peer has heard who votes. */
  readonly known: boolean
  /** What a majority in sight lacks, in words; null: one is in sight. */
  readonly lacking: string | null
  /** They can never decide anything again. */
  readonly lost: boolean
}

/** Nothing, where nothing needs a lease. */
export const judgeVoters = ({ services, known, lacking, lost }: VoterFacts): readonly Finding[] => {
  const [first] = services
  if (first === undefined) return []
  const stands = `${first}${services.length === 1 ? '' : ' and others'} cannot run`
  if (!known)
    return [
      warn(
        'voters',
        'this peer has heard of no voters',
        `ask again in a moment; if tutti voters says so on every peer, ${stands} before tutti voters replace`,
      ),
    ]
  if (lost)
    return [
      fail(
        'voters',
        `too few of the voters are members still to decide anything, so ${stands}`,
        'see that whatever was removed is switched off, then tutti voters replace',
      ),
    ]
  if (lacking === null) return [ok('voters', 'a majority is in sight')]
  return [
    fail(
      'voters',
      `${lacking}, so ${stands} here`,
      'start the peers that are missing, or tutti peers rm them once they are gone for good',
    ),
  ]
}

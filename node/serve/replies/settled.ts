// Whether the cluster has settled, as far as this peer can see: every living member reports this very view, and has
// nothing left to do for it. What is missing is named, peer by peer, so that a waiting operator knows for whom.

import type { Reading, ReadMember } from './reading.ts'

export interface Waiting {
  readonly peer: string
  readonly reason: string
}

/** Why a living member keeps the cluster from being settled; null: it does not. */
const waitingFor = (reading: Reading, member: ReadMember): string | null => {
  const { digest } = reading.snapshot.view
  const report = member.status?.report ?? null
  if (report === null) return 'has not reported yet'
  if (report.digest !== digest) {
    return member.view.id === reading.snapshot.self
      ? 'has yet to act on the latest change'
      : 'has reported another state of the document last'
  }
  if (report.settled) return null
  return report.waiting.length === 0 ? 'is at work' : report.waiting.join('; ')
}

/** Living members that are not there yet, by name; empty: settled. */
export const waitingOf = (reading: Reading): readonly Waiting[] =>
  reading.members
    .filter(({ present }) => present)
    .flatMap((member) => {
      const reason = waitingFor(reading, member)
      return reason === null ? [] : [{ peer: member.view.name, reason }]
    })

// Replies about conflicts: what won, what lost, who wrote which and when, and the command that settles it. Pure. Until
// somebody settles one it stays, on every peer alike.

import { disputesOf, pathOf, type Dispute } from '../../../crdt/disputes.ts'
import type { Past } from '../../../crdt/past.ts'

import type { MemberId } from '../../../lib/ids.ts'
import type { ConflictsReply } from '../api/contract.ts'
import { asOf, nameOf, type Reading } from './reading.ts'

type Row = ConflictsReply['conflicts'][number]

/** All of them: of services, of members, and edits that were lost to the removal of a service. */
export const conflictsReply = (reading: Reading, past: Past): ConflictsReply => ({
  asOf: asOf(reading),
  conflicts: disputesOf(reading.snapshot.view, past.registerOf).flatMap((dispute) =>
    rowsOf(reading, past, dispute),
  ),
})

const rowsOf = (reading: Reading, past: Past, dispute: Dispute): Row[] => {
  const { holds, lost, field } = dispute
  const path = pathOf(dispute, (id) => nameOf(reading, id))
  return lost.map(({ value, winner, author, change, at }) => ({
    path,
    value,
    winner,
    author: authorOf(reading, past, author),
    change,
    at,
    winnerAuthor: authorOf(reading, past, holds.author),
    winnerChange: holds.change,
    winnerAt: holds.at,
    settle: field === null ? '' : `tutti resolve ${path}`,
  }))
}

/** The name of whoever signed a change, also of a member that was removed since. */
export const authorOf = (reading: Pick<Reading, 'snapshot'>, past: Past, id: MemberId): string =>
  reading.snapshot.view.members.find((member) => member.id === id)?.name ??
  past.nameOf(id) ??
  nameOf(reading, id)

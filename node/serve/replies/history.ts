// Replies about what was: changes, differences between two moments, and the intent as it was. Pure functions of a reading
// and the past behind it.

import { diffViews } from '../../../crdt/diff-views.ts'
import type { HistoryChange, Past } from '../../../crdt/past.ts'
import type { ServiceView, View } from '../../../crdt/schema/view.ts'
import type {
  DiffQuery,
  DiffReply,
  HistoryChangeReply,
  HistoryQuery,
  HistoryReply,
  IntentQuery,
  IntentReply,
  OneChangeReply,
} from '../api/contract-history.ts'
import { requireScope } from '../api/references.ts'
import { authorOf } from './conflicts.ts'
import { asOf, type Reading } from './reading.ts'

/** Changes of an answer where nobody says how many. */
const LIMIT_DEFAULT = 100

/** @throws TuttiError `unknown` for a cell or service that neither is nor ever was. */
export const historyReply = (reading: Reading, past: Past, query: HistoryQuery): HistoryReply => {
  const { limit = LIMIT_DEFAULT, of, since } = query
  const { changes, more } = past.changes({ limit, of, since })
  // What is gone has a history all the same; what never was has none.
  const isNothing = of !== undefined && changes.length === 0
  if (isNothing && past.changes({ limit: 1, of }).changes.length === 0)
    requireScope(reading.snapshot.view, of)
  return { asOf: asOf(reading), changes: changes.map((change) => changeOf(reading, past, change)), more }
}

/** @throws TuttiError `unknown` or `invalid`. */
export const oneChangeReply = (reading: Reading, past: Past, start: string): OneChangeReply => ({
  asOf: asOf(reading),
  change: changeOf(reading, past, past.change(start)),
})

const changeOf = (reading: Reading, past: Past, change: HistoryChange): HistoryChangeReply => {
  const { hash, at, author, message, parents, edits, omitted } = change
  const name = authorOf(reading, past, author)
  return {
    change: hash,
    at,
    author: name,
    authorId: author,
    peer: name,
    message,
    parents: [...parents],
    edits: edits.map(({ path, from, to }) => ({ path, from, to })),
    omitted,
  }
}

/** @throws TuttiError `unknown` or `invalid`. */
export const diffReply = (reading: Reading, past: Past, { from, to = 'now', of }: DiffQuery): DiffReply => {
  const before = momentOf(past, from)
  const after = momentOf(past, to)
  if (of !== undefined && !isIn(before.view, of) && !isIn(after.view, of))
    requireScope(reading.snapshot.view, of)
  return {
    asOf: asOf(reading),
    from: before.reply,
    to: after.reply,
    edits: diffViews(before.view, after.view, of).map((edit) => ({ ...edit })),
  }
}

const momentOf = (past: Past, text: string): { readonly view: View; readonly reply: DiffReply['from'] } => {
  const heads = past.moment(text)
  const view = past.viewAt(heads)
  return { view, reply: { changes: [...heads], digest: view.digest } }
}

const isIn = (view: View, of: string): boolean =>
  view.services.some(({ id, cell }) => id === of || cell === of)

/** @throws TuttiError `unknown` or `invalid`; also where the cell or service did not exist at that moment. */
export const intentReply = (
  reading: Reading,
  past: Past,
  { at = 'now', cell, service }: IntentQuery,
): IntentReply => {
  const { view, reply } = momentOf(past, at)
  const of = service ?? cell
  if (of !== undefined && !isIn(view, of)) requireScope(view, of)
  const cells = new Map<string, ServiceView[]>()
  for (const one of view.services)
    if (of === undefined || one.id === of || one.cell === of)
      cells.set(one.cell, [...(cells.get(one.cell) ?? []), one])
  return {
    asOf: asOf(reading),
    at: reply,
    peers: view.members.map(({ name, id, role, cordoned, draining }) => ({
      name,
      id,
      role,
      cordoned,
      draining,
    })),
    cells: [...cells].map(([name, services]) => ({
      name,
      services: services.map((one) => serviceOf(view, one)),
    })),
  }
}

const serviceOf = (view: View, service: ServiceView): IntentReply['cells'][number]['services'][number] => {
  const { id, name, generation, mode, replicas, stopped, release, conflicts } = service
  const nothing: View = { ...view, services: [] }
  const fields = diffViews(nothing, { ...view, services: [service] }, id).flatMap(({ path, to }) =>
    path === id || to === null ? [] : [[path.slice(id.length + 1), to] as const],
  )
  return {
    name,
    generation,
    mode,
    replicas,
    stopped,
    release,
    fields: Object.fromEntries(fields),
    conflicts: conflicts.length,
  }
}

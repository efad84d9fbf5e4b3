// One change as people read it, field by field, with what was there before. Read from the document as of the change's own
// causes, so it says what its author saw. Costs a look-up for each field that is named.

import { decodeChange, type SetOp } from './change-codec.ts'
import { formatValue } from './conflicts.ts'
import type { ChangeInfo, EditDescription } from './edit.ts'
import { formatPath, LIFE, parseLife } from './fields.ts'
import type { ActorId, ChangeHash, MemberId } from '../lib/ids.ts'
import type { Entry } from './history.ts'
import { decodeRecord } from './record.ts'
import { locateOps, type CausalContext, type Located } from './validate.ts'

export interface HistoryChange extends ChangeInfo {
  readonly hash: ChangeHash
  readonly actor: ActorId
  readonly seq: number
  /** The changes its author knew as the newest. */
  readonly parents: readonly ChangeHash[]
  readonly edits: readonly EditDescription[]
  /** Further edits that are not named. */
  readonly omitted: number
}

export interface DescribeOptions {
  readonly editsMax: number
  readonly nameOf: (member: MemberId) => string
  /** Only edits of this cell or service. @default everything */
  readonly of?: string | undefined
}

export const describeChange = (
  context: CausalContext,
  entry: Entry,
  { editsMax, nameOf, of }: DescribeOptions,
): HistoryChange => {
  const change = decodeChange(decodeRecord(entry.record).bytes)
  const located = locateOps(context.genesis, change)
  const concerned = (typeof located === 'string' ? [] : located).filter(
    ({ placed }) => of === undefined || isUnder(placed.entity, of),
  )
  // What is created comes with all its fields; naming them would bury the rest.
  const created = new Set(concerned.flatMap(({ placed }) => (placed.field === LIFE ? [placed.entity] : [])))
  const named = concerned.filter(({ placed }) => placed.field === LIFE || !created.has(placed.entity))
  const before = (set: SetOp): string | null => {
    const value = context.document.visible(set.object, set.key, change.deps).at(-1)?.value ?? null
    return value === null ? null : formatValue(value)
  }
  const { hash, author, actor, seq, message, at, deps } = entry
  const edits = named.slice(0, editsMax).map((one) => describeEdit(one, before, nameOf))
  const omitted = named.length - edits.length
  const parents = deps.filter((dep) => context.history.get(dep) !== undefined)
  return { hash, author, actor, seq, message, at, parents, edits, omitted }
}

const describeEdit = (
  { placed, set }: Located,
  before: (set: SetOp) => string | null,
  nameOf: (member: MemberId) => string,
): EditDescription => {
  const path = formatPath(placed.entity, placed.field, nameOf)
  if (placed.field === LIFE)
    return parseLife(placed.value)?.gone === true
      ? { path, from: 'present', to: null }
      : { path, from: null, to: 'present' }
  return { path, from: before(set), to: placed.value === null ? null : formatValue(placed.value) }
}

/** Whether an entity is the cell or service that `of` names, or lies in it. */
export const isUnder = (entity: string, of: string): boolean =>
  entity === `services/${of}` || entity.startsWith(`services/${of}/`)

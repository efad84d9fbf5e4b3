// The history as people read it: one change, field by field, with what was there before. Read from the document as of
// the change's own causes, so it says what its author saw. Costs a look-up for each field; callers ask for few changes.

import { decodeChange, type SetOp } from './change-codec.ts'
import { formatValue } from './conflicts.ts'
import type { ChangeInfo, EditDescription } from './edit.ts'
import { formatPath, LIFE, parseLife } from './fields.ts'
import type { ActorId, ChangeHash } from '../lib/ids.ts'
import type { Entry } from './history.ts'
import { decodeRecord } from './record.ts'
import { locateOps, type CausalContext } from './validate.ts'

export interface HistoryChange extends ChangeInfo {
  readonly hash: ChangeHash
  readonly actor: ActorId
  readonly seq: number
  readonly edits: readonly EditDescription[]
}

/** One change; null when it touches no service under `prefix` (`shop`, `shop/web`). */
export const describeChange = (
  context: CausalContext,
  entry: Entry,
  prefix?: string,
): HistoryChange | null => {
  const change = decodeChange(decodeRecord(entry.record).bytes)
  const located = locateOps(context.genesis, change)
  if (typeof located === 'string') return null
  const concerned = located.filter(({ placed }) => prefix === undefined || isUnder(placed.entity, prefix))
  if (concerned.length === 0) return null
  const lives = new Map(
    concerned.flatMap(({ placed }) => {
      const life = placed.field === LIFE ? parseLife(placed.value) : null
      return life === null ? [] : [[placed.entity, life] as const]
    }),
  )
  const before = (set: SetOp): string | null => {
    const value = context.document.visible(set.object, set.key, change.deps).at(-1)?.value ?? null
    return value === null ? null : formatValue(value)
  }
  const edits = concerned.flatMap(({ placed, set }): EditDescription[] => {
    const life = lives.get(placed.entity)
    if (placed.field === LIFE) {
      const path = formatPath(placed.entity, LIFE)
      return life?.gone === true
        ? [{ path, from: 'present', to: null }]
        : [{ path, from: null, to: 'present' }]
    }
    // What is created comes with all its fields; naming them would bury the rest.
    if (life !== undefined) return []
    const to = placed.value === null ? null : formatValue(placed.value)
    return [{ path: formatPath(placed.entity, placed.field), from: before(set), to }]
  })
  const { hash, author, actor, seq, message, at } = entry
  return { hash, author, actor, seq, message, at, edits }
}

const isUnder = (entity: string, prefix: string): boolean =>
  entity === `services/${prefix}` || entity.startsWith(`services/${prefix}/`)

// An own change out of edits: written on top of everything this replica knows, in the exact form that validate.ts
// demands of everybody. What would change nothing is left out, so that repeating a command costs no history.

import { assert } from '../lib/assert.ts'
import { utf8Length } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import type { ActorId } from '../lib/ids.ts'
import { CHANGE_OPS_MAX, MESSAGE_BYTES_MAX, type Change, type SetOp } from './change-codec.ts'
import type { Edit, EditMeta } from './edit.ts'
import { fieldFault } from './fields.ts'
import { containerPathOf } from './genesis.ts'
import type { CausalContext } from './validate.ts'

/** The next change of an actor; null when no edit changes anything. @throws TuttiError `invalid` or `too-large`. */
export const draftChange = (
  context: CausalContext,
  actor: ActorId,
  edits: readonly Edit[],
  meta: EditMeta,
): Change | null => {
  const ops = opsOf(context, edits)
  if (ops.length === 0) return null
  if (ops.length > CHANGE_OPS_MAX)
    throw new TuttiError('too-large', `${ops.length} fields in one change exceed ${CHANGE_OPS_MAX}; split it`)
  if (utf8Length(meta.message) > MESSAGE_BYTES_MAX)
    throw new TuttiError('too-large', `the message exceeds ${MESSAGE_BYTES_MAX} bytes; shorten it`)
  if (!Number.isSafeInteger(meta.at) || meta.at < 0)
    throw new TuttiError('invalid', `'${meta.at}' is not a time in whole milliseconds`)
  const { history, genesis } = context
  const deps = history.heads()
  return {
    actor,
    seq: history.seqOf(actor) + 1,
    startOp: history.opMaxOf(deps, genesis.opMax) + 1,
    time: meta.at,
    message: meta.message.toWellFormed(),
    deps,
    ops,
  }
}

const opsOf = ({ genesis, document }: CausalContext, edits: readonly Edit[]): SetOp[] => {
  // Of two edits of one key the last one is meant.
  const byKey = new Map(edits.map((edit) => [`${edit.container}/${edit.key}`, edit]))
  const ops: SetOp[] = []
  for (const { container, key, value: given } of byKey.values()) {
    const fault = fieldFault(container, key, given)
    if (fault !== null) throw new TuttiError('invalid', fault)
    // Half a surrogate pair has no UTF-8; -0 has no integer.
    const value =
      typeof given === 'string' ? given.toWellFormed() : typeof given === 'number' ? given + 0 : given
    const object = genesis.objectOf(containerPathOf(container, key))
    assert(object !== undefined, 'the genesis makes every container')
    const visible = document.visible(object, key)
    // An equal value still settles a conflict, so it is left out only where there is none.
    if (visible.length === 1 && visible[0]?.value === value) continue
    ops.push({ object, key, value, replaces: visible.map(({ op }) => op) })
  }
  return ops
}

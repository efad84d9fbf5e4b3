// Forges what the encoder never writes: a change whose key column claims a run of any length.

import { ColumnWriter } from '../../crdt/columns.ts'
import type { Change } from '../../crdt/change-codec.ts'
import { fromHex, utf8 } from '../../lib/bytes.ts'

/** The chunk of a change with one column, which holds one key `rows` times. */
export const columnsForTest = (change: Change, rows: number): Uint8Array => {
  const column = new ColumnWriter()
  column.signed(rows)
  column.unsigned(1)
  column.raw(utf8('k'))
  const keys = column.finish()
  const body = new ColumnWriter()
  body.unsigned(change.deps.length)
  for (const dep of change.deps) body.raw(fromHex(dep))
  body.unsigned(16)
  body.raw(fromHex(change.actor))
  body.unsigned(change.seq)
  body.unsigned(change.startOp)
  body.signed(change.time)
  body.unsigned(0)
  body.unsigned(0)
  body.unsigned(1)
  body.unsigned(0x15)
  body.unsigned(keys.length)
  body.raw(keys)
  const bytes = body.finish()
  const chunk = new ColumnWriter()
  chunk.raw(Uint8Array.of(0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1))
  chunk.unsigned(bytes.length)
  chunk.raw(bytes)
  return chunk.finish()
}

// The limits of the schema, lengths and counts, which no reader of the cell file repeats. Apart from the readers, since the
// schema takes longer to load than the file to read (bin/build.ts keeps it in a file of its own).

import { Value } from 'typebox/value'
import { CellSpec } from '../../crdt/schema/service.ts'

/** Sentences for one file: whoever went beyond one limit did so by a slip. */
const SHOWN_MAX = 3

/** What of a cell is beyond a limit, as `PATH must …`; empty: nothing. */
export const beyondLimits = (cell: CellSpec): readonly string[] => {
  // As unknown: checking a value against its own type would narrow it to never.
  const value: unknown = cell
  if (Value.Check(CellSpec, value)) return []
  return Value.Errors(CellSpec, value)
    .slice(0, SHOWN_MAX)
    .map(({ instancePath, message }) => {
      const [, , index, ...rest] = instancePath.split('/')
      const service = cell.services[Number(index)]?.name
      const path = service === undefined ? instancePath.slice(1) : ['services', service, ...rest].join('.')
      return `${path} ${message}`
    })
}

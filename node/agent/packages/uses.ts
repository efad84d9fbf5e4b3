// The last packages of each service, newest first: what a rollback may want again. Worked out from one view to the next, since
// no view knows the past. Pure.

import type { PackageDigest } from '../../../lib/ids.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'

/** Packages of a service that stay, the present one included: who goes back further fetches it from where it is still listed. */
const USES_MAX = 5

export type PackageUses = ReadonlyMap<string, readonly PackageDigest[]>

/** Null: nothing is new. Services that are gone go with what they used. */
export const usesAfter = (before: PackageUses, services: readonly ServiceView[]): PackageUses | null => {
  const after = new Map<string, readonly PackageDigest[]>()
  let isNew = false
  for (const { id, definition } of services) {
    const known = before.get(id) ?? []
    const { package: digest } = definition
    if (digest === undefined || known[0] === digest) {
      if (known.length > 0) after.set(id, known)
      continue
    }
    isNew = true
    after.set(id, [digest, ...known.filter((other) => other !== digest)].slice(0, USES_MAX))
  }
  return isNew || after.size !== before.size ? after : null
}

// One version of a package out of its register. Of values written at the same time a removal holds before a push, since what
// one operator took out another had not seen there; of several pushes the document's winner, and the losers are conflicts.

import type { PackageDigest } from '../lib/ids.ts'
import type { Scalar } from './edit.ts'
import { packageOfEntity } from './fields.ts'
import type { Register } from './registers.ts'
import type { PackageEntry } from './schema/package.ts'
import type { PackageView } from './schema/view.ts'

/** The value of a register of packages: fields.ts has checked it before it entered the document. */
export const packageEntryOf = (value: Scalar): PackageEntry => JSON.parse(String(value)) as PackageEntry

/** The register with what holds as its last, as everywhere else. */
export const settledPackage = (register: Register): Register => {
  const removals = register.filter(({ value }) => packageEntryOf(value).removed === true)
  const others = register.filter((write) => !removals.includes(write))
  return [...others, ...removals]
}

/** Null: nothing was ever written. */
export const derivePackage = (entity: string, register: Register): PackageView | null => {
  const holds = register.at(-1)
  if (holds === undefined) return null
  const { digest, bytes, files, source, removed = false } = packageEntryOf(holds.value)
  const { author, at } = holds.origin
  return {
    ref: packageOfEntity(entity),
    digest: digest as PackageDigest,
    bytes,
    files,
    ...(source === undefined ? {} : { source }),
    removed,
    author,
    at,
  }
}

// The document's format: one number for what fields there are. A field that a version does not know makes the whole
// change invalid for it, and everything that builds on it (S4); so nobody writes what a member cannot read. Each member
// says its number in its status. Deliberately absent: what a field may hold (fields.ts), and who refuses an edit.

import type { ContainerName, Edit, Scalar } from '../edit.ts'
import { LATER_DEFAULTS, ROLLOUT_DEFAULTS } from './service-defaults.ts'

/** What this version reads. A new field, or a new value of an old one, takes a new number. */
export const DOCUMENT_FORMAT = 2

/** What a member reads that says nothing of it: the fields of the first version. */
export const FIRST_FORMAT = 0

/** Formats of the fields that came later; one that is not listed takes the present number. */
const SINCE: ReadonlyMap<string, number> = new Map([
  ['pidsMax', 1],
  ['openFilesMax', 1],
  ['user', 1],
  ['isolation', 1],
  ['preDeploy', 2],
  ['verify', 2],
  ['rollout', 2],
  ...Object.keys(ROLLOUT_DEFAULTS).map((name) => [`update/${name}`, 2] as const),
])

/** Formats of values that fields of the first version took on later. */
const VALUES_SINCE: ReadonlyMap<string, ReadonlyMap<Scalar, number>> = new Map([
  ['onPartition', new Map<Scalar, number>([['quorum', 2]])],
])

/** Formats of containers that were empty in the first version, with what is in them. */
const CONTAINERS_SINCE: ReadonlyMap<ContainerName, { readonly format: number; readonly field: string }> =
  new Map([
    ['packages', { format: 2, field: 'package' }],
    ['cells', { format: 2, field: 'build duty' }],
  ])
/** Fields that are one key for each name, and those that take a value which came later. */
const sinceOf = (field: string, value: Scalar): number | undefined => {
  if (field.startsWith('rejected/') || (field.startsWith('dependsOn/') && value === 'completed')) return 2
  return SINCE.get(field)
}

/** The format that a reader of an edit must know, and the field that asks for it; null: every version reads it. */
export const demandOf = ({
  container,
  key,
  value,
}: Edit): { readonly format: number; readonly field: string } | null => {
  if (container !== 'services') return CONTAINERS_SINCE.get(container) ?? null
  // <cell>/<service>/<generation>/<field>
  const field = key.split('/').slice(3).join('/')
  const valueSince = VALUES_SINCE.get(field)?.get(value)
  if (valueSince !== undefined) return { format: valueSince, field: `${field}: ${String(value)}` }
  const since = sinceOf(field, value) ?? (Object.hasOwn(LATER_DEFAULTS, field) ? DOCUMENT_FORMAT : null)
  return since === null ? null : { format: since, field }
}

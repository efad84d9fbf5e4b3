// Every planted bug, and how one is planted. A new one is one entry in the file of its layer.

import { TuttiError } from '../../lib/errors.ts'
import type { Composition } from '../composition.ts'
import { DISK_MUTANTS } from './disk.ts'
import { DOCUMENT_MUTANTS } from './document.ts'
import { LEASE_MUTANTS } from './leases.ts'
import { plantPatch } from './loading.ts'
import { MEMBERSHIP_MUTANTS } from './membership.ts'
import type { Mutant } from './mutant.ts'
import { PLAN_MUTANTS } from './plan.ts'
import { SUPERVISION_MUTANTS } from './supervision.ts'

export const MUTANTS: readonly Mutant[] = [
  ...DOCUMENT_MUTANTS,
  ...DISK_MUTANTS,
  ...LEASE_MUTANTS,
  ...MEMBERSHIP_MUTANTS,
  ...PLAN_MUTANTS,
  ...SUPERVISION_MUTANTS,
]

/** @throws TuttiError `unknown`. */
export const mutantOf = (name: string): Mutant => {
  const mutant = MUTANTS.find((candidate) => candidate.name === name)
  if (mutant === undefined) throw new TuttiError('unknown', mutantFault(name) ?? name)
  return mutant
}

/** Why there is no such mutant; null: there is, or none was asked for. */
export const mutantFault = (name: string | null): string | null =>
  name === null || MUTANTS.some((mutant) => mutant.name === name)
    ? null
    : `there is no mutant '${name}'; there are ${MUTANTS.map((mutant) => mutant.name).join(', ')}`

/**
 * Plants a bug into this process; null: none. Call it before anything of the code under test is loaded.
 * @returns what its composition wraps. @throws TuttiError `unknown`.
 */
export const plant = (name: string | null): Composition | null => {
  if (name === null) return null
  const mutant = mutantOf(name)
  for (const patch of mutant.patches ?? []) plantPatch(patch)
  return mutant.composition?.() ?? null
}

// Disputes: a field to which several values were written at the same time, all of them with author and time, the one that
// holds and the ones that lost; and how to settle it. Reads the view's conflicts and the registers behind them.

import { TuttiError } from '../lib/errors.ts'
import type { ChangeHash, MemberId } from '../lib/ids.ts'
import type { Edit, Scalar } from './edit.ts'
import { formatPath, keyOf, LIFE, memberOfEntity, placeOfPath } from './fields.ts'
import { nearest } from './nearest.ts'
import type { Register } from './registers.ts'
import type { ConflictView, View } from './schema/view.ts'

/** One value that was written to a disputed field. */
export interface DisputedValue {
  readonly value: Scalar
  readonly author: MemberId
  readonly change: ChangeHash
  /** Wall time, by its author's clock. */
  readonly at: number
}

export interface Dispute {
  /** As the view's conflicts have it, with member ids for names. */
  readonly path: string
  readonly entity: string
  /** With its generation. Null: the service was removed, or removed and created again, by somebody who did not know of it. */
  readonly field: string | null
  /** What holds: a value, or the life that the edits were lost to. */
  readonly holds: DisputedValue
  readonly lost: readonly ConflictView[]
}

/** What lies behind the document's registers; past.ts has it. */
export type ReadRegister = (entity: string, field: string) => Register

/** All disputes of a view in the order of its conflicts, those of live services first. */
export const disputesOf = (view: View, registerOf: ReadRegister): readonly Dispute[] => {
  const disputes = new Map<string, Dispute>()
  const add = (conflict: ConflictView, generation: number | null): void => {
    const { entity, field: name } = placeOfPath(conflict.path)
    const isOfService = entity.startsWith('services/')
    const field = !isOfService ? name : generation === null ? null : `${generation}/${name}`
    // A name that lives again may have both: a dispute of this life, and edits that were lost to the end of the last one.
    const key = `${conflict.path} ${field ?? ''}`
    const lost = [...(disputes.get(key)?.lost ?? []), conflict]
    const [writer] = registerOf(entity, field ?? LIFE).slice(-1)
    if (writer === undefined) return
    const { value, origin } = writer
    const holds = { value, author: origin.author, change: origin.hash, at: origin.at }
    disputes.set(key, { path: conflict.path, entity, field, holds, lost })
  }
  for (const service of view.services)
    for (const conflict of service.conflicts) add(conflict, service.generation)
  for (const conflict of view.conflicts ?? []) add(conflict, null)
  return [...disputes.values()]
}

/**
 * Settles a dispute: the value in force is said once more by somebody who knows the others, or the one that the named
 * change wrote is put in its place. @throws TuttiError `unknown`, or `refused` where there is nothing left to write to.
 */
export const settle = (
  view: View,
  registerOf: ReadRegister,
  path: string,
  take?: string,
): readonly Edit[] => {
  const disputes = disputesOf(view, registerOf)
  const nameOf = (id: MemberId): string => view.members.find((member) => member.id === id)?.name ?? id
  const dispute = disputes.find((one) => pathOf(one, nameOf) === path)
  if (dispute === undefined)
    throw new TuttiError(
      'unknown',
      `there is no conflict '${path}'${
        nearest(
          path,
          disputes.map((one) => pathOf(one, nameOf)),
        ) || '; tutti conflicts lists them'
      }`,
    )
  const { entity, field, holds } = dispute
  if (field === null)
    throw new TuttiError(
      'refused',
      `'${path}' belongs to a service that was removed meanwhile; bring that back with tutti rollback, or leave it`,
    )
  if (take === undefined) return [{ ...keyOf(entity, field), value: holds.value }]
  const taken = registerOf(entity, field).filter(({ origin }) => origin.hash.startsWith(take))
  const [write] = taken
  if (write === undefined || taken.length > 1)
    throw new TuttiError(
      'unknown',
      `no change '${take}' wrote a value to '${path}'; tutti conflicts lists them`,
    )
  return [{ ...keyOf(entity, field), value: write.value }]
}

/** A dispute's path with names for members. */
export const pathOf = ({ path, entity, field }: Dispute, nameOf: (member: MemberId) => string): string =>
  entity.startsWith('members/')
    ? formatPath(entity, field ?? LIFE, () => nameOf(memberOfEntity(entity)))
    : path

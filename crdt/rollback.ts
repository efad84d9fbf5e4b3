// Going back, as edits: a rollback is a new change on top of all others, never a rewrite of what was. Pure functions of the
// present view and of the service as it once was (past.ts finds it). What was deleted meanwhile comes back as a new
// generation, causally later than its deletion (S11).

import type { ServiceId } from '../lib/ids.ts'
import type { Edit } from './edit.ts'
import { nextGeneration, serviceEdit, serviceEdits } from './edits.ts'
import { formatPath } from './fields.ts'
import type { ServiceView, View } from './schema/view.ts'
import { fieldsOfView, FIELDS_BY_HAND } from './service-fields.ts'

/**
 * Makes the release of a service what it was: command, environment, probes and whatever else defines how an instance runs.
 * Replicas, placement and all other fields stay. One that was deleted meanwhile comes back whole.
 */
export const backToRelease = (view: View, then: ServiceView): readonly Edit[] =>
  backTo(view, then, (field, now) => {
    const [name = ''] = field.split('/')
    return Object.hasOwn(then.definition, name) || Object.hasOwn(now.definition, name)
  })

/** Makes a service what it was in every field, but for how much of it runs. One that was deleted meanwhile comes back whole. */
export const backToService = (view: View, then: ServiceView): readonly Edit[] =>
  backTo(view, then, (field) => !FIELDS_BY_HAND.has(field))

const backTo = (
  view: View,
  then: ServiceView,
  concerns: (field: string, now: ServiceView) => boolean,
): readonly Edit[] => {
  const now = view.services.find(({ id }) => id === then.id)
  if (now === undefined) return createdAgain(view, then)
  const disputed = new Set(now.conflicts.map(({ path }) => path))
  const before = fieldsOfView(now)
  const after = fieldsOfView(then)
  const edits: Edit[] = []
  const set = (field: string, value: Edit['value']): void => {
    const path = formatPath(`services/${now.id}`, `${now.generation}/${field}`)
    const holds = (before.get(field) ?? null) === value
    // Whoever goes back says what shall hold, also where it holds and another value lost to it.
    if (concerns(field, now) && (!holds || disputed.has(path)))
      edits.push(serviceEdit(now.id, now.generation, field, value))
  }
  for (const [field, value] of after) set(field, value)
  for (const field of before.keys()) if (!after.has(field)) set(field, null)
  return edits
}

const createdAgain = (view: View, then: ServiceView): readonly Edit[] => {
  const id: ServiceId = then.id
  const generation = nextGeneration(view, id)
  const { restartToken } = then.definition
  return [
    ...serviceEdits(id, generation, then),
    // The same release again: its token is part of it.
    ...(restartToken === '' ? [] : [serviceEdit(id, generation, 'restartToken', restartToken)]),
    ...(then.stopped ? [serviceEdit(id, generation, 'stopped', true)] : []),
  ]
}

// What queries call things by: a service, a slot of it, a cell. Pure. What does not exist is an error with the nearest
// existing name. Services and peers are looked up by crdt/edits.ts, as edits do.

import { TuttiError } from '../../../lib/errors.ts'
import type { ServiceId, SlotId } from '../../../lib/ids.ts'
import { serviceOf } from '../../../crdt/edits.ts'
import { nearest } from '../../../crdt/nearest.ts'
import type { View } from '../../../crdt/schema/view.ts'

/** @throws TuttiError `unknown`. */
export const cellNamed = (view: View, cell: string): string => {
  const cells = new Set(view.services.map((service) => service.cell))
  if (cells.has(cell)) return cell
  throw new TuttiError(
    'unknown',
    `there is no cell '${cell}'${nearest(cell, [...cells]) || '; tutti ls lists them'}`,
  )
}

interface Named {
  readonly of?: string | undefined
  readonly service?: string | undefined
  readonly slot?: string | undefined
}

/** The one name that a query gives, and its parts. @throws TuttiError `invalid`. */
const nameOf = (query: Named, least: number, form: string): readonly string[] => {
  const given = [query.of, query.service, query.slot].filter((text) => text !== undefined)
  const [text] = given
  if (text === undefined || given.length > 1)
    throw new TuttiError('invalid', "name what is meant by one of 'of', 'service' and 'slot'")
  const parts = text.split('/')
  if (parts.length < least || parts.length > 3 || !parts.every((part) => /^[a-z0-9-]{1,63}$/.test(part)))
    throw new TuttiError('invalid', `'${text}' names no ${form}`)
  return parts
}

/** What a query names, which may be a whole cell; whether it exists is not checked. @throws TuttiError `invalid`. */
export const scopeOf = (query: Named): string =>
  nameOf(query, 1, 'cell or service; write CELL, CELL/SERVICE or CELL/SERVICE/SLOT').join('/')

/** @throws TuttiError `unknown` where no such cell or service is defined. */
export const requireScope = (view: View, scope: string): void => {
  const [cell = '', service] = scope.split('/')
  if (service === undefined) cellNamed(view, cell)
  else serviceOf(view, `${cell}/${service}` as ServiceId)
}

export interface Reference {
  readonly service: ServiceId
  readonly slot: SlotId | undefined
}

/**
 * One of `of`, `service` and `slot` as a service and perhaps a slot; whether they exist is not checked.
 * @throws TuttiError `invalid`.
 */
export const referenceOf = (query: Named): Reference => {
  const parts = nameOf(query, 2, 'service; write CELL/SERVICE or CELL/SERVICE/SLOT')
  return {
    service: parts.slice(0, 2).join('/') as ServiceId,
    slot: parts.length === 3 ? (parts.join('/') as SlotId) : undefined,
  }
}

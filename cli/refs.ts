// How people name cells, services and slots on the command line: `shop`, `shop/web`, `shop/web/2`. Shapes only; whether
// the thing exists is the peer's answer.

import { NAME_PATTERN } from '../lib/ids.ts'
import { UsageError } from './exit.ts'

const NAME = new RegExp(NAME_PATTERN)

export interface Ref {
  readonly cell: string
  readonly service: string | null
  /** A number, or a peer's name for a global service. */
  readonly seat: string | null
}

/** Reads `CELL[/SERVICE[/SLOT]]`. `form` says in words which of these the command takes. @throws UsageError. */
export const parseRef = (text: string, form: string, least: 1 | 2 | 3, most: 1 | 2 | 3): Ref => {
  const parts = text.split('/')
  const isNamed = parts.every((part) => NAME.test(part))
  if (!isNamed || parts.length < least || parts.length > most) {
    throw new UsageError(`'${text}' is not ${form}; write it as in ${EXAMPLES[most]}`)
  }
  const [cell = '', service = null, seat = null] = parts
  return { cell, service, seat }
}

const EXAMPLES = { 1: 'shop', 2: 'shop/web', 3: 'shop/web or shop/web/2' } as const

/** `CELL/SERVICE`. @throws UsageError. */
export const parseService = (text: string): string => {
  parseRef(text, 'a service', 2, 2)
  return text
}

/** Whether a slot or service id is what `ref` names or lies within it. */
export const isWithin = (ref: Ref, id: string): boolean => {
  const prefix = [ref.cell, ref.service, ref.seat].filter((part) => part !== null).join('/')
  return id === prefix || id.startsWith(`${prefix}/`)
}

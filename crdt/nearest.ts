// What a person may have meant: the known names closest to one that does not exist. For error sentences only.

import { compareStrings } from '../lib/order.ts'

const SHOWN_MAX = 3
/** Names compared; an error sentence is not worth more. */
const COMPARED_MAX = 2000

/** `; did you mean 'a' or 'b'?`, or what there is, or nothing. */
export const nearest = (wanted: string, names: readonly string[]): string => {
  const distanceMax = Math.max(1, Math.floor(wanted.length / 3))
  const close = names
    .slice(0, COMPARED_MAX)
    .map((name) => ({ name, distance: editDistance(wanted, name) }))
    .filter(({ distance }) => distance <= distanceMax)
    .sort((a, b) => a.distance - b.distance || compareStrings(a.name, b.name))
    .slice(0, SHOWN_MAX)
    .map(({ name }) => `'${name}'`)
  if (close.length > 0) return `; did you mean ${close.join(' or ')}?`
  if (names.length === 0 || names.length > SHOWN_MAX) return ''
  return `; there is ${names.map((name) => `'${name}'`).join(', ')}`
}

/** Levenshtein's distance, one row at a time (Wagner and Fischer, 1974). */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let at = 1; at <= a.length; at += 1) {
    const next = [at]
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (row[column - 1] ?? 0) + (a[at - 1] === b[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

// Total orders and canonical text. Everything that two peers must compute alike goes through here: code-unit order
// (never the locale's), and JSON with sorted keys. It deliberately knows no numbers but safe integers and finite floats.

import { assert } from './assert.ts'

/** Orders strings by UTF-16 code units: the same on every locale and runtime version. */
export const compareStrings = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** A new array, sorted by a string key in code-unit order. */
export const sortedBy = <T>(items: Iterable<T>, key: (item: T) => string): T[] =>
  [...items].sort((a, b) => compareStrings(key(a), key(b)))

/** A map's entries in code-unit order of their keys. */
export const sortedEntries = <K extends string, V>(map: ReadonlyMap<K, V>): [K, V][] =>
  map.size < 2 ? [...map] : [...map].sort(([a], [b]) => compareStrings(a, b))

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** JSON with object keys sorted by code units, no white space, `undefined` members left out. */
export const canonicalJson = (value: Json): string => {
  if (typeof value !== 'object' || value === null || isInOrder(value)) return plainJson(value)
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const members: string[] = []
  // Without a comparator strings are sorted by code units.
  for (const key of Object.keys(value).sort()) {
    const member = value[key]
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`)
  }
  return `{${members.join(',')}}`
}

/** Of what is in order as it is: the engine's own writer is several times as fast as ours. */
const plainJson = (value: Json): string => {
  if (typeof value === 'number') assert(Number.isFinite(value), 'canonical JSON holds finite numbers only')
  return JSON.stringify(value)
}

/** Whether all objects in it have their keys in order already. Numbers are looked at one by one, by whoever writes them. */
const isInOrder = (value: Json): boolean => {
  if (typeof value !== 'object' || value === null) return typeof value !== 'number' || Number.isFinite(value)
  if (isArray(value)) return value.every(isInOrder)
  let before: string | null = null
  for (const key of Object.keys(value)) {
    const member = value[key]
    if ((before !== null && before >= key) || (member !== undefined && !isInOrder(member))) return false
    before = key
  }
  return true
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value)

/** Freezes a value and all that it holds; returns it. */
export const deepFreeze = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
  return value
}

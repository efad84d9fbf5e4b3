// What many peers in one process would each hold for themselves: a record of status and what it says are the same values
// for all of them, so in a simulation they are read once and kept once. One peer hears hardly anything twice, so production
// shares nothing. Values are immutable, and equal bytes give equal values, so sharing shows nowhere.

import { sameBytes } from '../lib/bytes.ts'

/** Last so many bytes of a record tell it from others: its signature. */
const SIGNATURE_BYTES = 64

interface Shared<T> {
  readonly sealed: Uint8Array
  readonly record: T
}

let sharedMax = 0
const records = new Map<string, Shared<unknown>>()
/** By state, and by what was put to it, what came of that; both are values that nobody changes while they are shared. */
let steps = new WeakMap<object, Map<object, unknown>>()
let beginnings = new Map<string, object>()

/** Shares up to `max` records, and as many values of each kind, from now on; 0 for none. @default 0 */
export const shareStatuses = (max: number): void => {
  sharedMax = max
  records.clear()
}

let statesShared = false

/**
 * From now on logs of members, and what changes and messages say, are shared too. Nothing of it is dropped until this is called
 * again, for the next simulation of this process; records must be shared as well. @default false
 */
export const shareStates = (share: boolean): void => {
  statesShared = share
  steps = new WeakMap()
  beginnings = new Map()
  readings.clear()
}

/** Whether states are shared: then none is ever changed, but followed by another one. */
export const sharesStates = (): boolean => statesShared

/** What `step` makes of a state and an input, made once for all who hold both. Only while sharing. */
export const sharedStep = <T>(state: object, input: object, step: () => T): T => {
  let known = steps.get(state)
  if (known === undefined) steps.set(state, (known = new Map()))
  if (!known.has(input)) known.set(input, step())
  return known.get(input) as T
}

/**
 * Messages of each kind whose readings are kept, and as many before them: those under way at one time are fewer. Not a WeakMap,
 * which costs a collection of garbage more than all that it lets go of.
 */
const READ_MAX = 1024

class Readings<T> {
  #recent = new Map<Uint8Array, T>()
  #before: ReadonlyMap<Uint8Array, T> = new Map()

  get(message: Uint8Array): T | undefined {
    return this.#recent.get(message) ?? this.#before.get(message)
  }

  set(message: Uint8Array, value: T): void {
    if (this.#recent.size >= READ_MAX) {
      this.#before = this.#recent
      this.#recent = new Map()
    }
    this.#recent.set(message, value)
  }
}

/** By reader, what it made of a message. */
const readings = new Map<unknown, Readings<unknown>>()

/** What a message to many says, read once for all who are given the very same bytes; what throws is read again. */
export const sharedReading = <T>(message: Uint8Array, read: (message: Uint8Array) => T): T => {
  if (!statesShared) return read(message)
  let known = readings.get(read) as Readings<{ readonly value: T }> | undefined
  if (known === undefined) readings.set(read, (known = new Readings()))
  const before = known.get(message)
  if (before !== undefined) return before.value
  const value = read(message)
  known.set(message, { value })
  return value
}

/** The state that everybody starts from who says the same name. Only while sharing. */
export const sharedBeginning = <T extends object>(name: string, make: () => T): T => {
  const known = beginnings.get(name) as T | undefined
  if (known !== undefined) return known
  const made = make()
  beginnings.set(name, made)
  return made
}

const keyOf = (sealed: Uint8Array): string =>
  Buffer.from(sealed.buffer, sealed.byteOffset + Math.max(0, sealed.length - SIGNATURE_BYTES)).toString(
    'latin1',
    0,
    Math.min(SIGNATURE_BYTES, sealed.length),
  )

/** What `open` makes of these bytes, made once. What throws is not kept. */
export const sharedRecord = <T>(sealed: Uint8Array, open: (sealed: Uint8Array) => T): T =>
  statesShared ? sharedStep(sealed, open, () => openedOnce(sealed, open)) : openedOnce(sealed, open)

const openedOnce = <T>(sealed: Uint8Array, open: (sealed: Uint8Array) => T): T => {
  if (sharedMax === 0) return open(sealed)
  const key = keyOf(sealed)
  const known = records.get(key) as Shared<T> | undefined
  if (known !== undefined && sameBytes(known.sealed, sealed)) return known.record
  const record = open(sealed)
  keep(records, key, { sealed: sealed.slice(), record })
  return record
}

/** A copy of a record's bytes that nobody changes: the shared one, or one's own. */
export const sharedBytes = (sealed: Uint8Array): Uint8Array => {
  const known = sharedMax === 0 ? undefined : records.get(keyOf(sealed))
  return known !== undefined && sameBytes(known.sealed, sealed) ? known.sealed : sealed.slice()
}

/** A function of a text whose answers are shared. */
export const sharing = <T>(read: (text: string) => T): ((text: string) => T) => {
  const values = new Map<string, { readonly value: T }>()
  return (text) => {
    if (sharedMax === 0) return read(text)
    const known = values.get(text)
    if (known !== undefined) return known.value
    const value = read(text)
    keep(values, text, { value })
    return value
  }
}

/** The oldest goes first. */
const keep = <T>(into: Map<string, T>, key: string, value: T): void => {
  if (into.size >= sharedMax && !into.has(key)) {
    const [oldest] = into.keys()
    if (oldest !== undefined) into.delete(oldest)
  }
  into.set(key, value)
}

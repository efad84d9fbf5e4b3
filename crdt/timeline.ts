// The history as one line, for people: no change before one that was made with knowledge of it; of changes that know
// nothing of each other the later clock last. Peers that hold the same changes have the same line. Wall time orders
// nothing else anywhere. Also moments: what a person calls a point of that line, and the set of changes it stands for.

import { TuttiError } from '../lib/errors.ts'
import type { ChangeHash } from '../lib/ids.ts'
import { compareStrings } from '../lib/order.ts'
import type { Entry, History } from './history.ts'

/** One step back from the newest change. */
export interface Step {
  readonly entry: Entry
  /** What is left of the history without this change and all newer ones: its newest changes, none of them twice. */
  readonly before: () => readonly ChangeHash[]
}

/** A moment of the history: the changes in it are `heads` and everything in their causal past. */
export interface Moment {
  readonly heads: readonly ChangeHash[]
  has(entry: Entry): boolean
  /** Whether any of its changes writes to that entity. */
  touches(entity: string): boolean
}

/** `now`, a change by the start of its hash, and from either so many changes back: `now~2`, `1a2b3c4d~1`, `1a2b3c4d~`. */
const MOMENT = /^(now|[0-9a-f]{4,64})(?:~(\d{0,6}))?$/
/** Of several changes that one word may mean; more help nobody. */
const NAMED_MAX = 3

/** Newest first, back from the given changes, or from now. Reads only as much of the history as is asked for. */
export function* newestFirst(history: History, from: readonly ChangeHash[]): Generator<Step> {
  const inside = pastOf(history, from)
  const laterOf = new Map<ChangeHash, number>()
  for (const entry of inside.values())
    for (const dep of entry.deps) laterOf.set(dep, (laterOf.get(dep) ?? 0) + 1)
  // The newest of what is left: few, so that a list is as good as a heap.
  const open = [...inside.values()].filter(({ hash }) => !laterOf.has(hash))
  for (;;) {
    let next = 0
    for (let at = 1; at < open.length; at += 1) if (isLater(open[at], open[next])) next = at
    const [entry] = open.splice(next, 1)
    if (entry === undefined) return
    for (const dep of entry.deps) {
      const left = (laterOf.get(dep) ?? 0) - 1
      laterOf.set(dep, left)
      const cause = left === 0 ? inside.get(dep) : undefined
      if (cause !== undefined) open.push(cause)
    }
    yield { entry, before: () => (open.length === 0 ? history.roots() : hashesOf(open)) }
  }
}

const isLater = (a: Entry | undefined, b: Entry | undefined): boolean =>
  a !== undefined && b !== undefined && (a.at === b.at ? a.hash > b.hash : a.at > b.at)

const hashesOf = (entries: readonly Entry[]): readonly ChangeHash[] =>
  entries.map(({ hash }) => hash).sort(compareStrings)

const pastOf = (history: History, from: readonly ChangeHash[]): ReadonlyMap<ChangeHash, Entry> => {
  const inside = new Map<ChangeHash, Entry>()
  const stack = [...from]
  for (let hash = stack.pop(); hash !== undefined; hash = stack.pop()) {
    const entry = inside.has(hash) ? undefined : history.get(hash)
    if (entry === undefined) continue
    inside.set(hash, entry)
    stack.push(...entry.deps)
  }
  return inside
}

/** The moment that ends in these changes. */
export const momentOf = (history: History, heads: readonly ChangeHash[]): Moment => {
  const inside = pastOf(history, heads)
  const entities = new Set<string>()
  for (const entry of inside.values()) for (const entity of entry.entities) entities.add(entity)
  return { heads, has: ({ hash }) => inside.has(hash), touches: (entity) => entities.has(entity) }
}

/** The committed change whose hash begins so. @throws TuttiError `unknown`, or `invalid` when several do. */
export const changeNamed = (history: History, start: string): Entry => {
  const found = history.committed().filter(({ hash }) => hash.startsWith(start))
  const [entry] = found
  if (entry === undefined)
    throw new TuttiError('unknown', `there is no change '${start}' here; tutti history lists them`)
  if (found.length > 1) {
    const shown = found.slice(0, NAMED_MAX).map(({ hash }) => hash.slice(0, start.length + 4))
    throw new TuttiError(
      'invalid',
      `'${start}' begins ${found.length} changes (${shown.join(', ')}…); write more of it`,
    )
  }
  return entry
}

/** What a person's word for a moment ends in. @throws TuttiError `invalid` or `unknown`. */
export const headsNamed = (history: History, text: string): readonly ChangeHash[] => {
  const match = MOMENT.exec(text)
  if (match === null)
    throw new TuttiError(
      'invalid',
      `'${text}' is no change; write the start of one that tutti history lists, or now, or either with ~1 for the one before`,
    )
  const [, name = '', back] = match
  const from = name === 'now' ? history.committedHeads() : [changeNamed(history, name).hash]
  let left = back === undefined ? 0 : back === '' ? 1 : Number(back)
  if (left === 0) return from
  for (const { before } of newestFirst(history, from)) {
    left -= 1
    if (left === 0) return before()
  }
  throw new TuttiError('unknown', `the history does not go back to '${text}'; tutti history lists it`)
}

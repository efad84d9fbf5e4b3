// YAML text as a plain tree in which every node knows its line: what the readers of the cell file walk. Anchors, aliases
// and merge keys are resolved here, within a bound. Deliberately absent: any meaning of the keys.

import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from 'yaml'
import { LIMITS } from '../../lib/limits.ts'
import { utf8Length } from '../../lib/bytes.ts'
import type { Place, Problems } from './problem.ts'

export interface MapTree extends Place {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
}
export interface ListTree extends Place {
  readonly kind: 'list'
  readonly items: readonly Tree[]
}
export interface TextTree extends Place {
  readonly kind: 'text'
  /** The value's text as written, without quotes: `1.10` stays `1.10`, `yes` stays `yes`. */
  readonly text: string
}
export interface NullTree extends Place {
  readonly kind: 'null'
}
export type Tree = MapTree | ListTree | TextTree | NullTree

export interface Entry {
  readonly key: Place
  readonly value: Tree
}

// A cell of 200 services with 100 values each has 20,000 nodes; far more means aliases of aliases ("billion laughs").
const NODES_MAX = 100_000
// The format is six levels deep; the rest is for extensions. A bound, since the walk is recursive.
const DEPTH_MAX = 64

class Walk {
  readonly #document: Document
  readonly #lines: LineCounter
  readonly #problems: Problems
  #nodes = 0

  constructor(document: Document, lines: LineCounter, problems: Problems) {
    this.#document = document
    this.#lines = lines
    this.#problems = problems
  }

  placeOf(node: unknown, fallback: Place): Place {
    const range = (node as Node | null)?.range
    if (range === undefined || range === null) return fallback
    const { line, col } = this.#lines.linePos(range[0])
    return { line, column: col }
  }

  tree(node: unknown, parent: Place, depth: number): Tree {
    const place = this.placeOf(node, parent)
    this.#nodes += 1
    if (this.#nodes > NODES_MAX || depth > DEPTH_MAX) {
      if (this.#nodes <= NODES_MAX + 1 || depth === DEPTH_MAX + 1) {
        this.#problems.invalid(
          place,
          'the file is nested too deeply or repeats too much through aliases; simplify it',
        )
      }
      // Ends the walk at once: nothing below is counted again.
      this.#nodes = Math.max(this.#nodes, NODES_MAX + 1)
      return { kind: 'null', ...place }
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target !== undefined) return this.tree(target, place, depth + 1)
      this.#problems.invalid(
        place,
        `alias *${node.source} has no anchor before it; define it with &${node.source}`,
      )
      return { kind: 'null', ...place }
    }
    if (isMap(node)) return { kind: 'map', ...place, entries: this.#entries(node.items, place, depth) }
    if (isSeq(node)) {
      return { kind: 'list', ...place, items: node.items.map((item) => this.tree(item, place, depth + 1)) }
    }
    if (!isScalar(node) || node.value === null || node.value === undefined) return { kind: 'null', ...place }
    const text = typeof node.value === 'string' ? node.value : (node.source ?? '')
    return { kind: 'text', ...place, text }
  }

  #entries(
    pairs: readonly { readonly key: unknown; readonly value: unknown }[],
    parent: Place,
    depth: number,
  ): ReadonlyMap<string, Entry> {
    const own = new Map<string, Entry>()
    const merged = new Map<string, Entry>()
    for (const { key, value } of pairs) {
      const place = this.placeOf(key, parent)
      if (!isScalar(key)) {
        this.#problems.invalid(place, 'a key must be plain text')
        continue
      }
      const name = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
      const tree = this.tree(value, place, depth + 1)
      if (name === '<<') this.#merge(merged, tree)
      else own.set(name, { key: place, value: tree })
    }
    // A map's own keys win over merged ones, wherever the merge stands (YAML merge key, draft of 2005).
    for (const [name, entry] of merged) if (!own.has(name)) own.set(name, entry)
    return own
  }

  #merge(into: Map<string, Entry>, tree: Tree): void {
    if (tree.kind === 'list') {
      for (const item of tree.items) this.#merge(into, item)
    } else if (tree.kind === 'map') {
      for (const [name, entry] of tree.entries) if (!into.has(name)) into.set(name, entry)
    } else {
      this.#problems.invalid(tree, 'a merge key << takes a map or a list of maps')
    }
  }
}

/** The tree of a YAML text; null when it cannot be read at all, and then `problems` says why. */
export const treeOf = (text: string, problems: Problems): Tree | null => {
  const start = { line: 1, column: 1 }
  if (utf8Length(text) > LIMITS.cellFileBytesMax) {
    const message = 'the file is larger than 1 MiB; split the cell into several'
    problems.list.push({ ...start, code: 'too-large', message })
    return null
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0])
    const message =
      error.code === 'MULTIPLE_DOCS'
        ? 'the file holds several documents; keep one'
        : sentenceOf(error.message)
    problems.invalid({ line, column: col }, message)
  }
  if (document.errors.length > 0) return null
  return new Walk(document, lines, problems).tree(document.contents, start, 0)
}

/** A parser's message in the house's form: lower case first, no full stop. */
const sentenceOf = (message: string): string => {
  const line = message.split('\n')[0] ?? message
  return `not valid YAML: ${line.charAt(0).toLowerCase()}${line.slice(1).replace(/\.$/, '')}`
}

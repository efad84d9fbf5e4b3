// Reads single values of a cell file: text with its variables replaced, numbers, durations, sizes, choices, lists. Every
// method returns undefined for what is absent or wrong and notes what is wrong, so that reading goes on to the next
// problem. Deliberately absent: which keys there are.

import { messageOf } from '../../lib/errors.ts'
import { parseDuration, parseSize } from '../../lib/time.ts'
import { interpolate, type Variables } from './interpolate.ts'
import { suggestion, type Place, type Problems } from './problem.ts'
import type { Entry, ListTree, MapTree, TextTree, Tree } from './tree.ts'

/** A text value after interpolation, with its place. */
export interface Text extends Place {
  readonly text: string
}

/** Instances are given these (node/act/environment.ts), and the file is read before. */
const GIVEN_AT_START = /^(PORT(_\w+)?|TUTTI_\w+)$/

export class Reader {
  readonly problems: Problems
  /** For `${VAR}`: the shell's environment over the `.env` file beside the cell file. */
  readonly variables: Variables
  /** Absolute directory of the file: what relative paths in it are relative to. */
  readonly directory: string
  /** Directories to be packed, by the name of the service that runs from them; absolute. */
  readonly packages = new Map<string, string>()

  constructor(problems: Problems, variables: Variables, directory: string) {
    this.problems = problems
    this.variables = variables
    this.directory = directory
  }

  /** The text of a scalar with its variables replaced. */
  expand(tree: TextTree, path: string): Text | undefined {
    const { text, unset, error } = interpolate(tree.text, this.variables)
    if (error !== null) {
      this.problems.invalid(tree, `${path}: ${error}`)
      return undefined
    }
    for (const name of unset) {
      const meant = GIVEN_AT_START.test(name)
        ? `; write $$${name} to leave it to a shell of the instance, which is given it`
        : ''
      this.problems.warn(tree, `variable ${name} is not set and became empty in ${path}${meant}`)
    }
    return { text, line: tree.line, column: tree.column }
  }

  text(tree: Tree | undefined, path: string): Text | undefined {
    if (tree === undefined || tree.kind === 'null') return undefined
    if (tree.kind === 'text') return this.expand(tree, path)
    this.problems.invalid(tree, `${path} must be one value, not a ${tree.kind}`)
    return undefined
  }

  integer(tree: Tree | undefined, path: string, minimum: number, maximum: number): number | undefined {
    const value = this.text(tree, path)
    if (value === undefined) return undefined
    const number = /^\d{1,15}$/.test(value.text) ? Number(value.text) : NaN
    if (number >= minimum && number <= maximum) return number
    this.problems.invalid(
      value,
      `${path} must be a whole number from ${minimum} to ${maximum}, not '${value.text}'`,
    )
    return undefined
  }

  flag(tree: Tree | undefined, path: string): boolean | undefined {
    const value = this.text(tree, path)
    if (value === undefined) return undefined
    if (value.text === 'true' || value.text === 'false') return value.text === 'true'
    this.problems.invalid(value, `${path} must be true or false, not '${value.text}'`)
    return undefined
  }

  choice<const V extends readonly string[]>(
    tree: Tree | undefined,
    path: string,
    choices: V,
  ): V[number] | undefined {
    const value = this.text(tree, path)
    if (value === undefined) return undefined
    const found = choices.find((choice) => choice === value.text)
    if (found !== undefined) return found
    const near = suggestion(value.text, choices)
    this.problems.invalid(value, `${path} must be one of ${choices.join(', ')}, not '${value.text}'${near}`)
    return undefined
  }

  /** Milliseconds. */
  duration(tree: Tree | undefined, path: string): number | undefined {
    return this.#parsed(tree, path, parseDuration)
  }

  /** Bytes. */
  size(tree: Tree | undefined, path: string): number | undefined {
    return this.#parsed(tree, path, parseSize)
  }

  /** Thousandths of a CPU, from `"0.25"`. */
  cpusMilli(tree: Tree | undefined, path: string): number | undefined {
    return this.#parsed(tree, path, (text) => {
      if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000)
      throw new Error(`'${text}' is not a number of CPUs; write for example "0.25" or 2`)
    })
  }

  #parsed(tree: Tree | undefined, path: string, parse: (text: string) => number): number | undefined {
    const value = this.text(tree, path)
    if (value === undefined) return undefined
    try {
      return parse(value.text)
    } catch (thrown) {
      this.problems.invalid(value, `${path}: ${messageOf(thrown)}`)
      return undefined
    }
  }

  map(tree: Tree | undefined, path: string): MapTree | undefined {
    if (tree === undefined || tree.kind === 'null') return undefined
    if (tree.kind === 'map') return tree
    this.problems.invalid(tree, `${path} must be a map of keys and values`)
    return undefined
  }

  list(tree: Tree | undefined, path: string): ListTree | undefined {
    if (tree === undefined || tree.kind === 'null') return undefined
    if (tree.kind === 'list') return tree
    this.problems.invalid(tree, `${path} must be a list`)
    return undefined
  }

  /** The texts of a list; a single value counts as a list of one. */
  texts(tree: Tree | undefined, path: string): readonly Text[] {
    if (tree === undefined || tree.kind === 'null') return []
    const items = tree.kind === 'text' ? [tree] : (this.list(tree, path)?.items ?? [])
    return items.flatMap((item, at) => {
      const name = tree.kind === 'text' ? path : `${path}[${at}]`
      const value = this.text(item, name)
      if (value === undefined && item.kind === 'null') this.problems.invalid(item, `${name} is empty`)
      return value === undefined ? [] : [value]
    })
  }

  /** A map as a section whose keys must all be in `keys`. */
  section(tree: Tree | undefined, path: string, keys: Keys): Section {
    return new Section(this, this.map(tree, path), path, keys)
  }
}

/** The keys that a section may have, and what to say of those that it knows but cannot serve. */
export interface Keys {
  readonly known: readonly string[]
  /** By key: why not, and what to do instead. */
  readonly unsupported?: Readonly<Record<string, string>>
  /** Keys that mean nothing without containers and harm nothing: warned about. */
  readonly ignored?: readonly string[]
}

/** One map of the file. Unknown keys are noted at construction. */
export class Section {
  readonly path: string
  readonly place: Place
  readonly #entries: ReadonlyMap<string, Entry>

  constructor(reader: Reader, map: MapTree | undefined, path: string, keys: Keys) {
    this.path = path
    this.#entries = map?.entries ?? new Map()
    this.place = { line: map?.line ?? 1, column: map?.column ?? 1 }
    const { problems } = reader
    for (const [name, { key }] of this.#entries) {
      const full = path === '' ? name : `${path}.${name}`
      const why =
        keys.unsupported !== undefined && Object.hasOwn(keys.unsupported, name)
          ? keys.unsupported[name]
          : undefined
      if (keys.known.includes(name) || name.startsWith('x-')) continue
      if (why !== undefined) problems.unsupported(key, `${full}: ${why}`)
      else if (keys.ignored?.includes(name) === true)
        problems.warn(key, `${full} means nothing here and is ignored`)
      else problems.invalid(key, `${full} is not a known key${suggestion(name, keys.known)}`)
    }
  }

  get(key: string): Tree | undefined {
    return this.#entries.get(key)?.value
  }

  /** Whether the key stands there, even with nothing after it. */
  has(key: string): boolean {
    return this.#entries.has(key)
  }

  /** Where a key stands; the section itself where it does not. */
  placeOf(key: string): Place {
    return this.#entries.get(key)?.key ?? this.place
  }

  pathOf(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`
  }
}

// The cell file: Compose-shaped YAML in, a CellSpec and warnings out, or one error that holds every problem with its line.
// What can be known from the file and this machine is checked here; lengths and counts in limits.ts; the peers check the rest.

import { readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { NAME_PATTERN } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import { compareStrings } from '../../lib/order.ts'
import type { CellSpec, ServiceSpec } from '../../crdt/schema/service.ts'
import { UsageError } from '../exit.ts'
import type { Build, Builds } from './build.ts'
import { readEnvFile } from './environment.ts'
import type { Variables } from './interpolate.ts'
import { CELL_KEYS } from './keys.ts'
import { Problems } from './problem.ts'
import { Reader } from './reader.ts'
import { nameFrom, readService } from './service.ts'
import { treeOf, type MapTree } from './tree.ts'

export interface CellFile {
  /** How messages call the file. */
  readonly shown: string
  readonly cell: CellSpec
  /** How packages are made that the file does not name: the business of `tutti release`. */
  readonly builds: Builds
  /** What is allowed but probably not meant; one sentence each. */
  readonly warnings: readonly string[]
  /** Directories that services run from and that are to be pushed, by the service's name; absolute. */
  readonly packages: ReadonlyMap<string, string>
}

const NAME = new RegExp(NAME_PATTERN)
// What Compose looks for, in its order, when `-f` names a directory.
const FILE_NAMES = [
  'cell.yaml',
  'cell.yml',
  'compose.yaml',
  'compose.yml',
  'docker-compose.yaml',
  'docker-compose.yml',
]

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/**
 * Reads a cell file, or the one in a directory. `environment` is the shell's.
 * @throws UsageError when there is no such file; TuttiError `invalid`, `unsupported` or `too-large` with all problems.
 */
export const loadCellFile = (file: string, directory: string, environment: Variables): CellFile => {
  let path = resolve(directory, file)
  let shown = file
  if (isDirectory(path)) {
    const name = FILE_NAMES.find(
      (name) => statSync(join(path, name), { throwIfNoEntry: false }) !== undefined,
    )
    if (name === undefined)
      throw new UsageError(`directory ${file} holds no cell.yaml; name the file with -f`)
    path = join(path, name)
    shown = join(file, name)
  }
  let text: string
  try {
    const size = statSync(path).size
    // One byte more than allowed is enough to be refused; a huge file is not read to find out.
    text =
      size > LIMITS.cellFileBytesMax ? ' '.repeat(LIMITS.cellFileBytesMax + 1) : readFileSync(path, 'utf8')
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw new UsageError(
      `cell file ${file} ${isMissing ? 'does not exist' : 'cannot be read'}; check the path`,
      { cause },
    )
  }
  return parseCellFile(text, shown, path, environment)
}

/** Reads a cell file's text. `shown` is how messages call the file, `path` where it is. @throws as `loadCellFile`. */
export const parseCellFile = (
  text: string,
  shown: string,
  path: string,
  environment: Variables,
): CellFile => {
  const problems = new Problems()
  const tree = treeOf(text.replace(/^\ufeff/, ''), problems)
  problems.throwAny(shown)
  if (tree === null || tree.kind === 'null') {
    problems.invalid({ line: 1, column: 1 }, 'the file is empty; add services:')
  } else if (tree.kind !== 'map') problems.invalid(tree, 'the file must be a map with services:')
  problems.throwAny(shown)
  const directory = dirname(path)
  const variables = { ...dotEnv(directory), ...environment }
  const reader = new Reader(problems, variables, directory)
  const builds = new Map<string, Build>()
  const cell = readCell(reader, tree as MapTree, builds)
  problems.throwAny(shown)
  return {
    shown,
    cell,
    builds,
    warnings: problems.warnings.map((warning) => `${shown}: ${warning}`),
    packages: reader.packages,
  }
}

/** The `.env` beside the file; Compose takes values for `${VAR}` from there, the shell's first. */
const dotEnv = (directory: string): Variables => {
  try {
    return readEnvFile(join(directory, '.env'))
  } catch {
    return {}
  }
}

const readCell = (reader: Reader, tree: MapTree, builds: Map<string, Build>): CellSpec => {
  const { problems } = reader
  const section = reader.section(tree, '', CELL_KEYS)
  const given = reader.text(section.get('name'), 'name')
  const name = given?.text ?? nameFrom(basename(reader.directory))
  if (!NAME.test(name)) {
    const better = nameFrom(name)
    const next = better === '' ? 'add name:' : `write ${better}`
    const place = given ?? { line: 1, column: 1 }
    problems.invalid(place, `name: '${name}' may have lower-case letters, digits and - only; ${next}`)
  }
  const services = reader.map(section.get('services'), 'services')
  if (services === undefined && !section.has('services')) {
    problems.invalid(tree, 'the file has no services; add services: with a name and a command')
  } else if (services?.entries.size === 0 || section.get('services')?.kind === 'null') {
    problems.invalid(
      section.placeOf('services'),
      'services is empty; add one, or remove the cell with tutti rm',
    )
  }
  const entries = [...(services?.entries ?? [])].filter(([key]) => !key.startsWith('x-'))
  if (entries.length > LIMITS.servicesPerCellMax) {
    const most = LIMITS.servicesPerCellMax
    problems.invalid(
      section.placeOf('services'),
      `a cell has at most ${most} services; split it into several`,
    )
  }
  const names = entries.map(([key]) => key)
  const specs = entries.map(([key, entry]) => readService(reader, name, key, entry, names, builds))
  const circle = circleOf(specs)
  if (circle !== null) {
    problems.invalid(
      section.placeOf('services'),
      `depends_on goes in a circle: ${circle.join(' → ')}; remove one of them`,
    )
  }
  return { name, services: specs.toSorted((a, b) => compareStrings(a.name, b.name)) }
}

/** A circle of dependencies as the names along it; null where there is none. Depth first, each service once. */
const circleOf = (services: readonly ServiceSpec[]): readonly string[] | null => {
  const byName = new Map(services.map((service) => [service.name, service]))
  const done = new Set<string>()
  const visit = (name: string, trail: readonly string[]): readonly string[] | null => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (done.has(name)) return null
    done.add(name)
    for (const other of Object.keys(byName.get(name)?.dependsOn ?? {})) {
      const found = visit(other, [...trail, name])
      if (found !== null) return found
    }
    return null
  }
  for (const { name } of services) {
    const found = visit(name, [])
    if (found !== null) return found
  }
  return null
}

/**
 * Checks the limits of the schema: before anything is done that no peer has judged, or when one refuses the cell.
 * @throws TuttiError `invalid` with what is beyond a limit.
 */
export const checkLimits = async ({ cell, shown }: Pick<CellFile, 'cell' | 'shown'>): Promise<void> => {
  const { beyondLimits } = await import('./limits.ts')
  const problems = new Problems()
  for (const sentence of beyondLimits(cell)) problems.invalid({ line: 1, column: 1 }, sentence)
  problems.throwAny(shown)
}

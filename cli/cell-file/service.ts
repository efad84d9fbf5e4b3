// One service of a cell file as a ServiceSpec: its command, directory and relations; ports, probe, environment and
// deployment are read beside it. What the peers alone can know (labels, capacity) is not judged here.

import { statSync } from 'node:fs'
import { isAbsolute, normalize, resolve } from 'node:path'
import { NAME_PATTERN } from '../../lib/ids.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import {
  DEPENDENCY_CONDITIONS,
  SERVICE_DEFAULTS,
  type DependencyCondition,
} from '../../crdt/schema/service-defaults.ts'
import { PACKAGE_NAMED_PATTERN } from '../../crdt/schema/patterns.ts'
import { readBuild, type Build } from './build.ts'
import { readDeploy } from './deploy.ts'
import { readIsolation, readOpenFiles, readUser } from './confinement.ts'
import { readEnvironment } from './environment.ts'
import { readProbe } from './healthcheck.ts'
import { SERVICE_KEYS } from './keys.ts'
import { readPorts } from './ports.ts'
import { suggestion } from './problem.ts'
import type { Reader, Section, Text } from './reader.ts'
import { readPreDeploy, readVerify } from './rollout.ts'
import { shellWords } from './shell-words.ts'
import type { Entry } from './tree.ts'

const NAME = new RegExp(NAME_PATTERN)
const PUSHED = new RegExp(PACKAGE_NAMED_PATTERN)
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGKILL'] as const
// POSIX numbers, which Compose takes too.
const SIGNAL_OF_NUMBER: Readonly<Record<string, (typeof SIGNALS)[number]>> = {
  '1': 'SIGHUP',
  '2': 'SIGINT',
  '3': 'SIGQUIT',
  '9': 'SIGKILL',
  '10': 'SIGUSR1',
  '12': 'SIGUSR2',
  '15': 'SIGTERM',
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/**
 * Reads one service, and notes how it is built. Problems are noted in the reader, and then the result must not be used.
 */
export const readService = (
  reader: Reader,
  cell: string,
  name: string,
  entry: Entry,
  siblings: readonly string[],
  builds: Map<string, Build>,
): ServiceSpec => {
  const path = `services.${name}`
  const { problems } = reader
  if (!NAME.test(name)) {
    const better = nameFrom(name)
    const example = better === '' ? '' : `; write ${better}`
    problems.invalid(
      entry.key,
      `${path}: a service's name has lower-case letters, digits and - only${example}`,
    )
  }
  if (entry.value.kind === 'null') problems.invalid(entry.key, `${path} is empty; give it a command`)
  const section = reader.section(entry.value, path, SERVICE_KEYS)
  const ports = readPorts(reader, section)
  const build = readBuild(reader, section)
  if (build !== null) builds.set(name, build)
  const packaged = build === null ? readPackage(reader, section, name) : BUILT
  const workingDir = readWorkingDir(reader, section, packaged)
  const liveness = readProbe(reader, section, 'liveness', ports)
  const onPartition = readOnPartition(reader, section)
  const deploy = readDeploy(reader, section, onPartition)
  if (liveness !== null && deploy.restart.condition === 'none') {
    problems.invalid(
      section.placeOf('liveness'),
      `${section.pathOf('liveness')} restarts what hangs, and the service is not to be restarted; remove one of the two`,
    )
  }
  return {
    name,
    command: readCommand(reader, section, entry, workingDir, packaged),
    workingDir,
    package: packaged.kind === 'pushed' ? packaged.ref : null,
    environment: readEnvironment(reader, section, ports),
    ports,
    healthcheck: readProbe(reader, section, 'healthcheck', ports),
    liveness,
    dependsOn: readDependsOn(reader, section, name, siblings),
    uses: readUses(reader, section, cell, siblings),
    stopSignal: readStopSignal(reader, section),
    stopGraceMs:
      reader.duration(section.get('stop_grace_period'), section.pathOf('stop_grace_period')) ??
      SERVICE_DEFAULTS.stopGraceMs,
    onPartition,
    openFilesMax: readOpenFiles(reader, section),
    user: readUser(reader, section),
    isolation: readIsolation(reader, section),
    ...deploy,
    ...readPreDeploy(reader, section),
    ...readVerify(reader, section, ports),
  }
}

/** What a name could be if it kept to the rules; empty where nothing is left of it. */
export const nameFrom = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '')

const readCommand = (
  reader: Reader,
  section: Section,
  entry: Entry,
  workingDir: string | null,
  packaged: Packaged,
): string[] => {
  const words = [...wordsOf(reader, section, 'entrypoint'), ...wordsOf(reader, section, 'command')]
  const [program] = words
  if (program === undefined) {
    const isExcused = section.has('image')
    const isWrong = section.has('command') || section.has('entrypoint') || entry.value.kind !== 'map'
    const isMistyped = reader.problems.list.some(
      ({ message }) => message.startsWith(`${section.path}.`) && message.endsWith('did you mean command?'),
    )
    if (!isExcused && !isWrong && !isMistyped) {
      reader.problems.invalid(
        entry.key,
        `${section.path} has no command; add for example command: [node, server.js]`,
      )
    }
    return ['']
  }
  const isLost = packaged.kind === 'none' && workingDir === null && !section.has('working_dir')
  if (program.includes('/') && !isAbsolute(program) && isLost) {
    const key = section.has('entrypoint') ? 'entrypoint' : 'command'
    const place = section.placeOf(key)
    reader.problems.invalid(
      place,
      `${section.pathOf(key)}: ${program} is relative to the working directory, and there is none; add working_dir: .`,
    )
  }
  return words
}

const wordsOf = (reader: Reader, section: Section, key: string): readonly string[] => {
  const path = section.pathOf(key)
  const tree = section.get(key)
  const isList = tree?.kind === 'list'
  const texts = reader.texts(tree, path)
  const words = texts.flatMap((text) => {
    if (isList) return [text.text]
    const { words: found, error } = shellWords(text.text)
    if (error !== null) reader.problems.invalid(text, `${path}: ${error}`)
    return found
  })
  const isEmpty = section.has(key) && (words.length === 0 || words[0] === '')
  // An empty entrypoint is Compose's way of clearing an image's; there is none to clear.
  if (isEmpty && key === 'command') {
    const hasProblem = reader.problems.list.some(({ message }) => message.startsWith(path))
    if (!hasProblem) reader.problems.invalid(section.placeOf(key), `${path} is empty; give a program to run`)
  }
  return words
}

/** What a service runs from. */
type Packaged =
  | { readonly kind: 'none' }
  /** A package that a release makes, of which nothing is there yet. */
  | { readonly kind: 'built' }
  /** A directory beside the file, which is to be packed and pushed. Absolute. */
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 'pushed'; readonly ref: string }

const BUILT: Packaged = { kind: 'built' }

const readPackage = (reader: Reader, section: Section, name: string): Packaged => {
  const path = section.pathOf('package')
  const text = reader.text(section.get('package'), path)
  if (text === undefined) return { kind: 'none' }
  if (PUSHED.test(text.text)) return { kind: 'pushed', ref: text.text }
  const directory = resolve(reader.directory, text.text)
  if (isDirectory(directory)) {
    reader.packages.set(name, directory)
    return { kind: 'directory', directory }
  }
  const problem = /^[^./][^/]*@/.test(text.text)
    ? `'${text.text}' is no NAME@VERSION; names have lower-case letters, digits and -, as in api@1.4.2`
    : `package directory ${text.text} does not exist; build it, or write NAME@VERSION`
  reader.problems.invalid(text, `${path}: ${problem}`)
  return { kind: 'none' }
}

const readWorkingDir = (reader: Reader, section: Section, packaged: Packaged): string | null => {
  const path = section.pathOf('working_dir')
  const text = reader.text(section.get('working_dir'), path)
  if (text === undefined) return null
  if (packaged.kind !== 'none') return readInnerDir(reader, path, text, packaged)
  if (isAbsolute(text.text)) {
    if (!isDirectory(text.text)) {
      reader.problems.warn(text, `${path}: ${text.text} does not exist on this machine; it must on the peers`)
    }
    return resolve(text.text)
  }
  const full = resolve(reader.directory, text.text)
  if (!isDirectory(full)) {
    reader.problems.invalid(
      text,
      `${path}: directory ${text.text} does not exist beside the file; create it or mend the path`,
    )
  }
  return full
}

/** A directory within the package; null: its root. */
const readInnerDir = (reader: Reader, path: string, text: Text, packaged: Packaged): string | null => {
  const inner = normalize(text.text).replace(/\/$/, '')
  if (isAbsolute(inner) || inner === '..' || inner.startsWith('../')) {
    reader.problems.invalid(
      text,
      `${path}: ${text.text} lies outside of the package; write a directory in it, or remove package`,
    )
    return null
  }
  if (packaged.kind === 'directory' && !isDirectory(resolve(packaged.directory, inner)))
    reader.problems.invalid(
      text,
      `${path}: directory ${text.text} does not exist in the package; mend the path`,
    )
  return inner === '.' ? null : inner
}

const readDependsOn = (
  reader: Reader,
  section: Section,
  name: string,
  siblings: readonly string[],
): Record<string, DependencyCondition> => {
  const path = section.pathOf('depends_on')
  const tree = section.get('depends_on')
  const found: Record<string, DependencyCondition> = {}
  const add = (
    other: string,
    condition: DependencyCondition,
    place: { line: number; column: number },
  ): void => {
    if (other === name) reader.problems.invalid(place, `${path}: ${name} cannot depend on itself; remove it`)
    else if (siblings.includes(other)) found[other] = condition
    else {
      const near = suggestion(other, siblings) || '; services of other cells go into uses'
      reader.problems.invalid(place, `${path}: the cell has no service ${other}${near}`)
    }
  }
  if (tree?.kind !== 'map') {
    for (const text of reader.texts(tree, path)) add(text.text, 'started', text)
    return found
  }
  for (const [other, { key, value }] of tree.entries) {
    const keys = { known: ['condition'], ignored: ['required', 'restart'] }
    const section = value.kind === 'map' ? reader.section(value, `${path}.${other}`, keys) : null
    const condition = reader.choice(section === null ? value : section.get('condition'), `${path}.${other}`, [
      'healthy',
      'started',
      'completed',
      'service_healthy',
      'service_started',
      'service_completed_successfully',
    ])
    add(other, DEPENDENCY_CONDITIONS.find((each) => condition?.includes(each)) ?? 'started', key)
  }
  return found
}

const readUses = (reader: Reader, section: Section, cell: string, siblings: readonly string[]): string[] => {
  const path = section.pathOf('uses')
  const found: string[] = []
  for (const text of reader.texts(section.get('uses'), path)) {
    const parts = text.text.split('/')
    const [first = '', second] = parts
    const service = second ?? first
    const isNamed = parts.length <= 2 && parts.every((part) => NAME.test(part))
    if (!isNamed) {
      reader.problems.invalid(text, `${path}: '${text.text}' is not a service; write CELL/SERVICE`)
    } else if ((second === undefined || first === cell) && !siblings.includes(service)) {
      const near = suggestion(service, siblings) || '; write CELL/SERVICE for one of another cell'
      reader.problems.invalid(text, `${path}: the cell has no service ${service}${near}`)
    } else {
      const full = second === undefined ? `${cell}/${service}` : text.text
      if (!found.includes(full)) found.push(full)
    }
  }
  return found
}

const readStopSignal = (reader: Reader, section: Section): (typeof SIGNALS)[number] => {
  const path = section.pathOf('stop_signal')
  const text = reader.text(section.get('stop_signal'), path)
  if (text === undefined) return SERVICE_DEFAULTS.stopSignal
  const upper = text.text.toUpperCase()
  const wanted = SIGNAL_OF_NUMBER[text.text] ?? (upper.startsWith('SIG') ? upper : `SIG${upper}`)
  const found = SIGNALS.find((signal) => signal === wanted)
  if (found !== undefined) return found
  reader.problems.invalid(text, `${path} must be one of ${SIGNALS.join(', ')}, not '${text.text}'`)
  return SERVICE_DEFAULTS.stopSignal
}

const readOnPartition = (reader: Reader, section: Section): ServiceSpec['onPartition'] => {
  const path = section.pathOf('on_partition')
  return (
    reader.choice(section.get('on_partition'), path, ['run', 'quorum', 'stay']) ??
    SERVICE_DEFAULTS.onPartition
  )
}

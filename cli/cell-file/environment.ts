// A service's environment: `environment` as a map or a list, a name alone taken from the shell, and `env_file`, whose
// values give way to `environment` as in Compose. Env files are taken literally: nothing is interpolated in them.

import { readFileSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { messageOf } from '../../lib/errors.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Place } from './problem.ts'
import type { Reader, Section } from './reader.ts'
import type { Tree } from './tree.ts'

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** What tutti itself gives each instance; a cell file that sets them would be overruled without a word. */
const isOurs = (name: string): boolean => name.startsWith('TUTTI_')

/** The variables of an env file; throws what reading it throws. */
export const readEnvFile = (path: string): Readonly<Record<string, string | undefined>> =>
  parseEnv(readFileSync(path, 'utf8').replace(/^\ufeff/, ''))

export const readEnvironment = (
  reader: Reader,
  service: Section,
  ports: Readonly<Record<string, number>>,
): Record<string, string> => {
  const variables = new Map<string, string>()
  for (const [name, value] of fromFiles(reader, service)) variables.set(name, value)
  const path = service.pathOf('environment')
  const set = (name: string, value: string | undefined, place: Place): void => {
    if (!VARIABLE.test(name)) {
      reader.problems.invalid(place, `${path}: '${name}' is not a variable's name; use letters, digits and _`)
    } else if (isOurs(name)) {
      reader.problems.invalid(place, `${path}: ${name} is set by tutti; choose another name`)
    } else if (value !== undefined) variables.set(name, value)
    else if (reader.variables[name] !== undefined) variables.set(name, reader.variables[name])
    else {
      variables.delete(name)
      reader.problems.warn(place, `variable ${name} is not set here, so ${path} leaves it out`)
    }
  }
  fromService(reader, service.get('environment'), path, set)
  const port = variables.get('PORT')
  const numbers = Object.values(ports)
  if (port !== undefined && numbers.length > 0 && !numbers.some((number) => String(number) === port)) {
    const place = service.placeOf('environment')
    reader.problems.warn(place, `${path}: PORT=${port} gives way to the port that the service is given`)
  }
  if (variables.size > LIMITS.environmentMax) {
    const place = service.placeOf('environment')
    reader.problems.invalid(
      place,
      `${path} has more than ${LIMITS.environmentMax} variables; move some into a file`,
    )
  }
  return Object.fromEntries(variables)
}

const fromService = (
  reader: Reader,
  tree: Tree | undefined,
  path: string,
  set: (name: string, value: string | undefined, place: Place) => void,
): void => {
  if (tree?.kind === 'list') {
    for (const item of reader.texts(tree, path)) {
      const at = item.text.indexOf('=')
      if (at < 0) set(item.text, undefined, item)
      else set(item.text.slice(0, at), item.text.slice(at + 1), item)
    }
    return
  }
  for (const [name, { key, value }] of reader.map(tree, path)?.entries ?? []) {
    if (value.kind === 'null') set(name, undefined, key)
    else {
      const text = reader.text(value, `${path}.${name}`)
      if (text !== undefined) set(name, text.text, key)
    }
  }
}

const fromFiles = (reader: Reader, service: Section): readonly (readonly [string, string])[] => {
  const path = service.pathOf('env_file')
  const tree = service.get('env_file')
  const items = tree?.kind === 'list' ? tree.items : tree === undefined ? [] : [tree]
  return items.flatMap((item) => {
    const long = item.kind === 'map' ? reader.section(item, path, { known: ['path', 'required'] }) : null
    const file = reader.text(long === null ? item : long.get('path'), path)
    if (file === undefined) return []
    const full = isAbsolute(file.text) ? file.text : resolve(reader.directory, file.text)
    try {
      return Object.entries(readEnvFile(full)).flatMap(([name, value]) =>
        value === undefined || isOurs(name) ? [] : [[name, value] as const],
      )
    } catch (thrown) {
      const isOptional = long !== null && reader.flag(long.get('required'), `${path}.required`) === false
      const isMissing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
      if (isMissing && isOptional) return []
      const why = isMissing ? 'does not exist' : `cannot be read (${messageOf(thrown)})`
      reader.problems.invalid(file, `${path}: file ${file.text} ${why}`)
      return []
    }
  })
}

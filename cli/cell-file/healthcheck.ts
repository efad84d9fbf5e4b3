// A service's probes, `healthcheck` and `liveness`: `http: PATH`, `tcp: PORT`, or Compose's `test` in all its spellings. A
// probe that asks a port needs one; that is checked here, where the line is known.

import type { Healthcheck } from '../../crdt/schema/service.ts'
import { HEALTHCHECK_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { PROBE_KEYS } from './keys.ts'
import { suggestion } from './problem.ts'
import type { Reader, Section } from './reader.ts'

type Probe = Pick<Healthcheck, 'kind' | 'path' | 'port' | 'command'>

// What the schema allows: probing faster than ten times a second measures the prober.
const INTERVAL_MIN_MS = 100
const TIMEOUT_MIN_MS = 10

/** Asks nothing: the service is ready once it has run for a moment, whether or not its ports accept. */
const NONE: Healthcheck = { kind: 'none', ...HEALTHCHECK_DEFAULTS }

/** Null: the file does not say. */
export const readProbe = (
  reader: Reader,
  service: Section,
  key: 'healthcheck' | 'liveness',
  ports: Readonly<Record<string, number>>,
): Healthcheck | null => {
  const tree = service.get(key)
  const path = service.pathOf(key)
  if (tree === undefined || tree.kind === 'null') return null
  const section = reader.section(tree, path, PROBE_KEYS)
  // A liveness that asks nothing is none.
  const none = key === 'liveness' ? null : NONE
  if (reader.flag(section.get('disable'), `${path}.disable`) === true) return none
  const kinds = (['http', 'tcp', 'test'] as const).filter((key) => section.has(key))
  const [kind] = kinds
  if (kind === undefined || kinds.length > 1) {
    if (tree.kind === 'map') {
      reader.problems.invalid(service.placeOf(key), `${path} needs exactly one of http, tcp and test`)
    }
    return null
  }
  const probe = kind === 'test' ? testProbe(reader, section) : portProbe(reader, section, kind, ports)
  if (probe === null) return null
  if (probe.kind === 'none') return none
  const at = (name: string): string => `${path}.${name}`
  const successes = reader.integer(section.get('successes'), at('successes'), 1, 100) ?? 1
  return {
    ...probe,
    intervalMs: atLeast(reader, section, 'interval', INTERVAL_MIN_MS) ?? HEALTHCHECK_DEFAULTS.intervalMs,
    timeoutMs: atLeast(reader, section, 'timeout', TIMEOUT_MIN_MS) ?? HEALTHCHECK_DEFAULTS.timeoutMs,
    retries: reader.integer(section.get('retries'), at('retries'), 1, 100) ?? HEALTHCHECK_DEFAULTS.retries,
    startPeriodMs:
      reader.duration(section.get('start_period'), at('start_period')) ?? HEALTHCHECK_DEFAULTS.startPeriodMs,
    ...(successes === 1 ? {} : { successes }),
  }
}

const atLeast = (reader: Reader, section: Section, key: string, minimumMs: number): number | undefined => {
  const value = reader.duration(section.get(key), section.pathOf(key))
  if (value === undefined || value >= minimumMs) return value
  reader.problems.invalid(section.placeOf(key), `${section.pathOf(key)} must be at least ${minimumMs}ms`)
  return undefined
}

const portProbe = (
  reader: Reader,
  section: Section,
  kind: 'http' | 'tcp',
  ports: Readonly<Record<string, number>>,
): Probe | null => {
  const { problems } = reader
  const names = Object.keys(ports)
  const place = section.placeOf(kind)
  if (names.length === 0) {
    problems.invalid(place, `${section.pathOf(kind)} needs a port to ask; add ports: [http] to the service`)
    return null
  }
  const key = kind === 'tcp' && !section.has('port') ? 'tcp' : 'port'
  const wanted = reader.text(section.get(key), section.pathOf(key))
  const isNamed = wanted !== undefined && wanted.text !== 'true'
  const port = isNamed
    ? (names.find((name) => name === wanted.text) ??
      names.find((name) => ports[name] !== 0 && String(ports[name]) === wanted.text))
    : // Named outright where there is a choice: the document keeps no order among ports.
      names.length > 1
      ? names[0]
      : undefined
  if (isNamed && port === undefined) {
    const near = suggestion(wanted.text, names) || `; it has ${names.join(', ')}`
    problems.invalid(wanted, `${section.pathOf(key)}: the service has no port ${wanted.text}${near}`)
    return null
  }
  const chosen = port === undefined ? {} : { port }
  if (kind === 'tcp') return { kind: 'tcp', ...chosen }
  const path = reader.text(section.get('http'), section.pathOf('http'))
  if (path !== undefined && path.text.startsWith('/')) return { kind: 'http', path: path.text, ...chosen }
  problems.invalid(path ?? place, `${section.pathOf('http')} must be a path such as /healthz`)
  return null
}

const testProbe = (reader: Reader, section: Section): Probe | null => {
  const tree = section.get('test')
  const path = section.pathOf('test')
  const words = reader.texts(tree, path).map(({ text }) => text)
  const [first, ...rest] = words
  // Compose would hand it to a shell, which knows no such program: the service would never be ready, and nobody would see why.
  if (tree?.kind === 'text' && first !== undefined && /^https?:\/\/\S*$/.test(first)) {
    reader.problems.invalid(
      section.placeOf('test'),
      `${path} is a command, and a URL is none; write http: ${pathOfUrl(first)} to have the peer ask the service`,
    )
    return null
  }
  if (tree?.kind === 'text') return first === undefined ? null : shellProbe(first)
  if (first === 'NONE' && rest.length === 0) return { kind: 'none' }
  if (first === 'CMD' && rest.length > 0) return { kind: 'command', command: rest }
  if (first === 'CMD-SHELL' && rest.length === 1) return shellProbe(rest[0] ?? '')
  reader.problems.invalid(
    section.placeOf('test'),
    `${path} must be a string, [CMD, program, …], [CMD-SHELL, "line"] or [NONE]`,
  )
  return null
}

const shellProbe = (line: string): Probe => ({ kind: 'command', command: ['/bin/sh', '-c', line] })

const pathOfUrl = (url: string): string => {
  if (!URL.canParse(url)) return '/'
  const { pathname, search } = new URL(url)
  return `${pathname}${search}`
}

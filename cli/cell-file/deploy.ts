// A service's `deploy` section and the older top-level spellings of the same things (`restart`, `scale`, `cpus`,
// `mem_limit`, `pids_limit`): how many, where, with what resources, and how it is replaced and restarted.

import { LIMITS } from '../../lib/limits.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import {
  DEPLOY_KEYS,
  LIMIT_KEYS,
  PLACEMENT_KEYS,
  RESERVATION_KEYS,
  RESOURCES_KEYS,
  RESTART_KEYS,
} from './keys.ts'
import type { Keys, Reader, Section } from './reader.ts'
import { readUpdate } from './rollout.ts'

type Deploy = Pick<
  ServiceSpec,
  | 'mode'
  | 'replicas'
  | 'reservedCpusMilli'
  | 'reservedMemoryBytes'
  | 'memoryMaxBytes'
  | 'cpusMaxMilli'
  | 'pidsMax'
  | 'constraints'
  | 'spread'
  | 'replicasPerNodeMax'
  | 'update'
  | 'restart'
  | 'rescheduleAfterMs'
  | 'unfulfilledAfterMs'
>

// node.NAME or node.labels.KEY, == or !=, a value. The peers know which names there are.
const CONSTRAINT = /^node\.[A-Za-z0-9_.-]+\s*(==|!=)\s*\S.*$/
// What the schema allows.
const ATTEMPTS_MAX = 1_000_000
/** The most that a kernel can number (PID_MAX_LIMIT). */
const PIDS_MAX = 4_194_304
const SPREAD = /^node\.labels\.[A-Za-z0-9_.-]{1,128}$/

export const readDeploy = (
  reader: Reader,
  service: Section,
  onPartition: ServiceSpec['onPartition'],
): Deploy => {
  const deploy = reader.section(service.get('deploy'), service.pathOf('deploy'), DEPLOY_KEYS)
  const modePath = deploy.pathOf('mode')
  const mode = reader.choice(deploy.get('mode'), modePath, ['replicated', 'global']) ?? SERVICE_DEFAULTS.mode
  return {
    mode,
    replicas: readReplicas(reader, service, deploy, mode),
    ...readResources(reader, service, deploy),
    ...readPlacement(reader, deploy),
    update: readUpdate(reader, deploy, onPartition),
    restart: readRestart(reader, service, deploy),
    rescheduleAfterMs:
      reader.duration(deploy.get('reschedule_after'), deploy.pathOf('reschedule_after')) ??
      SERVICE_DEFAULTS.rescheduleAfterMs,
    unfulfilledAfterMs:
      reader.duration(deploy.get('unfulfilled_after'), deploy.pathOf('unfulfilled_after')) ??
      SERVICE_DEFAULTS.unfulfilledAfterMs,
  }
}

const readReplicas = (
  reader: Reader,
  service: Section,
  deploy: Section,
  mode: ServiceSpec['mode'],
): number | null => {
  const path = deploy.pathOf('replicas')
  const replicas = reader.integer(deploy.get('replicas'), path, 0, LIMITS.replicasMax)
  const scale = reader.integer(service.get('scale'), service.pathOf('scale'), 0, LIMITS.replicasMax)
  if (replicas !== undefined && scale !== undefined && replicas !== scale) {
    reader.problems.invalid(
      service.placeOf('scale'),
      `${service.pathOf('scale')} is ${scale} and ${path} is ${replicas}; keep one of them`,
    )
  }
  if (mode === 'global' && (replicas ?? scale) !== undefined) {
    const place = replicas === undefined ? service.placeOf('scale') : deploy.placeOf('replicas')
    reader.problems.invalid(place, `${path}: a global service runs once on every peer; remove the number`)
  }
  return replicas ?? scale ?? null
}

const readResources = (
  reader: Reader,
  service: Section,
  deploy: Section,
): Pick<
  Deploy,
  'reservedCpusMilli' | 'reservedMemoryBytes' | 'memoryMaxBytes' | 'cpusMaxMilli' | 'pidsMax'
> => {
  const resources = reader.section(deploy.get('resources'), deploy.pathOf('resources'), RESOURCES_KEYS)
  const amounts = (key: string, keys: Keys): Section =>
    reader.section(resources.get(key), resources.pathOf(key), keys)
  const reserved = amounts('reservations', RESERVATION_KEYS)
  const limits = amounts('limits', LIMIT_KEYS)
  const cpus = (section: Section, key: string): number | undefined =>
    reader.cpusMilli(section.get(key), section.pathOf(key))
  const memory = (section: Section, key: string): number | undefined =>
    reader.size(section.get(key), section.pathOf(key))
  const cpusMaxMilli = cpus(limits, 'cpus') ?? cpus(service, 'cpus') ?? null
  const memoryMaxBytes = memory(limits, 'memory') ?? memory(service, 'mem_limit') ?? null
  return {
    reservedCpusMilli: cpus(reserved, 'cpus') ?? SERVICE_DEFAULTS.reservedCpusMilli,
    reservedMemoryBytes:
      memory(reserved, 'memory') ??
      memory(service, 'mem_reservation') ??
      SERVICE_DEFAULTS.reservedMemoryBytes,
    // Compose reads a limit of 0 as none.
    cpusMaxMilli: cpusMaxMilli === 0 ? null : cpusMaxMilli,
    pidsMax: readPids(reader, limits, 'pids') ?? readPids(reader, service, 'pids_limit'),
    memoryMaxBytes: memoryMaxBytes === 0 ? null : memoryMaxBytes,
  }
}

/** Compose reads 0 and -1 as no limit. */
const readPids = (reader: Reader, section: Section, key: string): number | null => {
  const tree = section.get(key)
  if (tree?.kind === 'text' && tree.text === '-1') return null
  const pids = reader.integer(tree, section.pathOf(key), 0, PIDS_MAX)
  return pids === undefined || pids === 0 ? null : pids
}

const readPlacement = (
  reader: Reader,
  deploy: Section,
): Pick<Deploy, 'constraints' | 'spread' | 'replicasPerNodeMax'> => {
  const section = reader.section(deploy.get('placement'), deploy.pathOf('placement'), PLACEMENT_KEYS)
  const constraints = reader.texts(section.get('constraints'), section.pathOf('constraints'))
  for (const constraint of constraints) {
    if (CONSTRAINT.test(constraint.text)) continue
    const path = section.pathOf('constraints')
    const example = `write for example "node.labels.zone == eu-1"`
    reader.problems.invalid(constraint, `${path}: '${constraint.text}' is not a constraint; ${example}`)
  }
  const most = reader.integer(
    section.get('max_replicas_per_node'),
    section.pathOf('max_replicas_per_node'),
    0,
    LIMITS.replicasMax,
  )
  return {
    constraints: constraints.map(({ text }) => text),
    spread: readSpread(reader, section),
    // Swarm reads 0 as no limit.
    replicasPerNodeMax: most === undefined || most === 0 ? null : most,
  }
}

/** `spread: node.labels.zone`, or Compose's `preferences: [{ spread: node.labels.zone }]`. */
const readSpread = (reader: Reader, section: Section): string | null => {
  const path = section.pathOf('preferences')
  const preferences = reader.list(section.get('preferences'), path)?.items ?? []
  const preferred = preferences.map((item) =>
    reader.text(reader.section(item, path, { known: ['spread'] }).get('spread'), `${path}.spread`),
  )
  if (preferred.length > 1) {
    reader.problems.unsupported(
      section.placeOf('preferences'),
      `${path}: one spread is offered; keep the first`,
    )
  }
  const spread = reader.text(section.get('spread'), section.pathOf('spread')) ?? preferred[0]
  if (spread === undefined) return null
  if (SPREAD.test(spread.text)) return spread.text
  const where = section.pathOf('spread')
  reader.problems.invalid(
    spread,
    `${where}: '${spread.text}' is not a label; write for example node.labels.zone`,
  )
  return null
}

const readRestart = (reader: Reader, service: Section, deploy: Section): ServiceSpec['restart'] => {
  const section = reader.section(deploy.get('restart_policy'), deploy.pathOf('restart_policy'), RESTART_KEYS)
  const conditionPath = section.pathOf('condition')
  const condition = reader.choice(section.get('condition'), conditionPath, ['any', 'on-failure', 'none'])
  const older = readRestartWord(reader, service)
  const delayMs =
    reader.duration(section.get('delay'), section.pathOf('delay')) ?? SERVICE_DEFAULTS.restart.delayMs
  const most = reader.duration(section.get('max_delay'), section.pathOf('max_delay'))
  if (most !== undefined && most < delayMs) {
    const place = section.placeOf('max_delay')
    reader.problems.invalid(place, `${section.pathOf('max_delay')} is less than the delay; raise it`)
  }
  const attempts = reader.integer(
    section.get('max_attempts'),
    section.pathOf('max_attempts'),
    0,
    ATTEMPTS_MAX,
  )
  // Where only the older word speaks, its number does; Docker and Compose read 0 as no end.
  const attemptsMax = attempts ?? (condition === undefined ? older?.attempts : undefined) ?? 0
  return {
    condition: condition ?? older?.condition ?? SERVICE_DEFAULTS.restart.condition,
    delayMs,
    // A delay beyond the default ceiling is a ceiling of its own.
    delayMaxMs: most ?? Math.max(delayMs, SERVICE_DEFAULTS.restart.delayMaxMs),
    attemptsMax: attemptsMax === 0 ? null : attemptsMax,
    windowMs:
      reader.duration(section.get('window'), section.pathOf('window')) ?? SERVICE_DEFAULTS.restart.windowMs,
  }
}

interface RestartWord {
  readonly condition: ServiceSpec['restart']['condition']
  readonly attempts?: number
}

/** Compose's `restart: always | unless-stopped | on-failure[:N] | no`. */
const readRestartWord = (reader: Reader, service: Section): RestartWord | undefined => {
  const path = service.pathOf('restart')
  const word = reader.text(service.get('restart'), path)
  if (word === undefined) return undefined
  // `tutti stop` stops whatever the word says, so the two are one here.
  if (word.text === 'always' || word.text === 'unless-stopped') return { condition: 'any' }
  // `restart: no` without quotes is false to a YAML 1.1 parser, and people write that too.
  if (word.text === 'no' || word.text === 'false') return { condition: 'none' }
  const failure = /^on-failure(?::(\d{1,6}))?$/.exec(word.text)
  if (failure !== null) return { condition: 'on-failure', attempts: Number(failure[1] ?? 0) }
  const choices = 'always, unless-stopped, on-failure or no'
  reader.problems.invalid(word, `${path} must be ${choices}, not '${word.text}'`)
  return undefined
}

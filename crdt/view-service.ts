// One service out of its fields: what operators want of it, its release, and the values that lost. Pure derivation;
// every read of a field falls back to the default of the schema, so that an older author's service stays readable.

import { sha256Hex } from '../lib/hash.ts'
import {
  partsOfService,
  type ChangeHash,
  type PackageDigest,
  type ReleaseId,
  type ServiceId,
} from '../lib/ids.ts'
import { canonicalJson, compareStrings, deepFreeze, type Json } from '../lib/order.ts'
import { conflictsOf, lostTo, sortedConflicts } from './conflicts.ts'
import type { Scalar } from './edit.ts'
import { LIFE, lifeRank, parseLife, serviceFieldOf, type Life, type ServiceRecord } from './fields.ts'
import { winnerOf, type EntityFields, type Register, type WriteOrigin } from './registers.ts'
import type { RejectedRelease, RolloutOrder } from './schema/rollout.ts'
import type { ServiceSpec } from './schema/service.ts'
import {
  isUnset,
  ROLLOUT_DEFAULTS,
  SERVICE_DEFAULTS,
  type DependencyCondition,
} from './schema/service-defaults.ts'
import type { ConflictView, ReleaseDefinition, ServiceView } from './schema/view.ts'

/**
 * SHA-256 over canonical JSON. The cast is for the compiler alone: an interface has no index signature, though these
 * are plain JSON.
 */
export const fingerprint = (value: object): string => sha256Hex(canonicalJson(value as Json))

/** Where nothing ever set the replicas. */
export const REPLICAS_DEFAULT = 1

export interface DerivedService {
  readonly generation: number
  /** Null: deleted, or without a command. */
  readonly view: ServiceView | null
  /** Fingerprint of the view; empty without one. */
  readonly hash: string
  /** Edits that were lost to a deletion or a re-creation whose author had not seen them. */
  readonly superseded: readonly ConflictView[]
}

/** Whether a change is in the causal past of others. */
export type IsInPast = (origin: WriteOrigin, of: readonly ChangeHash[]) => boolean

/** The life that holds (the highest of all concurrent ones) and the changes that say so. */
export const lifeOf = (
  register: Register | undefined,
): { readonly life: Life; readonly by: readonly ChangeHash[] } | null => {
  const lives = (register ?? []).flatMap(({ value, origin }) => {
    const life = parseLife(value)
    return life === null ? [] : [{ life, rank: lifeRank(life), hash: origin.hash }]
  })
  const highest = lives.reduce((high, { rank }) => Math.max(high, rank), 0)
  const holding = lives.filter(({ rank }) => rank === highest)
  const [first] = holding
  return first === undefined ? null : { life: first.life, by: holding.map(({ hash }) => hash) }
}

export const deriveService = (id: ServiceId, fields: EntityFields, isInPast: IsInPast): DerivedService => {
  const entity = `services/${id}`
  const lived = lifeOf(fields.get(LIFE))
  if (lived === null) return { generation: 0, view: null, hash: '', superseded: [] }
  const { life, by } = lived
  const present = new Map<string, Register>()
  const superseded: ConflictView[] = []
  const conflicts: ConflictView[] = []
  for (const [field, register] of fields) {
    const place = serviceFieldOf(field)
    if (place === null) continue
    if (place.generation === life.generation && !life.gone) {
      present.set(place.name, register)
      conflicts.push(...conflictsOf(entity, field, register))
      continue
    }
    for (const write of register)
      if (!isInPast(write.origin, by))
        superseded.push(lostTo(entity, field, write, life.gone ? 'removed' : 'created again'))
  }
  const view = life.gone ? null : viewOf(id, life.generation, present, sortedConflicts(conflicts))
  return {
    generation: life.generation,
    view,
    hash: view === null ? '' : fingerprint(view),
    superseded: sortedConflicts(superseded),
  }
}

const viewOf = (
  id: ServiceId,
  generation: number,
  fields: ReadonlyMap<string, Register>,
  conflicts: readonly ConflictView[],
): ServiceView | null => {
  const spec = specOf(partsOfService(id).name, fields)
  if (spec === null) return null
  const restartToken = read(fields, 'restartToken', '')
  const definition: ReleaseDefinition = {
    command: spec.command,
    workingDir: spec.workingDir,
    ...(spec.package === null ? {} : { package: digestOfPin(spec.package) }),
    environment: spec.environment,
    ports: spec.ports,
    healthcheck: spec.healthcheck,
    // Left out where there is none, so that services without one keep the release they always had.
    ...(spec.liveness === null ? {} : { liveness: spec.liveness }),
    uses: spec.uses,
    stopSignal: spec.stopSignal,
    stopGraceMs: spec.stopGraceMs,
    memoryMaxBytes: spec.memoryMaxBytes,
    cpusMaxMilli: spec.cpusMaxMilli,
    pidsMax: spec.pidsMax,
    openFilesMax: spec.openFilesMax,
    user: spec.user,
    isolation: spec.isolation,
    restartToken,
  }
  return deepFreeze({
    ...spec,
    id,
    cell: partsOfService(id).cell,
    generation,
    replicas: spec.replicas ?? REPLICAS_DEFAULT,
    stopped: read(fields, 'stopped', false),
    release: fingerprint(hashedOf(definition)).slice(0, 12) as ReleaseId,
    definition,
    ...present('rollout', readJson<RolloutOrder | null>(fields, 'rollout', null)),
    ...rejectedOf(fields),
    conflicts,
  })
}

/** The digest of `api@1.4.2#<digest>`. */
const digestOfPin = (pin: string): PackageDigest => pin.slice(pin.indexOf('#') + 1) as PackageDigest

/** What of a definition is hashed. */
const hashedOf = (definition: ReleaseDefinition): object =>
  Object.fromEntries(Object.entries(definition).filter(([name, value]) => !isUnset(name, value)))

// The casts below are those of a parser: fields.ts has checked every value against the schema of its field before it
// entered the document.
const read = <T>(fields: ReadonlyMap<string, Register>, name: string, fallback: T): T => {
  const value = winnerOf(fields.get(name))
  return value === undefined ? fallback : (value as T)
}

const readJson = <T>(fields: ReadonlyMap<string, Register>, name: string, fallback: T): T => {
  const value = winnerOf(fields.get(name))
  return typeof value === 'string' ? (JSON.parse(value) as T) : fallback
}

const readRecord = <T extends Scalar>(
  fields: ReadonlyMap<string, Register>,
  record: ServiceRecord,
): Record<string, T> => {
  const entries: [string, T][] = []
  for (const [name, register] of fields) {
    const value = name.startsWith(`${record}/`) ? winnerOf(register) : null
    if (value !== null && value !== undefined) entries.push([name.slice(record.length + 1), value as T])
  }
  return Object.fromEntries(entries.sort(([a], [b]) => compareStrings(a, b)))
}

/** What came later is left out where it has nothing to say, so that views without it stay what they were. */
const present = <K extends string, T>(name: K, value: T | null | undefined): { readonly [P in K]?: T } =>
  value === null || value === undefined ? {} : ({ [name]: value } as { readonly [P in K]: T })

const readRollout = (fields: ReadonlyMap<string, Register>): Partial<ServiceSpec['update']> =>
  Object.fromEntries(
    Object.entries(ROLLOUT_DEFAULTS).flatMap(([name, unset]) => {
      const value = read<Scalar>(fields, `update/${name}`, unset)
      return value === unset ? [] : [[name, value]]
    }),
  )

const rejectedOf = (
  fields: ReadonlyMap<string, Register>,
): { readonly rejected?: Readonly<Record<string, RejectedRelease>> } => {
  const texts = Object.entries(readRecord<string>(fields, 'rejected'))
  if (texts.length === 0) return {}
  return {
    rejected: Object.fromEntries(
      texts.map(([release, text]) => [release, JSON.parse(text) as RejectedRelease]),
    ),
  }
}

const specOf = (name: string, fields: ReadonlyMap<string, Register>): ServiceSpec | null => {
  const command = readJson<ServiceSpec['command'] | null>(fields, 'command', null)
  if (command === null) return null
  const defaults: Omit<ServiceSpec, 'name' | 'command'> = {
    ...SERVICE_DEFAULTS,
    uses: [],
    constraints: [],
  }
  return {
    name,
    command,
    workingDir: read(fields, 'workingDir', defaults.workingDir),
    package: read(fields, 'package', defaults.package),
    environment: readRecord<string>(fields, 'environment'),
    ports: readRecord<number>(fields, 'ports'),
    healthcheck: readJson(fields, 'healthcheck', defaults.healthcheck),
    liveness: readJson(fields, 'liveness', defaults.liveness),
    dependsOn: readRecord<DependencyCondition>(fields, 'dependsOn'),
    uses: readJson(fields, 'uses', defaults.uses),
    stopSignal: read(fields, 'stopSignal', defaults.stopSignal),
    stopGraceMs: read(fields, 'stopGraceMs', defaults.stopGraceMs),
    onPartition: read(fields, 'onPartition', defaults.onPartition),
    mode: read(fields, 'mode', defaults.mode),
    replicas: read(fields, 'replicas', defaults.replicas),
    reservedCpusMilli: read(fields, 'reservedCpusMilli', defaults.reservedCpusMilli),
    reservedMemoryBytes: read(fields, 'reservedMemoryBytes', defaults.reservedMemoryBytes),
    memoryMaxBytes: read(fields, 'memoryMaxBytes', defaults.memoryMaxBytes),
    cpusMaxMilli: read(fields, 'cpusMaxMilli', defaults.cpusMaxMilli),
    pidsMax: read(fields, 'pidsMax', defaults.pidsMax),
    openFilesMax: read(fields, 'openFilesMax', defaults.openFilesMax),
    user: read(fields, 'user', defaults.user),
    isolation: read(fields, 'isolation', defaults.isolation),
    constraints: readJson(fields, 'constraints', defaults.constraints),
    spread: read(fields, 'spread', defaults.spread),
    replicasPerNodeMax: read(fields, 'replicasPerNodeMax', defaults.replicasPerNodeMax),
    update: {
      order: read(fields, 'update/order', defaults.update.order),
      parallelism: read(fields, 'update/parallelism', defaults.update.parallelism),
      ...readRollout(fields),
    },
    ...present('preDeploy', readJson<ServiceSpec['preDeploy']>(fields, 'preDeploy', null)),
    ...present('verify', readJson<ServiceSpec['verify']>(fields, 'verify', null)),
    restart: {
      condition: read(fields, 'restart/condition', defaults.restart.condition),
      delayMs: read(fields, 'restart/delayMs', defaults.restart.delayMs),
      delayMaxMs: read(fields, 'restart/delayMaxMs', defaults.restart.delayMaxMs),
      attemptsMax: read(fields, 'restart/attemptsMax', defaults.restart.attemptsMax),
      windowMs: read(fields, 'restart/windowMs', defaults.restart.windowMs),
    },
    rescheduleAfterMs: read(fields, 'rescheduleAfterMs', defaults.rescheduleAfterMs),
    unfulfilledAfterMs: read(fields, 'unfulfilledAfterMs', defaults.unfulfilledAfterMs),
  }
}

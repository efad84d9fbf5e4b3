// The document's keys: which there are, what each may hold, and how people read them. A key or value that is not
// described here is invalid, on every peer alike (S4), so nothing below may depend on anything but key and value.
// Deliberately absent: whether an author may write it, and what a value means together with others.

import { Type, type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { unreachable } from '../lib/assert.ts'
import { utf8Length } from '../lib/bytes.ts'
import { memberIdOf, NAME_PATTERN, serviceIdOf, type MemberId, type ServiceId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { canonicalJson, type Json } from '../lib/order.ts'
import { isMemberId } from '../lib/signature.ts'
import type { ContainerName, Scalar } from './edit.ts'
import { BuildDuty, BuildOutcome } from './schema/build-duty.ts'
import { PackageEntry } from './schema/package.ts'
import { PACKAGE_PIN_PATTERN, PACKAGE_REF_PATTERN } from './schema/patterns.ts'
import { RejectedRelease, RolloutOrder } from './schema/rollout.ts'
import { PreDeploy, ServiceSpec, Verify } from './schema/service.ts'

/** Where a key belongs: all fields of one entity are read together. */
export interface FieldPlace {
  /** `cluster`, `members/<id>`, `invites/<id>`, `packages/<name>@<version>`, `services/<cell>/<service>`, `build-duties/<name>`. */
  readonly entity: string
  /** The rest of the key; empty for an invite or a package, which is one value. */
  readonly field: string
}

/** The field that says whether an entity exists. */
export const LIFE = '@'

/** What of the container `cells` follows repositories. */
const BUILD_DUTIES = 'build-duties'

/** `3:live`: an entity's generation, and whether it is gone. Deletion beats life within a generation, the next one beats both. */
export interface Life {
  readonly generation: number
  readonly gone: boolean
}

/** Generations rise by one at each re-creation; nobody re-creates a service a billion times. */
const LIFE_PATTERN = /^([1-9]\d{0,8}):(live|deleted|removed)$/
const NAME = new RegExp(NAME_PATTERN)
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/
const RELEASE = /^[0-9a-f]{12}$/
const NONCE = /^[0-9a-f]{16,64}$/
const TOKEN = /^[A-Za-z0-9._:-]{0,128}$/
const ADDRESS_BYTES_MAX = 512
const ADDRESSES_MAX = 32
const strict = { additionalProperties: false } as const

export const parseLife = (value: Scalar): Life | null => {
  const match = typeof value === 'string' ? LIFE_PATTERN.exec(value) : null
  return match === null ? null : { generation: Number(match[1]), gone: match[2] !== 'live' }
}

/** Orders lives: the higher one holds. */
export const lifeRank = (life: Life): number => life.generation * 2 + (life.gone ? 1 : 0)

/** An invite's value, as canonical JSON. */
export const Invite = Type.Object(
  {
    expiresAt: Type.Integer({ minimum: 0 }),
    role: Type.Enum(['operator', 'runner'] as const),
    uses: Type.Integer({ minimum: 1, maximum: 1000 }),
  },
  strict,
)
export type Invite = Static<typeof Invite>

type Check = (value: Scalar) => boolean

const properties = ServiceSpec.properties
const guard = (schema: TSchema): Check => {
  const compiled = Compile(schema)
  return (value) => compiled.Check(value)
}

/** Text that is the canonical JSON of what the schema describes. Checked first, so that no depth of nesting is walked in vain. */
const json = (schema: TSchema): Check => {
  const compiled = Compile(schema)
  return (value) => {
    if (typeof value !== 'string') return false
    const parsed: unknown = JSON.parse(value)
    return compiled.Check(parsed) && canonicalJson(parsed as Json) === value
  }
}

const isBoolean: Check = (value) => typeof value === 'boolean'
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
const text =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value)
const member: Check = (value) => typeof value === 'string' && isMemberId(value)

const life =
  (gone: string): Check =>
  (value) =>
    parseLife(value) !== null && (String(value).endsWith(':live') || String(value).endsWith(`:${gone}`))

const SERVICE_FIELDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['command', json(properties.command)],
  ['workingDir', guard(properties.workingDir)],
  // With its digest always: what a service runs must not depend on what else the document says of the version.
  ['package', orNull(text(new RegExp(PACKAGE_PIN_PATTERN)))],
  ['healthcheck', orNull(json(properties.healthcheck))],
  ['liveness', orNull(json(properties.liveness))],
  ['uses', json(properties.uses)],
  ['stopSignal', guard(properties.stopSignal)],
  ['stopGraceMs', guard(properties.stopGraceMs)],
  ['onPartition', guard(properties.onPartition)],
  ['mode', guard(properties.mode)],
  ['replicas', (value) => value !== null && guardReplicas(value)],
  ['reservedCpusMilli', guard(properties.reservedCpusMilli)],
  ['reservedMemoryBytes', guard(properties.reservedMemoryBytes)],
  ['memoryMaxBytes', guard(properties.memoryMaxBytes)],
  ['cpusMaxMilli', guard(properties.cpusMaxMilli)],
  ['pidsMax', guard(properties.pidsMax)],
  ['openFilesMax', guard(properties.openFilesMax)],
  ['user', guard(properties.user)],
  ['isolation', guard(properties.isolation)],
  ['constraints', json(properties.constraints)],
  ['spread', guard(properties.spread)],
  ['replicasPerNodeMax', guard(properties.replicasPerNodeMax)],
  ['update/order', guard(properties.update.properties.order)],
  ['update/parallelism', guard(properties.update.properties.parallelism)],
  ['update/canary', guard(properties.update.properties.canary)],
  ['update/monitorMs', guard(properties.update.properties.monitorMs)],
  ['update/delayMs', guard(properties.update.properties.delayMs)],
  ['update/failureAction', guard(properties.update.properties.failureAction)],
  ['update/progressDeadlineMs', guard(properties.update.properties.progressDeadlineMs)],
  ['update/promote', guard(properties.update.properties.promote)],
  ['preDeploy', orNull(json(PreDeploy))],
  ['verify', orNull(json(Verify))],
  ['rollout', orNull(json(RolloutOrder))],
  ['restart/condition', guard(properties.restart.properties.condition)],
  ['restart/delayMs', guard(properties.restart.properties.delayMs)],
  ['restart/delayMaxMs', guard(properties.restart.properties.delayMaxMs)],
  ['restart/attemptsMax', guard(properties.restart.properties.attemptsMax)],
  ['restart/windowMs', guard(properties.restart.properties.windowMs)],
  ['rescheduleAfterMs', guard(properties.rescheduleAfterMs)],
  ['unfulfilledAfterMs', guard(properties.unfulfilledAfterMs)],
  ['stopped', isBoolean],
  ['restartToken', text(TOKEN)],
])
const guardReplicas = guard(properties.replicas)

/** Fields that are one key for each name: `environment/LOG_LEVEL`. Null takes the name out. */
export const SERVICE_RECORDS = ['environment', 'ports', 'dependsOn', 'rejected'] as const
export type ServiceRecord = (typeof SERVICE_RECORDS)[number]
const port = Compile(Type.Integer({ minimum: 0, maximum: 65_535 }))
const RECORD_CHECKS: Readonly<Record<ServiceRecord, { readonly name: RegExp; readonly value: Check }>> = {
  environment: { name: VARIABLE, value: (value) => typeof value === 'string' },
  ports: { name: NAME, value: (value) => port.Check(value) },
  dependsOn: { name: NAME, value: text(/^(started|healthy|completed)$/) },
  rejected: { name: RELEASE, value: json(RejectedRelease) },
}

const MEMBER_FIELDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  [LIFE, life('removed')],
  ['name', text(NAME)],
  ['role', text(/^(operator|runner)$/)],
  ['addresses', json(Type.Array(Type.String({ maxLength: ADDRESS_BYTES_MAX }), { maxItems: ADDRESSES_MAX }))],
  ['invite', orNull(member)],
  ['cordoned', isBoolean],
  ['draining', isBoolean],
])

const CLUSTER_FIELDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['founder', member],
  ['nonce', text(NONCE)],
  ['name', text(NAME)],
])

const BUILD_DUTY_FIELDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['duty', orNull(json(BuildDuty))],
  ['outcome', orNull(json(BuildOutcome))],
])

const inviteValue = orNull(json(Invite))
const PACKAGE_REF = new RegExp(PACKAGE_REF_PATTERN)
const packageValue = json(PackageEntry)

/** The place of a key; null when no such key exists in this version. */
export const placeOf = (container: ContainerName, key: string): FieldPlace | null => {
  switch (container) {
    case 'cluster':
      return CLUSTER_FIELDS.has(key) ? { entity: 'cluster', field: key } : null
    case 'invites':
      return isMemberId(key) ? { entity: `invites/${key}`, field: '' } : null
    case 'members': {
      const slash = key.indexOf('/')
      const field = key.slice(slash + 1)
      return slash > 0 && MEMBER_FIELDS.has(field) && isMemberId(key.slice(0, slash))
        ? { entity: `members/${key.slice(0, slash)}`, field }
        : null
    }
    case 'services': {
      const [cell = '', name = '', ...rest] = key.split('/')
      const field = rest.join('/')
      return NAME.test(cell) && NAME.test(name) && serviceCheckOf(field) !== null
        ? { entity: `services/${serviceIdOf(cell, name)}`, field }
        : null
    }
    case 'cells': {
      const [kind, name = '', field = '', ...more] = key.split('/')
      const isKnown = kind === BUILD_DUTIES && more.length === 0 && BUILD_DUTY_FIELDS.has(field)
      return isKnown && NAME.test(name) ? { entity: `${BUILD_DUTIES}/${name}`, field } : null
    }
    case 'packages':
      return PACKAGE_REF.test(key) ? { entity: `packages/${key}`, field: '' } : null
    default:
      return unreachable(container)
  }
}

/** The key of a field: what `placeOf` takes apart. */
export const keyOf = (
  entity: string,
  field: string,
): { readonly container: ContainerName; readonly key: string } => {
  if (entity === 'cluster') return { container: 'cluster', key: field }
  if (entity.startsWith('invites/')) return { container: 'invites', key: memberOfEntity(entity) }
  if (entity.startsWith('members/'))
    return { container: 'members', key: `${memberOfEntity(entity)}/${field}` }
  if (entity.startsWith('packages/')) return { container: 'packages', key: packageOfEntity(entity) }
  if (dutyOfEntity(entity) !== null) return { container: 'cells', key: `${entity}/${field}` }
  return { container: 'services', key: `${serviceOfEntity(entity)}/${field}` }
}

/** The check of `@`, or of `<generation>/<field>`. */
const serviceCheckOf = (field: string): Check | null => {
  if (field === LIFE) return life('deleted')
  const slash = field.indexOf('/')
  if (!/^[1-9]\d{0,8}$/.test(field.slice(0, Math.max(slash, 0)))) return null
  const name = field.slice(slash + 1)
  const plain = SERVICE_FIELDS.get(name)
  if (plain !== undefined) return plain
  const [record = '', entry = '', ...more] = name.split('/')
  if (!isServiceRecord(record) || more.length > 0) return null
  const { name: pattern, value } = RECORD_CHECKS[record]
  // `__proto__` is a legal variable name, but no JavaScript object can be trusted to carry it.
  return pattern.test(entry) && entry !== '__proto__' ? orNull(value) : null
}

const isServiceRecord = (text: string): text is ServiceRecord =>
  SERVICE_RECORDS.some((record) => record === text)

/** Why a key may not hold a value, in one sentence; null when it may. */
export const fieldFault = (container: ContainerName, key: string, value: Scalar): string | null => {
  const place = placeOf(container, key)
  const shown = key.length > 120 ? `${key.slice(0, 120)}…` : key
  if (place === null) return `'${shown}' is not a field of ${container} in this version`
  if (typeof value === 'string' && utf8Length(value) > LIMITS.valueBytesMax)
    return `the value of '${shown}' exceeds ${LIMITS.valueBytesMax} bytes`
  const check = checkOf(container, place.field)
  try {
    if (check?.(value) === true) return null
  } catch {
    // Text that is no JSON, or an id that is none: the sentence below says all there is to say.
  }
  return `the value of '${shown}' is not one that the field may hold`
}

const checkOf = (container: ContainerName, field: string): Check | null => {
  switch (container) {
    case 'cluster':
      return CLUSTER_FIELDS.get(field) ?? null
    case 'members':
      return MEMBER_FIELDS.get(field) ?? null
    case 'invites':
      return inviteValue
    case 'services':
      return serviceCheckOf(field)
    case 'cells':
      return BUILD_DUTY_FIELDS.get(field) ?? null
    case 'packages':
      return packageValue
    default:
      return unreachable(container)
  }
}

/** A service's field without its generation: `2/update/order` is `update/order` of generation 2. */
export const serviceFieldOf = (
  field: string,
): { readonly generation: number; readonly name: string } | null => {
  const slash = field.indexOf('/')
  return slash < 0 ? null : { generation: Number(field.slice(0, slash)), name: field.slice(slash + 1) }
}

/** `shop/web` of an entity of services. */
export const serviceOfEntity = (entity: string): ServiceId => entity.slice('services/'.length) as ServiceId
/** `api@1.4.2` of an entity of packages. */
export const packageOfEntity = (entity: string): string => entity.slice('packages/'.length)
/** The member id of an entity of members or invites. */
export const memberOfEntity = (entity: string): MemberId => memberIdOf(entity.slice(entity.indexOf('/') + 1))

/**
 * The place of a path that `formatPath` made with member ids for names; a service's field is without its generation. Names
 * of fields and of what is in them hold no dot.
 */
export const placeOfPath = (path: string): FieldPlace => {
  const [head = '', ...rest] = path.split(' ')
  if (head === 'cluster') return { entity: 'cluster', field: rest.join(' ') }
  if (head === 'peer') return { entity: `members/${rest[0] ?? ''}`, field: rest[1] ?? LIFE }
  if (head === 'invite') return { entity: `invites/${rest[0] ?? ''}`, field: '' }
  if (head === 'package') return { entity: `packages/${rest[0] ?? ''}`, field: '' }
  if (head === 'build') return { entity: `${BUILD_DUTIES}/${rest[1] ?? ''}`, field: rest[2] ?? 'duty' }
  return { entity: `services/${head}`, field: rest.join(' ').replaceAll('.', '/') }
}

/** The name of a build duty's entity; null for any other. */
export const dutyOfEntity = (entity: string): string | null =>
  entity.startsWith(`${BUILD_DUTIES}/`) ? entity.slice(BUILD_DUTIES.length + 1) : null

/** A field as people read it: `shop/web environment.LOG_LEVEL`, `peer n1 cordoned`. */
export const formatPath = (entity: string, field: string, nameOf?: (member: MemberId) => string): string => {
  if (entity === 'cluster') return `cluster ${field}`
  if (entity.startsWith('services/')) {
    const name = serviceFieldOf(field)?.name
    return name === undefined
      ? serviceOfEntity(entity)
      : `${serviceOfEntity(entity)} ${name.replaceAll('/', '.')}`
  }
  const duty = dutyOfEntity(entity)
  if (duty !== null) return field === 'duty' ? `build duty ${duty}` : `build duty ${duty} ${field}`
  if (entity.startsWith('packages/')) return `package ${packageOfEntity(entity)}`
  const member = memberOfEntity(entity)
  const shown = nameOf?.(member) ?? member
  if (entity.startsWith('invites/')) return `invite ${shown}`
  return field === LIFE ? `peer ${shown}` : `peer ${shown} ${field}`
}

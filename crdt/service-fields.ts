// A service as the flat fields of the document, and back into words: what edits compare and descriptions show. The
// inverse is view-service.ts. Replicas that the file does not name are no field, so that scaling by hand stays.

import { canonicalJson, compareStrings, type Json } from '../lib/order.ts'
import type { Scalar } from './edit.ts'
import type { ServiceSpec } from './schema/service.ts'
import { ROLLOUT_DEFAULTS, SERVICE_DEFAULTS } from './schema/service-defaults.ts'
import type { ServiceView } from './schema/view.ts'

/** By field without its generation: `update/order`, `environment/LOG_LEVEL`. */
export type ServiceFields = ReadonlyMap<string, Scalar>

/** What says how much of a service runs, and not what it is: `tutti scale`, `stop` and `start` set it. */
export const FIELDS_BY_HAND: ReadonlySet<string> = new Set(['replicas', 'stopped'])

export const fieldsOfSpec = (spec: Omit<ServiceSpec, 'name'>): ServiceFields => {
  const fields = new Map<string, Scalar>([
    ['command', canonicalJson(spec.command)],
    ['workingDir', spec.workingDir],
    ['package', spec.package],
    ['healthcheck', spec.healthcheck === null ? null : canonicalJson(spec.healthcheck)],
    ['liveness', spec.liveness === null ? null : canonicalJson(spec.liveness)],
    ['uses', canonicalJson(spec.uses)],
    ['stopSignal', spec.stopSignal],
    ['stopGraceMs', spec.stopGraceMs],
    ['onPartition', spec.onPartition],
    ['mode', spec.mode],
    ['reservedCpusMilli', spec.reservedCpusMilli],
    ['reservedMemoryBytes', spec.reservedMemoryBytes],
    ['memoryMaxBytes', spec.memoryMaxBytes],
    ['cpusMaxMilli', spec.cpusMaxMilli],
    ['pidsMax', spec.pidsMax],
    ['openFilesMax', spec.openFilesMax],
    ['user', spec.user],
    ['isolation', spec.isolation],
    ['constraints', canonicalJson(spec.constraints)],
    ['spread', spec.spread],
    ['replicasPerNodeMax', spec.replicasPerNodeMax],
    ['update/order', spec.update.order],
    ['update/parallelism', spec.update.parallelism],
    ['restart/condition', spec.restart.condition],
    ['restart/delayMs', spec.restart.delayMs],
    ['restart/delayMaxMs', spec.restart.delayMaxMs],
    ['restart/attemptsMax', spec.restart.attemptsMax],
    ['restart/windowMs', spec.restart.windowMs],
    ['rescheduleAfterMs', spec.rescheduleAfterMs],
    ['unfulfilledAfterMs', spec.unfulfilledAfterMs],
    ['preDeploy', textOrNull(spec.preDeploy)],
    ['verify', textOrNull(spec.verify)],
    ...Object.entries({ ...ROLLOUT_DEFAULTS, ...rolloutOf(spec.update) }).map(
      ([name, value]): [string, Scalar] => [`update/${name}`, value],
    ),
  ])
  if (spec.replicas !== null) fields.set('replicas', spec.replicas)
  for (const record of ['environment', 'ports', 'dependsOn'] as const)
    for (const [name, value] of Object.entries(spec[record]).sort(([a], [b]) => compareStrings(a, b)))
      fields.set(`${record}/${name}`, value)
  return fields
}

const textOrNull = (value: Json | undefined): string | null =>
  value === undefined || value === null ? null : canonicalJson(value)

/** What of the update section came after its first version. */
const rolloutOf = ({ order: _order, parallelism: _parallelism, ...rollout }: ServiceSpec['update']) => rollout

/** The fields of a service in the view, with what only commands set. */
export const fieldsOfView = (service: ServiceView): ServiceFields =>
  new Map([
    ...fieldsOfSpec(service),
    ['stopped', service.stopped],
    ['restartToken', service.definition.restartToken],
  ])

/** The fields of a service of which nothing is said but that it exists. */
export const DEFAULT_FIELDS: ServiceFields = new Map<string, Scalar>([
  ...fieldsOfSpec({ ...SERVICE_DEFAULTS, command: [], uses: [], constraints: [] }),
  ['replicas', 1],
  ['stopped', false],
  ['restartToken', ''],
])

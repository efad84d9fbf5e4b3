// How a service changes its release, as a cell file says it: `deploy.update_config` in Compose's words and a few of ours,
// and the hooks `pre_deploy` and `verify`. Defaults that depend on each other are node/plan/rollout/policy.ts's business.

import { LIMITS } from '../../lib/limits.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { HOOK_KEYS, UPDATE_KEYS, VERIFY_KEYS } from './keys.ts'
import type { Reader, Section } from './reader.ts'
import { shellWords } from './shell-words.ts'
import type { Tree } from './tree.ts'

/** Migrations take minutes where tables are large; beyond this somebody should look. */
const PRE_DEPLOY_TIMEOUT_MS = 300_000
/** A smoke test answers at once, or after a cold start. */
const VERIFY_TIMEOUT_MS = 30_000
// What the schema allows.
const HOOK_TIMEOUT_MIN_MS = 100

export const readUpdate = (
  reader: Reader,
  deploy: Section,
  onPartition: ServiceSpec['onPartition'],
): ServiceSpec['update'] => {
  const section = reader.section(deploy.get('update_config'), deploy.pathOf('update_config'), UPDATE_KEYS)
  const at = (key: string): [Tree | undefined, string] => [section.get(key), section.pathOf(key)]
  const order = reader.choice(...at('order'), ['start-first', 'stop-first'])
  const isQuorum = onPartition === 'quorum'
  if (isQuorum && order === 'start-first') {
    reader.problems.invalid(
      section.placeOf('order'),
      `${section.pathOf('order')}: two runs of a quorum slot never overlap; remove it or write stop-first`,
    )
  }
  const canary = reader.integer(...at('canary'), 0, LIMITS.replicasMax) ?? 0
  const monitorMs = reader.duration(...at('monitor')) ?? 0
  const delayMs = reader.duration(...at('delay')) ?? 0
  const failureAction = reader.choice(...at('failure_action'), ['rollback', 'pause'])
  const progressDeadlineMs = reader.duration(...at('progress_deadline'))
  const promote = reader.choice(...at('promote'), ['auto', 'manual'])
  return {
    order: order ?? (isQuorum ? 'stop-first' : SERVICE_DEFAULTS.update.order),
    parallelism: readParallelism(reader, section) ?? SERVICE_DEFAULTS.update.parallelism,
    ...(canary === 0 ? {} : { canary }),
    ...(monitorMs === 0 ? {} : { monitorMs }),
    ...(delayMs === 0 ? {} : { delayMs }),
    ...(failureAction === undefined ? {} : { failureAction }),
    ...(progressDeadlineMs === undefined ? {} : { progressDeadlineMs }),
    ...(promote === 'manual' ? { promote } : {}),
  }
}

/** A number, or `all`, which Compose writes as 0. */
const readParallelism = (reader: Reader, section: Section): number | undefined => {
  const tree = section.get('parallelism')
  if (tree?.kind === 'text' && tree.text === 'all') return 0
  return reader.integer(tree, section.pathOf('parallelism'), 0, LIMITS.replicasMax)
}

/** `pre_deploy: COMMAND`, or a map with `command` and `timeout`. */
export const readPreDeploy = (reader: Reader, service: Section): Pick<ServiceSpec, 'preDeploy'> => {
  const tree = service.get('pre_deploy')
  const path = service.pathOf('pre_deploy')
  if (tree === undefined || tree.kind === 'null') return {}
  if (tree.kind !== 'map') return hookOf(readCommand(reader, tree, path), PRE_DEPLOY_TIMEOUT_MS)
  const section = reader.section(tree, path, HOOK_KEYS)
  const command = readCommand(reader, section.get('command'), section.pathOf('command'))
  if (command.length === 0 && !section.has('command'))
    reader.problems.invalid(service.placeOf('pre_deploy'), `${path} needs a command`)
  return hookOf(command, timeoutOf(reader, section) ?? PRE_DEPLOY_TIMEOUT_MS)
}

const hookOf = (command: readonly string[], timeoutMs: number): Pick<ServiceSpec, 'preDeploy'> =>
  command.length === 0 ? {} : { preDeploy: { command: [...command], timeoutMs } }

/** `verify: COMMAND`, or a map with `command` or `http`, and `timeout`. */
export const readVerify = (
  reader: Reader,
  service: Section,
  ports: Readonly<Record<string, number>>,
): Pick<ServiceSpec, 'verify'> => {
  const tree = service.get('verify')
  const path = service.pathOf('verify')
  if (tree === undefined || tree.kind === 'null') return {}
  if (tree.kind !== 'map') {
    const command = readCommand(reader, tree, path)
    return command.length === 0 ? {} : { verify: { command: [...command], timeoutMs: VERIFY_TIMEOUT_MS } }
  }
  const section = reader.section(tree, path, VERIFY_KEYS)
  const timeoutMs = timeoutOf(reader, section) ?? VERIFY_TIMEOUT_MS
  const command = readCommand(reader, section.get('command'), section.pathOf('command'))
  const http = reader.text(section.get('http'), section.pathOf('http'))
  if (section.has('command') === section.has('http')) {
    reader.problems.invalid(service.placeOf('verify'), `${path} needs exactly one of http and command`)
    return {}
  }
  if (http === undefined) return command.length === 0 ? {} : { verify: { command: [...command], timeoutMs } }
  if (!http.text.startsWith('/')) {
    reader.problems.invalid(http, `${section.pathOf('http')} must be a path such as /healthz`)
    return {}
  }
  if (Object.keys(ports).length === 0) {
    const next = 'add ports: [http] to the service'
    reader.problems.invalid(http, `${section.pathOf('http')} needs a port to ask; ${next}`)
    return {}
  }
  return { verify: { http: http.text, timeoutMs } }
}

const timeoutOf = (reader: Reader, section: Section): number | undefined => {
  const path = section.pathOf('timeout')
  const value = reader.duration(section.get('timeout'), path)
  if (value === undefined || value >= HOOK_TIMEOUT_MIN_MS) return value
  reader.problems.invalid(section.placeOf('timeout'), `${path} must be at least ${HOOK_TIMEOUT_MIN_MS}ms`)
  return undefined
}

/** Exec form, or a string split as a shell would. */
const readCommand = (reader: Reader, tree: Tree | undefined, path: string): readonly string[] => {
  const isList = tree?.kind === 'list'
  const words = reader.texts(tree, path).flatMap((text) => {
    if (isList) return [text.text]
    const { words: found, error } = shellWords(text.text)
    if (error !== null) reader.problems.invalid(text, `${path}: ${error}`)
    return found
  })
  if (tree !== undefined && tree.kind !== 'map' && words.length === 0)
    reader.problems.invalid(tree, `${path} is empty; give a program to run`)
  return words
}

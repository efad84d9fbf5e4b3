// Status entries as values: keys to kinds, JSON text to checked values. A newer version of tutti may well say more than
// this one understands: fields that are not known are passed over, and what does not check is left out; neither is an
// error. The signature is over the raw bytes (status-record.ts), which are passed on as they came.

import type { Static, TObject } from 'typebox'
import { Compile } from 'typebox/compile'
import { interned } from '../lib/ids.ts'
import { sortedEntries } from '../lib/order.ts'
import { sharing } from './status-share.ts'
import {
  Alert,
  BuilderFacts,
  BuildProgress,
  ConfinementFacts,
  Doubt,
  Fence,
  FormatFacts,
  HookStatus,
  InstanceStatus,
  PackageFacts,
  PeerFacts,
  PeerReport,
  RolloutStatus,
  type MemberStatus,
} from './schema/status.ts'

/** Keys of the entries, in one place. */
export const STATUS_KEYS = {
  facts: 'peer',
  confinement: 'confinement',
  formats: 'formats',
  builder: 'builder',
  build: (duty: string) => `build/${duty}`,
  report: 'report',
  packages: 'packages',
  instance: (instance: string) => `instance/${instance}`,
  fence: (instance: string) => `fence/${instance}`,
  doubt: (instance: string) => `doubt/${instance}`,
  alert: (accused: string) => `alert/${accused}`,
  rollout: (service: string) => `rollout/${service}`,
  hook: (release: string) => `hook/${release}`,
} as const

/** Checks a JSON text, and gives its value without what its schema does not name; undefined where it does not check. */
const reader = <T extends TObject>(schema: T): ((text: string | undefined) => Static<T> | undefined) => {
  const guard = Compile(schema)
  const known = new Set(Object.keys(schema.properties))
  const read = sharing((text: string): Static<T> | undefined => {
    const value = parsed(text)
    if (!guard.Check(value)) return undefined
    // Hardly ever anything unknown: the value itself, then.
    if (Object.keys(value).every((name) => known.has(name))) return value
    return Object.fromEntries(Object.entries(value).filter(([name]) => known.has(name))) as Static<T>
  })
  return (text) => (text === undefined ? undefined : read(text))
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const readFacts = reader(PeerFacts)
const readConfinement = reader(ConfinementFacts)
const readFormats = reader(FormatFacts)
const readBuilder = reader(BuilderFacts)
const readBuild = reader(BuildProgress)
const readPackages = reader(PackageFacts)
const readReport = reader(PeerReport)
const readInstance = reader(InstanceStatus)
const readFence = reader(Fence)
const readDoubt = reader(Doubt)
const readAlert = reader(Alert)
const readRollout = reader(RolloutStatus)
const readHook = reader(HookStatus)

/** Instances of one member by key, each with the text that it was decoded from; null: the text did not check. */
export type DecodedInstances = Map<string, { readonly text: string; readonly status: InstanceStatus | null }>

const decodeInstance = (key: string, text: string, decoded: DecodedInstances): InstanceStatus | null => {
  const known = decoded.get(key)
  if (known?.text === text) return known.status
  const status = readInstance(text) ?? null
  decoded.set(key, { text, status })
  return status
}

/**
 * One member's entries, checked; maps are in the order of their keys. `decoded`: the member's, kept by the caller from call
 * to call; of five hundred instances few change at a time, and the others stay the same values.
 */
export const decodeStatus = (
  incarnation: number,
  entries: ReadonlyMap<string, string>,
  decoded: DecodedInstances = new Map(),
): MemberStatus => {
  const confinement = readConfinement(entries.get(STATUS_KEYS.confinement))
  const formats = readFormats(entries.get(STATUS_KEYS.formats))
  const builder = readBuilder(entries.get(STATUS_KEYS.builder))
  const packages = readPackages(entries.get(STATUS_KEYS.packages))
  const instances = new Map<string, InstanceStatus>()
  const fences = new Map<string, number>()
  const doubts = new Map<string, Doubt>()
  const alerts = new Map<string, Alert>()
  const builds = new Map<string, BuildProgress>()
  const rollouts = new Map<string, RolloutStatus>()
  const hooks = new Map<string, HookStatus>()
  for (const [key, text] of sortedEntries(entries)) {
    const slash = key.indexOf('/')
    const kind = key.slice(0, slash + 1)
    const name = interned(key.slice(slash + 1))
    if (kind === 'instance/') {
      const instance = decodeInstance(key, text, decoded)
      if (instance !== null) instances.set(name, instance)
    } else if (kind === 'fence/') {
      const fence = readFence(text)
      if (fence !== undefined) fences.set(name, fence.token)
    } else if (kind === 'doubt/') {
      const doubt = readDoubt(text)
      if (doubt !== undefined) doubts.set(name, doubt)
    } else if (kind === 'build/') {
      const build = readBuild(text)
      if (build !== undefined) builds.set(name, build)
    } else if (kind === 'alert/') {
      const alert = readAlert(text)
      if (alert !== undefined) alerts.set(name, alert)
    } else if (kind === 'rollout/') {
      const rollout = readRollout(text)
      if (rollout !== undefined) rollouts.set(name, rollout)
    } else if (kind === 'hook/') {
      const hook = readHook(text)
      if (hook !== undefined) hooks.set(name, hook)
    }
  }
  for (const key of decoded.keys()) if (!entries.has(key)) decoded.delete(key)
  return {
    incarnation,
    facts: readFacts(entries.get(STATUS_KEYS.facts)) ?? null,
    ...(confinement === undefined ? {} : { confinement }),
    ...(formats === undefined ? {} : { formats }),
    ...(builder === undefined ? {} : { builder }),
    ...(builds.size === 0 ? {} : { builds }),
    ...(packages === undefined ? {} : { packages }),
    report: readReport(entries.get(STATUS_KEYS.report)) ?? null,
    instances,
    ...(fences.size === 0 ? {} : { fences }),
    ...(doubts.size === 0 ? {} : { doubts }),
    alerts,
    ...(rollouts.size === 0 ? {} : { rollouts }),
    ...(hooks.size === 0 ? {} : { hooks }),
  }
}

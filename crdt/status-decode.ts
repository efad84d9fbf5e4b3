// Status entries as values: keys to kinds, JSON text to checked values. A newer version of tutti may well say more than
// this one understands: fields that are not known are passed over, and what does not check is left out; neither is an
// error. The signature is over the raw bytes (status-record.ts), which are passed on as they came.

import type { Static, TObject } from 'typebox'
import { Compile } from 'typebox/compile'
import { sortedEntries } from '../lib/order.ts'
import {
  Alert,
  ConfinementFacts,
  FormatFacts,
  HookStatus,
  InstanceStatus,
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
  report: 'report',
  instance: (instance: string) => `instance/${instance}`,
  alert: (accused: string) => `alert/${accused}`,
  rollout: (service: string) => `rollout/${service}`,
  hook: (release: string) => `hook/${release}`,
} as const

/** Checks a value, and gives it without what its schema does not name; undefined where it does not check. */
const reader = <T extends TObject>(schema: T): ((value: unknown) => Static<T> | undefined) => {
  const guard = Compile(schema)
  const known = new Set(Object.keys(schema.properties))
  return (value) => {
    if (!guard.Check(value)) return undefined
    // Hardly ever anything unknown: the value itself, then.
    if (Object.keys(value).every((name) => known.has(name))) return value
    return Object.fromEntries(Object.entries(value).filter(([name]) => known.has(name))) as Static<T>
  }
}

const readFacts = reader(PeerFacts)
const readConfinement = reader(ConfinementFacts)
const readFormats = reader(FormatFacts)
const readReport = reader(PeerReport)
const readInstance = reader(InstanceStatus)
const readAlert = reader(Alert)
const readRollout = reader(RolloutStatus)
const readHook = reader(HookStatus)

const parsed = (text: string | undefined): unknown => {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** One member's entries, checked; maps are in the order of their keys. */
export const decodeStatus = (incarnation: number, entries: ReadonlyMap<string, string>): MemberStatus => {
  const confinement = readConfinement(parsed(entries.get(STATUS_KEYS.confinement)))
  const formats = readFormats(parsed(entries.get(STATUS_KEYS.formats)))
  const instances = new Map<string, InstanceStatus>()
  const alerts = new Map<string, Alert>()
  const rollouts = new Map<string, RolloutStatus>()
  const hooks = new Map<string, HookStatus>()
  for (const [key, text] of sortedEntries(entries)) {
    const slash = key.indexOf('/')
    const kind = key.slice(0, slash + 1)
    const name = key.slice(slash + 1)
    if (kind === 'instance/') {
      const instance = readInstance(parsed(text))
      if (instance !== undefined) instances.set(name, instance)
    } else if (kind === 'alert/') {
      const alert = readAlert(parsed(text))
      if (alert !== undefined) alerts.set(name, alert)
    } else if (kind === 'rollout/') {
      const rollout = readRollout(parsed(text))
      if (rollout !== undefined) rollouts.set(name, rollout)
    } else if (kind === 'hook/') {
      const hook = readHook(parsed(text))
      if (hook !== undefined) hooks.set(name, hook)
    }
  }
  return {
    incarnation,
    facts: readFacts(parsed(entries.get(STATUS_KEYS.facts))) ?? null,
    ...(confinement === undefined ? {} : { confinement }),
    ...(formats === undefined ? {} : { formats }),
    report: readReport(parsed(entries.get(STATUS_KEYS.report))) ?? null,
    instances,
    alerts,
    ...(rollouts.size === 0 ? {} : { rollouts }),
    ...(hooks.size === 0 ? {} : { hooks }),
  }
}

// Status entries as values: keys to kinds, JSON text to checked values. What does not check is left out and not an
// error, since a newer version of tutti may well say more than this one understands.

import { Compile } from 'typebox/compile'
import { sortedEntries } from '../lib/order.ts'
import {
  Alert,
  ConfinementFacts,
  Fence,
  InstanceStatus,
  PeerFacts,
  PeerReport,
  type MemberStatus,
} from './schema/status.ts'

/** Keys of the entries, in one place. */
export const STATUS_KEYS = {
  facts: 'peer',
  confinement: 'confinement',
  report: 'report',
  instance: (instance: string) => `instance/${instance}`,
  fence: (instance: string) => `fence/${instance}`,
  alert: (accused: string) => `alert/${accused}`,
} as const

const facts = Compile(PeerFacts)
const confinement = Compile(ConfinementFacts)
const report = Compile(PeerReport)
const instance = Compile(InstanceStatus)
const fence = Compile(Fence)
const alert = Compile(Alert)

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
  const saidFacts = parsed(entries.get(STATUS_KEYS.facts))
  const saidConfinement = parsed(entries.get(STATUS_KEYS.confinement))
  const saidReport = parsed(entries.get(STATUS_KEYS.report))
  const instances = new Map<string, InstanceStatus>()
  const fences = new Map<string, number>()
  const alerts = new Map<string, Alert>()
  for (const [key, text] of sortedEntries(entries)) {
    const slash = key.indexOf('/')
    const kind = key.slice(0, slash + 1)
    const name = key.slice(slash + 1)
    if (kind !== 'instance/' && kind !== 'fence/' && kind !== 'alert/') continue
    const value = parsed(text)
    if (kind === 'instance/' && instance.Check(value)) instances.set(name, value)
    if (kind === 'fence/' && fence.Check(value)) fences.set(name, value.token)
    if (kind === 'alert/' && alert.Check(value)) alerts.set(name, value)
  }
  return {
    incarnation,
    facts: facts.Check(saidFacts) ? saidFacts : null,
    ...(confinement.Check(saidConfinement) ? { confinement: saidConfinement } : {}),
    report: report.Check(saidReport) ? saidReport : null,
    instances,
    ...(fences.size === 0 ? {} : { fences }),
    alerts,
  }
}

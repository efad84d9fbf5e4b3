// Status entries as values: keys to kinds, JSON text to checked values. What does not check is left out and not an
// error, since a newer version of tutti may well say more than this one understands.

import { Compile } from 'typebox/compile'
import { sortedEntries } from '../lib/order.ts'
import {
  Alert,
  ConfinementFacts,
  InstanceStatus,
  PackageFacts,
  PeerFacts,
  PeerReport,
  type MemberStatus,
} from './schema/status.ts'

/** Keys of the entries, in one place. */
export const STATUS_KEYS = {
  facts: 'peer',
  confinement: 'confinement',
  report: 'report',
  packages: 'packages',
  instance: (instance: string) => `instance/${instance}`,
  alert: (accused: string) => `alert/${accused}`,
} as const

const facts = Compile(PeerFacts)
const confinement = Compile(ConfinementFacts)
const packages = Compile(PackageFacts)
const report = Compile(PeerReport)
const instance = Compile(InstanceStatus)
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
  const saidPackages = parsed(entries.get(STATUS_KEYS.packages))
  const saidReport = parsed(entries.get(STATUS_KEYS.report))
  const instances = new Map<string, InstanceStatus>()
  const alerts = new Map<string, Alert>()
  for (const [key, text] of sortedEntries(entries)) {
    const slash = key.indexOf('/')
    const kind = key.slice(0, slash + 1)
    const name = key.slice(slash + 1)
    if (kind !== 'instance/' && kind !== 'alert/') continue
    const value = parsed(text)
    if (kind === 'instance/' && instance.Check(value)) instances.set(name, value)
    if (kind === 'alert/' && alert.Check(value)) alerts.set(name, value)
  }
  return {
    incarnation,
    facts: facts.Check(saidFacts) ? saidFacts : null,
    ...(confinement.Check(saidConfinement) ? { confinement: saidConfinement } : {}),
    ...(packages.Check(saidPackages) ? { packages: saidPackages } : {}),
    report: report.Check(saidReport) ? saidReport : null,
    instances,
    alerts,
  }
}

// A journal as text: one JSON value a line, a head and then one line for each pass with what changed since the one before
// it. Maps keep their order, numbers all their digits, so that what is read back is what went into the pass. The format has
// a number; a reader refuses what it does not know.

import type { MemberStatus } from '../../crdt/schema/status.ts'
import type { ServiceView, View } from '../../crdt/schema/view.ts'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import { sortedEntries } from '../../lib/order.ts'
import type { Membership } from '../../net/membership.ts'
import type { LeaseStanding } from '../plan/lease/terms.ts'
import type { LocalInstance } from '../plan/local.ts'
import type { Plan, PlanInput } from '../plan/plan.ts'
import type { JournalEntry } from './journal.ts'

export const JOURNAL_FORMAT = 'tutti journal 1'

/** The first line. */
export interface JournalHead {
  readonly format: typeof JOURNAL_FORMAT
  /** Of tutti, and of its placement: another one may well decide otherwise. */
  readonly version: string
  readonly placementVersion: number
  readonly self: MemberId
  /** Wall time of the export. */
  readonly at: number
}

/** Who exports a journal, and when. */
interface Recorder extends Pick<JournalHead, 'version' | 'self' | 'at'> {
  readonly placementVersionMax: number
}

/** Changes of a map: a value that is new or another, null for one that is gone. */
type Changes<V> = readonly (readonly [string, V | null])[]

interface PassLine {
  readonly nowMs: number
  readonly wall: number
  readonly view?: Omit<View, 'services'>
  readonly services?: Changes<ServiceView>
  readonly statuses?: Changes<MemberStatus>
  readonly membership?: Membership
  readonly local?: Changes<LocalInstance>
  readonly leases?: Changes<LeaseStanding>
  /** Left out: as before. */
  readonly packages?: PlanInput['packages']
  /** Of the first line only: later ones take it from the plan before. */
  readonly unreadySinceMs?: PlanInput['unreadySinceMs']
  /** Likewise. Left out by an earlier version: nothing. */
  readonly rollouts?: PlanInput['rollouts']
  /** Left out: as before. */
  readonly outcomes?: PlanInput['outcomes']
  /** Left out: as before. */
  readonly plan?: Plan
}

/** The lines of a journal. */
export const journalLines = (
  { version, placementVersionMax, self, at }: Recorder,
  entries: readonly JournalEntry[],
): readonly string[] => {
  const head: JournalHead = {
    format: JOURNAL_FORMAT,
    version,
    placementVersion: placementVersionMax,
    self,
    at,
  }
  const lines = [toText(head)]
  let before: JournalEntry | null = null
  let planBefore = ''
  for (const entry of entries) {
    const plan = toText(entry.plan)
    lines.push(toText(lineOf(entry, before, plan !== planBefore)))
    before = entry
    planBefore = plan
  }
  return lines
}

const NO_LEASES: ReadonlyMap<string, LeaseStanding> = new Map()

const lineOf = (
  { input, plan, wall }: JournalEntry,
  before: JournalEntry | null,
  hasPlan: boolean,
): PassLine => {
  const last = before?.input
  const { services, ...view } = input.view
  const local = changesOf(byId(last?.local), byId(input.local))
  const leases = changesOf(last?.leases ?? NO_LEASES, input.leases ?? NO_LEASES)
  return {
    nowMs: input.nowMs,
    wall,
    ...(last?.view === input.view
      ? {}
      : { view, services: changesOf(byId(last?.view.services), byId(services)) }),
    ...(last?.statuses === input.statuses
      ? {}
      : { statuses: changesOf(last?.statuses ?? new Map(), input.statuses) }),
    ...(sameMembership(last?.membership, input.membership) ? {} : { membership: input.membership }),
    ...(local.length === 0 ? {} : { local }),
    ...(leases.length === 0 ? {} : { leases }),
    ...(input.packages === last?.packages ? {} : { packages: input.packages }),
    ...(before === null
      ? {
          unreadySinceMs: input.unreadySinceMs ?? new Map(),
          ...(input.rollouts === undefined ? {} : { rollouts: input.rollouts }),
        }
      : {}),
    ...(last?.outcomes === input.outcomes ? {} : { outcomes: input.outcomes ?? new Map() }),
    ...(hasPlan ? { plan } : {}),
  }
}

/** What a journal holds. @throws TuttiError `invalid` with the line that is wrong. */
export const readJournal = (
  lines: readonly string[],
): { readonly head: JournalHead; readonly entries: readonly JournalEntry[] } => {
  const [first, ...rest] = lines.filter((line) => line.trim() !== '')
  const head = parse<JournalHead>(first ?? '', 1)
  if (head.format !== JOURNAL_FORMAT)
    throw new TuttiError('invalid', `the file is no journal that this version of tutti reads`)
  const entries: JournalEntry[] = []
  for (const [at, text] of rest.entries()) {
    const entry = entryOf(parse<PassLine>(text, at + 2), entries.at(-1), head.self)
    if (entry === null)
      throw new TuttiError('invalid', `line ${at + 2} of the journal lacks what the lines before do not say`)
    entries.push(entry)
  }
  return { head, entries }
}

const entryOf = (line: PassLine, before: JournalEntry | undefined, self: MemberId): JournalEntry | null => {
  const last = before?.input
  const view =
    line.view === undefined
      ? last?.view
      : { ...line.view, services: valuesOf(byId(last?.view.services), line.services) }
  const membership = line.membership ?? last?.membership
  const plan = line.plan ?? before?.plan
  if (view === undefined || membership === undefined || plan === undefined) return null
  const statuses =
    line.statuses === undefined && last !== undefined
      ? last.statuses
      : new Map(sortedEntries(changed(last?.statuses ?? new Map(), line.statuses)))
  const leases = changed(last?.leases ?? NO_LEASES, line.leases)
  const packages = line.packages ?? last?.packages
  const rollouts = line.rollouts ?? before?.plan.rollouts
  const outcomes = line.outcomes ?? last?.outcomes
  const input: PlanInput = {
    self,
    view,
    statuses: statuses as PlanInput['statuses'],
    membership,
    local: valuesOf(byId(last?.local), line.local),
    ...(leases.size === 0 ? {} : { leases: new Map(sortedEntries(leases)) }),
    nowMs: line.nowMs,
    unreadySinceMs: line.unreadySinceMs ?? before?.plan.unreadySinceMs ?? new Map(),
    ...(packages === undefined ? {} : { packages }),
    ...(rollouts === undefined ? {} : { rollouts }),
    ...(outcomes === undefined ? {} : { outcomes }),
  }
  return { input, plan, wall: line.wall }
}

const byId = <V extends { readonly id: string }>(values: readonly V[] = []): ReadonlyMap<string, V> =>
  new Map(values.map((value) => [value.id, value]))

const valuesOf = <V>(before: ReadonlyMap<string, V>, changes: Changes<V> | undefined): readonly V[] =>
  sortedEntries(changed(before, changes)).map(([, value]) => value)

const changesOf = <V>(before: ReadonlyMap<string, V>, after: ReadonlyMap<string, V>): Changes<V> => [
  ...sortedEntries(after).filter(([key, value]) => before.get(key) !== value),
  ...sortedEntries(before).flatMap(([key]) => (after.has(key) ? [] : [[key, null] as const])),
]

const changed = <V>(before: ReadonlyMap<string, V>, changes: Changes<V> = []): ReadonlyMap<string, V> => {
  const values = new Map(before)
  for (const [key, value] of changes) {
    if (value === null) values.delete(key)
    else values.set(key, value)
  }
  return values
}

/** The brake's end moves without a new list of members. */
const sameMembership = (a: Membership | undefined, b: Membership): boolean =>
  a?.members === b.members && a.brakedUntilMs === b.brakedUntilMs

// --------------------------------------------------------------------------------------------------------------- JSON

/** What JSON does not know, as an object of one key that no value of ours has. */
const MAP = '#map'
const NUMBER = '#number'

/** JSON that also holds Maps and infinite numbers. Keys stay in the order in which the value has them. */
export const toText = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) => {
    if (member instanceof Map) return { [MAP]: [...(member as ReadonlyMap<unknown, unknown>)] }
    if (typeof member === 'number' && !Number.isFinite(member)) return { [NUMBER]: String(member) }
    return member
  })

const parse = <T>(text: string, line: number): T => {
  try {
    return JSON.parse(text, revive) as T
  } catch (thrown) {
    throw new TuttiError('invalid', `line ${line} of the journal is no JSON: ${messageOf(thrown)}`)
  }
}

const revive = (_key: string, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  const { [MAP]: entries, [NUMBER]: number } = value as Readonly<Record<string, unknown>>
  if (Array.isArray(entries)) return new Map(entries as readonly (readonly [unknown, unknown])[])
  return typeof number === 'string' ? Number(number) : value
}

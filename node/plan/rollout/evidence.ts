// What a steward sees of one release: each slot's instance at it, and what of that speaks against the release. Statuses of
// others, and this peer's own reports, which are a pass fresher. What nobody saw (a run that ended while its peer was
// away) is held against no release: machines die too.

import { instanceIdOf, type MemberId, type SlotId } from '../../../lib/ids.ts'
import type { InstanceStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import { isMerelyWanted } from '../eligibility.ts'
import type { InstanceReport, PlanInput, SlotPlacement } from '../plan.ts'
import type { Sightings } from '../sightings.ts'
import { isUnopened } from './words.ts'

/** One slot as its member has it at the release. */
export interface SlotEvidence {
  readonly slot: SlotId
  /** Null: nobody can hold it. */
  readonly member: MemberId | null
  readonly memberName: string
  /** Its member is there. */
  readonly attended: boolean
  readonly ready: boolean
  /** Ready, and its last check failed all the same. */
  readonly lapsed: boolean
  /** Times that its checks began to fail while it was ready. */
  readonly lapses: number
  /** Runs or ran there; not merely waited for. */
  readonly begun: boolean
  readonly restarts: number
  /** Why it is not ready; empty where nothing is known. */
  readonly reason: string
  /** What speaks against the release; null: nothing does. `restarts` up to those forgiven do not. */
  readonly fault: (forgiven: number) => string | null
  /** Where it is reached. */
  readonly host: string
  readonly ports: Readonly<Record<string, number>>
}

type Seen = Pick<InstanceStatus, 'state' | 'restarts' | 'reason' | 'ports'> & {
  readonly output?: readonly string[] | undefined
  readonly exit?: { readonly code: number | null; readonly signal: string | null } | undefined
  readonly lapses: number
  readonly lapsed: boolean
  readonly overdue: boolean
  readonly merelyWanted: boolean
}

/** The slots of a service in order, each at the wanted release. */
export const evidenceOf = (
  input: PlanInput,
  service: ServiceView,
  slots: readonly SlotPlacement[],
  sightings: Sightings,
  reports: ReadonlyMap<string, InstanceReport>,
): readonly SlotEvidence[] =>
  slots.map(({ slot, member, reason }) => {
    const id = instanceIdOf(slot, service.release)
    const isOwn = member === input.self
    const seen = member === null ? null : isOwn ? seenHere(input, id, reports) : seenThere(input, member, id)
    const memberName = member === null ? '' : sightings.nameOf(member)
    const attended = member !== null && (isOwn || sightings.isPresent(member))
    return {
      slot,
      member,
      memberName,
      attended,
      ready: seen?.state === 'ready' || seen?.state === 'stopped',
      lapsed: seen?.lapsed ?? false,
      lapses: seen?.lapses ?? 0,
      begun: seen !== null && !seen.merelyWanted,
      restarts: seen?.restarts ?? 0,
      reason: seen === null ? (member === null ? reason : '') : isUnopened(seen.reason) ? '' : seen.reason,
      fault: (forgiven) =>
        seen === null || !attended ? null : faultOf(`${slot} on ${memberName}`, seen, forgiven),
      host: member === null ? '' : (input.statuses.get(member)?.facts?.host ?? ''),
      ports: seen?.ports ?? {},
    }
  })

const seenThere = (input: PlanInput, member: MemberId, id: string): Seen | null => {
  const said = input.statuses.get(member)
  const status = said?.instances.get(id)
  if (status === undefined) return null
  const { lapses = 0, now: lapsed = false } = said?.doubts?.get(id) ?? {}
  return {
    ...status,
    lapses,
    lapsed,
    overdue: status.unfulfilledSince !== undefined,
    merelyWanted: isMerelyWanted(status),
  }
}

const seenHere = (
  input: PlanInput,
  id: string,
  reports: ReadonlyMap<string, InstanceReport>,
): Seen | null => {
  const report = reports.get(id)
  if (report === undefined) return null
  const local = input.local.find((instance) => instance.id === id)
  return {
    ...report,
    lapses: report.lapses ?? 0,
    lapsed: report.lapsed ?? false,
    ports: local?.ports ?? {},
    overdue: report.unfulfilledSinceMs !== undefined,
    merelyWanted: local === undefined,
  }
}

const faultOf = (where: string, seen: Seen, forgiven: number): string | null => {
  const { state, restarts, reason, exit, output = [], overdue, merelyWanted } = seen
  // What waits for room or for others has not failed; the progress deadline ends such waits.
  if (merelyWanted || state === 'draining' || state === 'stopped') return null
  const unseen = exit !== undefined && exit.code === null && exit.signal === null
  if (state === 'failing') return `${where} is failing: ${reason}`
  if (state === 'crashed')
    return unseen || restarts < forgiven
      ? null
      : `${where} crashed: ${exit === undefined ? reason : `it ${endText(exit)}`}${wordsText(output)}`
  if (state === 'unfulfilled') return `${where} does not run: ${reason}`
  if (restarts > forgiven && !unseen)
    return `${where} was restarted${exit === undefined ? '' : `: it ${endText(exit)}`}${wordsText(output)}`
  if (overdue && state !== 'ready') return `${where} is not ready in time: ${reason === '' ? state : reason}`
  return null
}

/** As of a hook. */
const LAST_WORDS_MAX = 160

/** What it wrote last, where that has been told. */
const wordsText = (output: readonly string[]): string => {
  const last = output.findLast((line) => line.trim() !== '') ?? ''
  return last === '' ? '' : `; it wrote last: ${last.slice(0, LAST_WORDS_MAX)}`
}

const endText = ({
  code,
  signal,
}: {
  readonly code: number | null
  readonly signal: string | null
}): string => (signal === null ? `exited with ${code ?? 'an unknown code'}` : `was ended by ${signal}`)

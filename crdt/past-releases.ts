// The releases that a service has had: walked back change by change, looking up only the fields that each change wrote.
// So it costs what the last few releases cost, however long the history is; a service that is scaled every minute has no
// more releases than one that is not.

import type { ChangeHash, MemberId, ReleaseId, ServiceId } from '../lib/ids.ts'
import { decodeChange } from './change-codec.ts'
import { serviceFieldOf } from './fields.ts'
import type { Genesis } from './genesis.ts'
import type { Entry } from './history.ts'
import { decodeRecord } from './record.ts'
import type { EntityFields, Register } from './registers.ts'
import type { ServiceView } from './schema/view.ts'
import { FIELDS_BY_HAND } from './service-fields.ts'
import type { Step } from './timeline.ts'
import { locateOps } from './validate.ts'
import { deriveService, fingerprint, type IsInPast } from './view-service.ts'

/** One release of a service, as it last was in force. */
export interface PastRelease {
  readonly release: ReleaseId
  /** The change that brought it into force, the last time it came. */
  readonly change: ChangeHash
  readonly author: MemberId
  /** Wall time of that change, by its author's clock. */
  readonly at: number
  readonly message: string
  /** The service at the end of that time: what to set to get the release back (rollback.ts). */
  readonly service: ServiceView
  /** In force now. */
  readonly current: boolean
}

export interface PastReleasesInput {
  readonly service: ServiceId
  /** The service's fields as they are now. */
  readonly fields: EntityFields
  /** The history, newest first. */
  readonly steps: Iterable<Step>
  readonly genesis: Genesis
  readonly registerAt: (field: string, heads: readonly ChangeHash[]) => Register
  readonly isInPast: IsInPast
}

/** Releases looked for where nobody says how many: more than anybody goes back. @default of `limit` */
const RELEASES_MAX = 10
/** Changes of one service looked at: each costs some 0.03 ms, with a release 0.5 ms, and a question must not stall a peer. */
const CHANGES_SCANNED_MAX = 2000

/** Distinct releases, newest first. */
export const pastReleases = (input: PastReleasesInput, limit = RELEASES_MAX): readonly PastRelease[] => {
  const { service, genesis, isInPast } = input
  const entity = `services/${service}`
  const fields = new Map(input.fields)
  const derived = (): ServiceView | null => deriveService(service, fields, isInPast).view
  const found = new Map<ReleaseId, PastRelease>()
  let then = derived()
  let isCurrent = true
  let scanned = 0
  for (const { entry, before } of input.steps) {
    if (found.size >= limit || scanned >= CHANGES_SCANNED_MAX) break
    if (!entry.entities.includes(entity)) continue
    scanned += 1
    const written = fieldsWritten(genesis, entry, entity)
    const heads = before()
    for (const field of written) {
      const register = input.registerAt(field, heads)
      if (register.length === 0) fields.delete(field)
      else fields.set(field, register)
    }
    // No part of any release, and written all the time.
    if (written.every((field) => FIELDS_BY_HAND.has(serviceFieldOf(field)?.name ?? ''))) continue
    const earlier = derived()
    if (then !== null && earlier?.release !== then.release && !found.has(then.release))
      found.set(then.release, releaseOf(then, entry, isCurrent))
    if (earlier?.release !== then?.release) isCurrent = false
    // The newest state of each release is the one to go back to.
    if (earlier === null || earlier.release !== then?.release) then = earlier
  }
  return [...found.values()]
}

const releaseOf = (
  service: ServiceView,
  { hash, author, at, message }: Entry,
  current: boolean,
): PastRelease => ({ release: service.release, change: hash, author, at, message, service, current })

const fieldsWritten = (genesis: Genesis, entry: Entry, entity: string): readonly string[] => {
  const located = locateOps(genesis, decodeChange(decodeRecord(entry.record).bytes))
  if (typeof located === 'string') return []
  return located.flatMap(({ placed }) => (placed.entity === entity ? [placed.field] : []))
}

/**
 * The release before the one in force, or the last one of a service that was deleted; null: there is none. Restarts are
 * passed over: what ran before them is what runs.
 */
export const releaseBefore = (releases: readonly PastRelease[]): PastRelease | null => {
  const [present] = releases
  if (present === undefined || !present.current) return present ?? null
  const kind = kindOf(present)
  return releases.find((release) => kindOf(release) !== kind) ?? null
}

/** Equal for releases that differ by a restart alone. */
const kindOf = ({ service }: PastRelease): string => fingerprint({ ...service.definition, restartToken: '' })

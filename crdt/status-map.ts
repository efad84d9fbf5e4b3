// Status of all members (DESIGN §3): a last-value map for each, written by itself alone, ordered by (incarnation, seq).
// No history: records are kept while they hold a current entry, so memory follows what lives. A higher incarnation voids
// everything of a lower one, once it is whole: until then, a part of it would look as if the member had lost the rest.
// Deliberately absent: who is a member (`retain` is told), time, and when to seal.

import { TuttiError, messageOf } from '../lib/errors.ts'
import { sha256Hex } from '../lib/hash.ts'
import { MemberChanges } from '../lib/changed-members.ts'
import type { MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { canonicalJson, compareStrings, sortedBy, sortedEntries, type Json } from '../lib/order.ts'
import { utf8Length } from '../lib/bytes.ts'
import type { Signer } from '../lib/signature.ts'
import { emptyLog, extendedLog, MemberLog } from './member-log.ts'
import {
  STATUS_KEYS_MAX,
  STATUS_KEY_BYTES_MAX,
  STATUS_VALUE_BYTES_MAX,
  type MemberStatus,
} from './schema/status.ts'
import { decodeStatus, type DecodedInstances } from './status-decode.ts'
import { newsOf, type StatusNews } from './status-news.ts'
import { sharesStates, sharedBytes, sharedStep } from './status-share.ts'
import { shortList, type ListedCursors } from './sync-message.ts'
import { openStatus, statusHeadOf, sealStatus, type StatusEntry, type StatusRecord } from './status-record.ts'

/** How far a holder is: everything of a member up to there. */
export interface StatusCursor {
  readonly incarnation: number
  readonly seq: number
}

export interface StatusIngest {
  /** `new`: applied, complete. `gap`: applied, others are missing. `known`: nothing new. `invalid`: refused for good. */
  readonly kind: 'new' | 'known' | 'gap' | 'invalid'
  /** Null when the record does not even say. */
  readonly member: MemberId | null
  readonly reason?: string
  /** What can have changed, of what was applied. */
  readonly news?: StatusNews
  /** True when nothing of this incarnation of the member was here before: it has begun, and may be reached elsewhere than before. */
  readonly isAnew?: boolean
  /** Of what was applied the record as it is kept, which nobody changes: the one that came may be part of a message. */
  readonly kept?: Uint8Array
}

/** The members, sorted, and a fingerprint of that. */
interface MemberList {
  readonly members: readonly MemberId[]
  readonly name: string
}

/**
 * A full record is made when more records and tombstones than this are kept beside the live entries. Small maps: 16
 * deltas of some 300 bytes are cheaper to keep than to restate. Large maps: a quarter of the live entries, so that
 * restating costs each delta four entries on average, and the list of what is retained stays below 2 bytes an entry.
 */
const WASTE_MIN = 16
const WASTE_SHARE = 4
/** The same by size: superseded parts of kept records may take as much as the live entries, and this. */
const WASTE_BYTES_MIN = 64 * 1024
/** Room in a full record for everything but keys and values: signature, retained list, lengths. */
const ENVELOPE_BYTES = 32 * 1024

/** Names what a shared log says, beside the records that may be added to it. */
const DECODED = {}

export class StatusMap {
  readonly #signer: Signer
  #logs = new Map<MemberId, MemberLog>()
  /** The logs are in the order of ids. */
  #isSorted = true
  readonly #decoded = new Map<MemberId, MemberStatus>()
  readonly #instances = new Map<MemberId, DecodedInstances>()
  /** What a member last said as a whole, while of its present incarnation only a part is here. */
  readonly #former = new Map<MemberId, MemberStatus>()
  /** What this member says of itself, sealed or not, as JSON text. */
  readonly #own = new Map<string, string>()
  #ownBytes = 0
  #pending = new Map<string, string | null>()
  #incarnation: number
  /** The incarnation rose and nobody has been told yet. */
  #risen = false
  #members: ReadonlySet<MemberId> | null = null
  #list: MemberList | null = null
  /** As last told, and who has changed since; null: to be made anew. */
  #statuses: ReadonlyMap<MemberId, MemberStatus> | null = null
  readonly #restated = new Set<MemberId>()
  readonly #changes = new MemberChanges()
  /** As last told, both until something changes: several neighbours ask in one breath. */
  #vector: ReadonlyMap<MemberId, StatusCursor> | null = null
  #listedVector: ListedCursors | null = null
  /** Whose status may be another one since `takeChanged` was last asked. */
  readonly #unheard = new Set<MemberId>()
  #digest: string | null = null

  constructor(options: { readonly signer: Signer; readonly incarnation: number }) {
    this.#signer = options.signer
    this.#incarnation = options.incarnation
    this.#logs.set(options.signer.member, new MemberLog(options.incarnation))
  }

  get incarnation(): number {
    return this.#incarnation
  }

  /** There is something to seal: entries, or an incarnation that rose (as it may within `ingest`). */
  get pending(): boolean {
    return this.#pending.size > 0 || this.#risen
  }

  /**
   * Sets or, with null, deletes an own entry; false when it is so already. It shows in `statuses` at once and leaves
   * with the next `seal`. @throws TuttiError `too-large`.
   */
  set(key: string, value: Json): boolean {
    const text = value === null ? null : canonicalJson(value)
    const before = this.#own.get(key) ?? null
    if (before === text) return false
    const bytes = this.#ownBytes - sizeOf(key, before) + sizeOf(key, text)
    const keys = this.#own.size + (before === null ? 1 : 0)
    if (text !== null) checkSize(key, text, bytes, keys)
    if (text === null) this.#own.delete(key)
    else this.#own.set(key, text)
    this.#ownBytes = bytes
    // What never left needs no deletion.
    if (text === null && !this.#ownLog().names(key)) this.#pending.delete(key)
    else this.#pending.set(key, text)
    this.#changed(this.#signer.member)
    return true
  }

  /** The own value of a key, as canonical JSON; null when there is none. */
  own(key: string): string | null {
    return this.#own.get(key) ?? null
  }

  /** One signed record of everything pending; null when nothing is. Publish it; it is in the map already. */
  seal(): Uint8Array | null {
    if (!this.pending) return null
    const log = this.#ownLog()
    const seq = log.newest + 1
    const seqs = log.seqs()
    const entries = sortedEntries(this.#pending).map(([key, value]) => ({ key, value }))
    const waste = seqs.length + log.tombstones + entries.filter(({ value }) => value === null).length
    const full =
      waste > Math.max(WASTE_MIN, this.#own.size / WASTE_SHARE) ||
      log.bytes + sizeOfAll(entries) > 2 * this.#ownBytes + WASTE_BYTES_MIN
    const record: Omit<StatusRecord, 'member'> = full
      ? { incarnation: this.#incarnation, seq, retained: [], entries: this.#everything() }
      : { incarnation: this.#incarnation, seq, retained: stillCurrent(log, seqs, this.#pending), entries }
    const sealed = sealStatus(this.#signer, record)
    this.#pending = new Map()
    this.#risen = false
    log.add({ ...record, member: this.#signer.member }, sealed)
    this.#changed(this.#signer.member)
    return sealed
  }

  /** Takes a record of anyone, in any order, any number of times. Never throws. */
  ingest(sealed: Uint8Array): StatusIngest {
    let record: StatusRecord
    try {
      // Most records arrive more than once, from several peers; a signature costs as much as all the rest.
      const head = statusHeadOf(sealed)
      const held = this.#logs.get(head.member)
      const isOld =
        held !== undefined && head.member !== this.#signer.member && held.incarnation > head.incarnation
      if (isOld || (held?.incarnation === head.incarnation && held.knows(head.seq)))
        return { kind: 'known', member: head.member }
      record = openStatus(sealed)
    } catch (thrown) {
      return { kind: 'invalid', member: null, reason: messageOf(thrown) }
    }
    const { member, incarnation } = record
    if (member === this.#signer.member) return this.#ingestOwn(record)
    if (this.#members?.has(member) === false)
      return { kind: 'known', member, reason: 'its member is not admitted, as far as this peer knows' }
    let log = this.#logs.get(member)
    if (log !== undefined && log.incarnation > incarnation) return { kind: 'known', member }
    const isAnew = log === undefined || log.incarnation < incarnation
    const former = log !== undefined && isAnew ? this.#statusOf(member, log) : null
    if (log === undefined || log.incarnation < incarnation) log = emptyLog(member, incarnation)
    const kept = sharedBytes(sealed)
    const extended = extendedLog(log, record, kept)
    const { admission } = extended
    if (admission === 'full')
      return { kind: 'invalid', member, reason: 'its member says more than a member may' }
    if (admission === 'known') return { kind: 'known', member }
    if (former !== null) this.#former.set(member, former)
    // As it rises a member restates everything: what comes after that holds without it only where that is here.
    if (extended.log.cursor > 0) this.#former.delete(member)
    if (!this.#logs.has(member)) this.#isSorted = false
    this.#logs.set(member, extended.log)
    this.#changed(member)
    return { kind: admission, member, news: isAnew ? 'more' : newsOf(record), isAnew, kept }
  }

  /** How far everything of each member is here. */
  vector(): ReadonlyMap<MemberId, StatusCursor> {
    if (this.#vector === null) {
      const vector = new Map<MemberId, StatusCursor>()
      for (const [member, log] of this.#inOrder()) vector.set(member, cursorOf(log))
      this.#vector = vector
    }
    return this.#vector
  }

  /** The same for every member that `retain` named, in the order of ids; null: this peer holds the word of others, too. */
  listedVector(): ListedCursors | null {
    if (this.#listedVector !== null) return this.#listedVector
    const list = this.#listed()
    if (list === null) return null
    const cursors = list.members.map((member): StatusCursor => {
      const log = this.#logs.get(member)
      return log === undefined ? NOTHING_HELD : cursorOf(log)
    })
    this.#listedVector = { list: list.name, cursors }
    return this.#listedVector
  }

  /** Another holder's list with the names; null: it has other members. */
  namedVector({ list, cursors }: ListedCursors): ReadonlyMap<MemberId, StatusCursor> | null {
    const own = this.#listed()
    if (own?.name !== list || own.members.length !== cursors.length) return null
    const vector = new Map<MemberId, StatusCursor>()
    for (const [at, cursor] of cursors.entries()) {
      const member = own.members[at]
      if (member !== undefined && cursor.incarnation > 0) vector.set(member, cursor)
    }
    return vector
  }

  /**
   * Records that a holder of that vector lacks, up to a size. All records of a member go together, since its cursor
   * moves only when they are all there; those of the first member go whatever their size.
   */
  missingFrom(vector: ReadonlyMap<MemberId, StatusCursor>, bytesMax: number): Uint8Array[] {
    const batch: Uint8Array[] = []
    let bytes = 0
    for (const [member, log] of this.#inOrder()) {
      const theirs = vector.get(member)
      if (theirs !== undefined && theirs.incarnation > log.incarnation) continue
      const after = theirs?.incarnation === log.incarnation ? theirs.seq : 0
      // Of a thousand members hardly any differ.
      if (after >= log.newest) continue
      const records = log.recordsAfter(after)
      const size = records.reduce((sum, record) => sum + record.length, 0)
      if (batch.length > 0 && bytes + size > bytesMax) break
      batch.push(...records)
      bytes += size
    }
    return batch
  }

  /** What every member says of itself, decoded, in order of their ids. The same values until something changes. */
  statuses(): ReadonlyMap<MemberId, MemberStatus> {
    if (this.#statuses !== null && this.#restated.size === 0) return this.#statuses
    const statuses = this.#followed() ?? new Map<MemberId, MemberStatus>()
    if (statuses.size === 0)
      for (const [member, log] of this.#inOrder()) statuses.set(member, this.#statusOf(member, log))
    this.#restated.clear()
    this.#changes.mark(statuses)
    this.#statuses = statuses
    return statuses
  }

  /** As last told, but for what has changed since; null where members came or went, since they are in order of their ids. */
  #followed(): Map<MemberId, MemberStatus> | null {
    const before = this.#statuses
    if (before === null) return null
    const statuses = new Map(before)
    for (const member of this.#restated) {
      const log = this.#logs.get(member)
      if (log === undefined || !before.has(member)) return null
      statuses.set(member, this.#statusOf(member, log))
    }
    return statuses
  }

  /** What one member says of itself, decoded; null: nothing is known. */
  statusOf(member: MemberId): MemberStatus | null {
    const log = this.#logs.get(member)
    return log === undefined ? null : this.#statusOf(member, log)
  }

  /** Members whose status may be another one than when this was last asked, sorted. For one caller: it asks once. */
  takeChanged(): readonly MemberId[] {
    if (this.#unheard.size === 0) return []
    const changed = [...this.#unheard].sort(compareStrings)
    this.#unheard.clear()
    return changed
  }

  /** Raises the own incarnation above one at which this member was accused; the next seal restates everything. */
  refute(aboveIncarnation: number): void {
    this.#rise(Math.max(this.#incarnation, aboveIncarnation) + 1)
  }

  /** Somebody holds records of this member of that incarnation: a lost disk, or a clone. Rises above it if need be. */
  heardOfSelf(incarnation: number): void {
    if (incarnation > this.#incarnation) this.#rise(incarnation + 1)
  }

  /** Forgets everyone else, and takes no records of others from now on. */
  retain(members: ReadonlySet<MemberId>): void {
    this.#members = new Set(members)
    this.#list = null
    this.#listedVector = null
    for (const member of this.#logs.keys()) {
      if (member === this.#signer.member || members.has(member)) continue
      this.#logs.delete(member)
      this.#instances.delete(member)
      this.#former.delete(member)
      this.#changed(member)
    }
  }

  /** Every record kept, for the snapshot. */
  records(): Uint8Array[] {
    return [...this.#inOrder().values()].flatMap((log) => log.recordsAfter(0))
  }

  /** Equal when two maps hold the same records completely. Own entries count from their seal on. */
  digest(): string {
    this.#digest ??= sha256Hex(
      [...this.#inOrder()]
        .filter(([, { cursor }]) => cursor > 0)
        .map(([member, { incarnation, cursor }]) => `${member} ${incarnation} ${cursor}`)
        .join('\n'),
    )
    return this.#digest
  }

  #ingestOwn({ incarnation, seq }: StatusRecord): StatusIngest {
    const member = this.#signer.member
    const { newest } = this.#ownLog()
    // The same incarnation further than this peer ever was: it was started twice with one counter.
    if (incarnation === this.#incarnation && seq > newest) this.#rise(incarnation + 1)
    this.heardOfSelf(incarnation)
    return { kind: 'known', member }
  }

  #rise(incarnation: number): void {
    this.#incarnation = incarnation
    this.#risen = true
    this.#logs.set(this.#signer.member, new MemberLog(incarnation))
    this.#pending = new Map(this.#own)
    this.#changed(this.#signer.member)
  }

  #listed(): MemberList | null {
    if (this.#members?.has(this.#signer.member) !== true) return null
    if (this.#list === null) {
      const members = [...this.#members].sort(compareStrings)
      this.#list = { members, name: shortList(sha256Hex(members.join('\n'))) }
    }
    return this.#list
  }

  /** Who there is changes seldom, what they say all the time. */
  #inOrder(): ReadonlyMap<MemberId, MemberLog> {
    if (!this.#isSorted) this.#logs = new Map(sortedEntries(this.#logs))
    this.#isSorted = true
    return this.#logs
  }

  #ownLog(): MemberLog {
    const log = this.#logs.get(this.#signer.member)
    if (log === undefined) throw new TuttiError('internal', 'the own status is missing')
    return log
  }

  #everything(): StatusEntry[] {
    return sortedBy(this.#own, ([key]) => key).map(([key, value]) => ({ key, value }))
  }

  #statusOf(member: MemberId, log: MemberLog): MemberStatus {
    const kept = this.#decoded.get(member)
    if (kept !== undefined) return kept
    const former = this.#former.get(member)
    const status =
      former === undefined ? this.#decode(member, log) : { ...former, incarnation: log.incarnation }
    this.#decoded.set(member, status)
    return status
  }

  #decode(member: MemberId, log: MemberLog): MemberStatus {
    const isOwn = member === this.#signer.member
    if (!isOwn && sharesStates())
      return sharedStep(log, DECODED, () => decodeStatus(log.incarnation, new Map(log.live())))
    const instances = this.#instances.get(member) ?? new Map()
    this.#instances.set(member, instances)
    return decodeStatus(log.incarnation, isOwn ? this.#own : new Map(log.live()), instances)
  }

  #changed(member: MemberId): void {
    this.#decoded.delete(member)
    this.#unheard.add(member)
    this.#restated.add(member)
    this.#changes.note(member)
    this.#vector = null
    this.#listedVector = null
    this.#digest = null
  }
}

const NOTHING_HELD: StatusCursor = { incarnation: 0, seq: 0 }

const cursorOf = ({ incarnation, cursor: seq }: MemberLog): StatusCursor => ({ incarnation, seq })

const sizeOf = (key: string, value: string | null): number =>
  value === null ? 0 : utf8Length(key) + utf8Length(value) + 8

const sizeOfAll = (entries: readonly StatusEntry[]): number =>
  entries.reduce((sum, { key, value }) => sum + sizeOf(key, value), 0)

const checkSize = (key: string, value: string, bytes: number, keys: number): void => {
  if (utf8Length(key) > STATUS_KEY_BYTES_MAX)
    throw new TuttiError(
      'too-large',
      `the status key '${key.slice(0, 60)}…' exceeds ${STATUS_KEY_BYTES_MAX} bytes`,
    )
  if (utf8Length(value) > STATUS_VALUE_BYTES_MAX)
    throw new TuttiError('too-large', `the status of '${key}' exceeds ${STATUS_VALUE_BYTES_MAX} bytes`)
  if (keys > STATUS_KEYS_MAX)
    throw new TuttiError('too-large', `a member may have ${STATUS_KEYS_MAX} status entries, no more`)
  if (bytes > LIMITS.statusBytesMax - ENVELOPE_BYTES)
    throw new TuttiError('too-large', 'all status of a member must fit into one record; this entry does not')
}

/** Seqs that still hold a current entry once `pending` is sealed. */
const stillCurrent = (
  log: MemberLog,
  seqs: readonly number[],
  pending: ReadonlyMap<string, string | null>,
): number[] => {
  const current = log.currentSeqs(pending)
  return seqs.filter((seq) => current.has(seq))
}

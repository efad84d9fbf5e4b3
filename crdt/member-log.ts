// One member's status as the records say it: the latest value of every key, the records that still hold one, and how
// far it is complete. Records may come in any order, any number of times, with gaps; what a record says holds at once,
// while `cursor` only moves when everything that the newest record retains is here. One incarnation; a higher one
// starts a new log.

import type { MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { STATUS_KEYS_MAX } from './schema/status.ts'
import type { StatusRecord } from './status-record.ts'
import { sharesStates, sharedBeginning, sharedStep } from './status-share.ts'

/** What one member may occupy here: its live entries, and as much again of records not yet replaced. */
const MEMBER_BYTES_MAX = 3 * LIMITS.statusBytesMax

interface Current {
  readonly seq: number
  /** JSON text; null: deleted. */
  readonly value: string | null
}

interface Kept {
  readonly sealed: Uint8Array
  readonly retained: readonly number[]
}

export type Admission = 'new' | 'gap' | 'known' | 'full'

/** A log of another member that nothing has been added to. */
export const emptyLog = (member: MemberId, incarnation: number): MemberLog =>
  sharesStates()
    ? sharedBeginning(`${member} ${incarnation}`, () => new MemberLog(incarnation))
    : new MemberLog(incarnation)

/** Adds a record of another member. Answers with the log that holds it: the same one, unless logs are shared. */
export const extendedLog = (
  log: MemberLog,
  record: StatusRecord,
  sealed: Uint8Array,
): { readonly log: MemberLog; readonly admission: Admission } => {
  if (!sharesStates()) return { log, admission: log.add(record, sealed) }
  return sharedStep(log, record, () => {
    const next = log.copy()
    const admission = next.add(record, sealed)
    return { log: admission === 'known' || admission === 'full' ? log : next, admission }
  })
}

export class MemberLog {
  readonly incarnation: number
  readonly #records = new Map<number, Kept>()
  readonly #entries = new Map<string, Current>()
  #newest = 0
  #cursor = 0
  #bytes = 0

  constructor(incarnation: number) {
    this.incarnation = incarnation
  }

  /** Everything up to this seq is here. */
  get cursor(): number {
    return this.#cursor
  }

  get newest(): number {
    return this.#newest
  }

  /** Bytes of the records kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** An independent log that holds the same. */
  copy(): MemberLog {
    const copy = new MemberLog(this.incarnation)
    for (const [seq, kept] of this.#records) copy.#records.set(seq, kept)
    for (const [key, current] of this.#entries) copy.#entries.set(key, current)
    copy.#newest = this.#newest
    copy.#cursor = this.#cursor
    copy.#bytes = this.#bytes
    return copy
  }

  /** Live entries: key and JSON text. Unsorted. */
  *live(): IterableIterator<readonly [string, string]> {
    for (const [key, { value }] of this.#entries) if (value !== null) yield [key, value]
  }

  /** Whether a record kept says anything of a key. */
  names(key: string): boolean {
    return this.#entries.has(key)
  }

  /** Seqs of the records kept, ascending. */
  seqs(): number[] {
    return [...this.#records.keys()].sort((a, b) => a - b)
  }

  /** Seqs that hold the current value of a key other than those named. */
  currentSeqs(except: { has(key: string): boolean }): ReadonlySet<number> {
    const current = new Set<number>()
    for (const [key, { seq }] of this.#entries) if (!except.has(key)) current.add(seq)
    return current
  }

  /** Deleted keys that older records still name. */
  get tombstones(): number {
    let count = 0
    for (const { value } of this.#entries.values()) if (value === null) count += 1
    return count
  }

  /** Records of a later seq, in order. */
  recordsAfter(seq: number): Uint8Array[] {
    if (seq >= this.#newest) return []
    return this.seqs().flatMap((own) => (own > seq ? (this.#records.get(own)?.sealed ?? []) : []))
  }

  /** Whether a record of that seq could add nothing: it is here, or replaced. */
  knows(seq: number): boolean {
    const isReplaced = seq < this.#newest && this.#records.get(this.#newest)?.retained.includes(seq) !== true
    return isReplaced || this.#records.has(seq)
  }

  add(record: StatusRecord, sealed: Uint8Array): Admission {
    const { seq, retained, entries } = record
    if (this.knows(seq)) return 'known'
    const keys = entries.filter(({ key }) => !this.#entries.has(key)).length
    // A record that retains nothing makes room for itself.
    const replacesAll = seq > this.#newest && retained.length === 0
    const full =
      this.#bytes + sealed.length > MEMBER_BYTES_MAX || this.#entries.size + keys > 2 * STATUS_KEYS_MAX
    if (full && !replacesAll) return 'full'
    if (replacesAll) this.#clear()
    this.#records.set(seq, { sealed, retained })
    this.#bytes += sealed.length
    for (const { key, value } of entries)
      if ((this.#entries.get(key)?.seq ?? 0) < seq) this.#entries.set(key, { seq, value })
    this.#newest = Math.max(this.#newest, seq)
    return this.#complete() ? 'new' : 'gap'
  }

  #clear(): void {
    this.#records.clear()
    this.#entries.clear()
    this.#bytes = 0
  }

  /** Moves the cursor if the newest record has all it needs, and drops what it does not need. */
  #complete(): boolean {
    const retained = this.#records.get(this.#newest)?.retained ?? []
    const needed = new Set(retained)
    // Until it is complete, an older record's entries are the best word there is on their keys; the records themselves
    // are needed by nobody.
    for (const [seq, { sealed }] of this.#records) {
      if (seq === this.#newest || needed.has(seq)) continue
      this.#records.delete(seq)
      this.#bytes -= sealed.length
    }
    if (retained.some((seq) => !this.#records.has(seq))) return false
    for (const [key, { seq }] of this.#entries) if (!this.#records.has(seq)) this.#entries.delete(key)
    this.#cursor = this.#newest
    return true
  }
}

// The intent on this peer: the only door to the document. Changes are staged (drafted here or judged from others) on a
// shadow document, made durable by the caller, and then committed to the main document and its view:
//   own edit: draft → Store.append → commit → publish;  incoming: judge → Store.append → commit → forward.
// States of a change: unknown → orphan (its causes are missing) → staged → committed; refused changes leave no trace.
// Invariants: what is committed is durable; a change is committed after its causes, in whatever order appends end; no
// (actor, seq) is used twice (S3). Deterministic: actor, time and signer are arguments. It does no IO.

import { unreachable } from '../lib/assert.ts'
import { sha256Hex } from '../lib/hash.ts'
import { messageOf, TuttiError } from '../lib/errors.ts'
import type { ActorId, ChangeHash, ClusterId, MemberId } from '../lib/ids.ts'
import { compareStrings } from '../lib/order.ts'
import type { Signer } from '../lib/signature.ts'
import { AutomergeDocument } from './automerge.ts'
import { CausalMembership, type MembershipPast } from './causal-membership.ts'
import { changeHashOf, decodeChange, encodeChange, type Change } from './change-codec.ts'
import { draftChange } from './draft.ts'
import type { ChangeInfo, Edit, EditMeta } from './edit.ts'
import { genesisOf, ownActor, type Genesis } from './genesis.ts'
import { History, type Entry } from './history.ts'
import { Orphans } from './orphans.ts'
import { Past } from './past.ts'
import { decodeRecord, encodeRecord, recordIsAuthentic, signRecord, type IntentRecord } from './record.ts'
import { Registers, type PlacedOp, type WriteOrigin } from './registers.ts'
import type { View } from './schema/view.ts'
import type { Judged, Refusal, ReplicaOptions, Restored, Staged } from './staged.ts'
import { judgeChange, locateOps, pastOf, type CausalContext } from './validate.ts'
import { sharesStates, sharedBytes, sharedRecord, sharedStep } from './status-share.ts'
import { ViewBuilder } from './view.ts'

export type { Judged, Refusal, ReplicaOptions, Restored, Staged } from './staged.ts'

interface Work {
  readonly staged: Staged
  readonly entry: Entry
  readonly ops: readonly PlacedOp[]
  readonly bytes: Uint8Array
  durable: boolean
}

type Outcome =
  | { readonly kind: 'staged'; readonly staged: Staged }
  | { readonly kind: 'known' | 'orphan' }
  | ({ readonly kind: 'invalid' } & Refusal)

export class IntentReplica {
  readonly #cluster: ClusterId
  readonly #signer: Signer
  readonly #genesis: Genesis
  readonly #history: History
  readonly #membership = new CausalMembership()
  readonly #registers = new Registers<Entry>()
  readonly #builder: ViewBuilder
  readonly #orphans = new Orphans()
  /** What was: the committed changes and what they made of the intent, at any moment. */
  readonly past: Past
  // In causal order.
  readonly #staged = new Map<ChangeHash, Work>()
  readonly #problems: string[] = []
  #actor: ActorId
  #main: AutomergeDocument
  #shadow: AutomergeDocument
  #headsDigest: string | null = null

  constructor(options: ReplicaOptions) {
    this.#cluster = options.cluster
    this.#signer = options.signer
    this.#actor = ownActor(options.signer.member, options.actor)
    this.#genesis = genesisOf(options.cluster)
    this.#history = new History(this.#genesis.hash)
    this.#builder = new ViewBuilder(options.cluster, (origin, of) => this.#isInPast(origin, of))
    this.#main = AutomergeDocument.empty()
    this.#main.apply([this.#genesis.bytes])
    this.#shadow = this.#main.copy()
    this.past = new Past({
      history: this.#history,
      registers: this.#registers,
      builder: this.#builder,
      context: () => this.#context(this.#main),
    })
  }

  /** A replica from the disk. Never throws on what the disk held: what could not be used is in `problems`. */
  static restore(options: ReplicaOptions, disk: Restored): IntentReplica {
    let replica = new IntentReplica(options)
    if (disk.document === null || !replica.#adopt(disk.document, disk.records)) {
      replica = new IntentReplica(options)
      if (disk.document !== null)
        replica.#problems.push('the saved document does not match its records; it is made of them anew')
      replica.#replay(disk.records)
    }
    replica.#replay(disk.later)
    if (replica.#orphans.size > 0)
      replica.#problems.push(`${replica.#orphans.size} changes wait for others that the disk does not hold`)
    return replica
  }

  /** What a restore could not use, one sentence each; anti-entropy brings it again if anyone has it. */
  get problems(): readonly string[] {
    return this.#problems
  }

  /** The actor under which this replica writes. */
  get actor(): ActorId {
    return this.#actor
  }

  /** Changes committed. */
  get changesCount(): number {
    return this.#history.committedCount
  }

  /**
   * An own change, staged; null when no edit changes anything. Append its record, then commit it.
   * @throws TuttiError `invalid`, `refused` or `too-large`; then nothing is staged.
   */
  draft(edits: readonly Edit[], meta: EditMeta): Staged | null {
    const drafted = this.#drafted(edits, meta)
    return drafted === null ? null : this.#stage(drafted)
  }

  /** The view as it would be with these edits; nothing is staged. @throws TuttiError as `draft` does. */
  preview(edits: readonly Edit[]): View {
    const drafted = this.#drafted(edits, { message: '', at: 0 })
    if (drafted === null) return this.view()
    const { hash } = drafted
    // A draft has everything in its past.
    const builder = this.#builder.copy((origin, of) => of.includes(hash) || this.#isInPast(origin, of))
    const overlay = new Registers()
    const origin = { hash, author: this.#signer.member, at: 0 }
    for (const entity of new Set(drafted.ops.map((op) => op.entity))) {
      overlay.adopt(entity, this.#registers.entity(entity))
      for (const { ops, entry } of this.#staged.values())
        overlay.apply(
          ops.filter((op) => op.entity === entity),
          entry,
        )
      overlay.apply(
        drafted.ops.filter((op) => op.entity === entity),
        origin,
      )
      const fields = overlay.entity(entity)
      if (fields !== undefined) builder.update(entity, fields)
    }
    return builder.view()
  }

  /** Judges records of others; the valid ones are staged. Append them in this order, then commit them. Never throws. */
  judge(records: readonly Uint8Array[]): Judged {
    return this.#judgeAll(records, false)
  }

  /**
   * Applies changes that are durable now, causes first; one whose causes are not durable yet follows them. Returns what
   * was applied. A change that was abandoned meanwhile is judged again, since the disk has it; an own edit that is not
   * in the document afterwards is lost, and its operator must hear so.
   */
  commit(durable: readonly Staged[]): readonly Staged[] {
    for (const { hash, record } of durable) {
      if (!this.#staged.has(hash) && this.#history.get(hash) === undefined) this.judge([record])
      const work = this.#staged.get(hash)
      if (work !== undefined) work.durable = true
    }
    const ready: Work[] = []
    const applied = new Set<ChangeHash>()
    for (const [hash, work] of this.#staged) {
      const causesApplied = work.entry.deps.every((dep) => applied.has(dep) || this.#isCommitted(dep))
      if (!work.durable || !causesApplied) continue
      applied.add(hash)
      ready.push(work)
    }
    if (ready.length === 0) return []
    this.#main.apply(ready.map(({ bytes }) => bytes))
    for (const work of ready) this.#settle(work)
    return ready.map(({ staged }) => staged)
  }

  /** Forgets everything staged, because the disk refused it, and goes on under a fresh actor. */
  abandon(newActor: ActorId): void {
    this.#staged.clear()
    this.#history.abandon()
    this.#actor = ownActor(this.#signer.member, newActor)
    this.#rebuildShadow()
  }

  /** The committed intent; the same frozen value until the next commit. */
  view(): View {
    return this.#builder.view()
  }

  /** Whether that change is committed here. */
  holds(change: ChangeHash): boolean {
    return this.#isCommitted(change)
  }

  /** How many committed changes of each actor this replica has. */
  vector(): ReadonlyMap<ActorId, number> {
    return this.#history.vector()
  }

  /** Records that a replica with that vector lacks, causes first, up to a size; at least one when there is any. */
  missingFrom(vector: ReadonlyMap<ActorId, number>, bytesMax: number): Uint8Array[] {
    const batch: Uint8Array[] = []
    let bytes = 0
    for (const { record } of this.#history.missingFrom(vector)) {
      bytes += record.length
      if (bytes > bytesMax && batch.length > 0) break
      batch.push(record)
    }
    return batch
  }

  /** SHA-256 over the committed heads: equal exactly when two replicas hold the same changes. */
  headsDigest(): string {
    this.#headsDigest ??= sha256Hex(this.#history.committedHeads().join(','))
    return this.#headsDigest
  }

  /** Everything committed, for the store. */
  snapshot(): { readonly document: Uint8Array; readonly records: readonly Uint8Array[] } {
    return { document: this.#main.save(), records: this.#history.committed().map(({ record }) => record) }
  }

  changeInfo(hash: ChangeHash): ChangeInfo | null {
    const entry = this.#history.get(hash)
    return entry === undefined ? null : infoOf(entry)
  }

  /** Takes a saved document and the records it was made of; false when they do not belong together. */
  #adopt(saved: Uint8Array, records: readonly Uint8Array[]): boolean {
    try {
      const document = AutomergeDocument.load(saved)
      for (const record of records) this.#index(record)
      const heads = document.heads().sort(compareStrings)
      if (heads.join() !== this.#history.committedHeads().join()) return false
      this.#main = document
      this.#shadow = document.copy()
    } catch {
      return false
    }
    for (const entity of this.#registers.entities()) this.#derive(entity)
    return true
  }

  /** Enters a committed change that the document holds already. @throws when it does not follow what is known. */
  #index(encoded: Uint8Array): void {
    const record = decodeRecord(encoded)
    const { author, hash, bytes } = record
    const change = decodeChange(bytes)
    const located = locateOps(this.#genesis, change)
    const follows = change.deps.every((dep) => this.#history.knows(dep))
    if (typeof located === 'string' || !follows || changeHashOf(bytes) !== hash)
      throw new TuttiError('storage', 'a saved record does not belong to the saved document')
    const ops = located.map(({ placed }) => placed)
    const membership = pastOf(this.#context(this.#main), change.deps)
    const entry = this.#enter({ change, bytes, hash, author, record: encoded, ops, membership })
    this.#history.commit(entry)
    this.#registers.apply(ops, entry)
  }

  #replay(records: readonly Uint8Array[]): void {
    const { staged, invalid } = this.#judgeAll(records, true)
    this.commit(staged)
    for (const { reason } of invalid) this.#problems.push(`a stored record was refused: ${reason}`)
  }

  #judgeAll(records: readonly Uint8Array[], trusted: boolean): Judged {
    const staged: Staged[] = []
    const invalid: Refusal[] = []
    let known = 0
    let orphans = 0
    const queue = [...records].reverse()
    for (let bytes = queue.pop(); bytes !== undefined; bytes = queue.pop()) {
      const outcome = this.#judgeOne(bytes, trusted)
      switch (outcome.kind) {
        case 'staged':
          staged.push(outcome.staged)
          queue.push(...this.#orphans.take(outcome.staged.hash).reverse())
          break
        case 'known':
          known += 1
          break
        case 'orphan':
          orphans += 1
          break
        case 'invalid':
          invalid.push({ reason: outcome.reason, author: outcome.author })
          break
      }
    }
    return { staged, known, orphans, invalid }
  }

  #context(document: AutomergeDocument): CausalContext {
    return {
      cluster: this.#cluster,
      genesis: this.#genesis,
      history: this.#history,
      membership: this.#membership,
      document,
    }
  }

  #isInPast(origin: WriteOrigin, of: readonly ChangeHash[]): boolean {
    const past = this.#history.get(origin.hash)
    return past !== undefined && this.#history.isInPast(past, of)
  }

  #isCommitted(hash: ChangeHash): boolean {
    return hash === this.#genesis.hash || this.#history.get(hash)?.committed === true
  }

  #drafted(edits: readonly Edit[], meta: EditMeta): Admitted | null {
    const change = draftChange(this.#context(this.#shadow), this.#actor, edits, meta)
    if (change === null) return null
    const bytes = encodeChange(change)
    const { actor, seq } = change
    const hash = changeHashOf(bytes)
    const record = signRecord(this.#signer, this.#cluster, { actor, seq, hash, bytes })
    // Decoding checks the limits, and the judgement is the one that others will make.
    const judgement = judgeChange(this.#context(this.#shadow), record, decodeChange(bytes))
    if (judgement.kind === 'orphan') throw new TuttiError('internal', 'an own change lacks its causes')
    if (judgement.kind === 'invalid')
      throw new TuttiError('refused', `the edit cannot be made: ${judgement.reason}`)
    const { ops, membership } = judgement
    return { change, bytes, hash, author: record.author, record: encodeRecord(record), ops, membership }
  }

  #judgeOne(encoded: Uint8Array, trusted = false): Outcome {
    let author: MemberId | null = null
    try {
      const record = sharesStates() ? sharedRecord(encoded, decodeRecord) : decodeRecord(encoded)
      author = record.author
      if (changeHashOf(record.bytes) !== record.hash)
        return refusal(author, 'its hash is not that of its bytes')
      if (this.#history.knows(record.hash)) return { kind: 'known' }
      if (!trusted && !recordIsAuthentic(this.#cluster, record))
        return refusal(author, 'its signature is not that of its author')
      const change = changeOf(record)
      const judgement = judgeChange(this.#context(this.#shadow), record, change)
      switch (judgement.kind) {
        case 'invalid':
          return refusal(author, judgement.reason)
        case 'orphan':
          this.#orphans.add(record.hash, encoded, judgement.waitsFor)
          return { kind: 'orphan' }
        case 'valid': {
          const { hash, bytes } = record
          const { ops, membership } = judgement
          return {
            kind: 'staged',
            staged: this.#stage({
              change,
              bytes,
              hash,
              author,
              record: sharesStates() ? sharedBytes(encoded) : encoded,
              ops,
              membership,
            }),
          }
        }
        default:
          return unreachable(judgement)
      }
    } catch (thrown) {
      return refusal(author, messageOf(thrown))
    }
  }

  /** Trial-applies and stages. @throws when Automerge refuses; then nothing is staged and the shadow is sound again. */
  #stage(admitted: Admitted): Staged {
    const { bytes, hash, record, ops } = admitted
    try {
      this.#shadow.apply([bytes])
    } catch (cause) {
      this.#rebuildShadow()
      throw new TuttiError('invalid', 'the change could not be applied to a copy of the document', { cause })
    }
    const entry = this.#enter(admitted)
    const staged: Staged = { hash, record, info: infoOf(entry) }
    this.#staged.set(hash, { staged, entry, ops, bytes, durable: false })
    return staged
  }

  #enter({ change, hash, author, record, ops, membership }: Admitted): Entry {
    const origin = { hash, author, at: change.time }
    return this.#history.add(change, {
      hash,
      author,
      record,
      membership,
      entities: [...new Set(ops.map(({ entity }) => entity))],
      after: ({ index }) => this.#membership.after(membership, index, ops, origin),
    })
  }

  #settle({ entry, ops }: Work): void {
    this.#staged.delete(entry.hash)
    this.#history.commit(entry)
    this.#registers.apply(ops, entry)
    this.#headsDigest = null
    for (const entity of new Set(ops.map((op) => op.entity))) this.#derive(entity)
  }

  #derive(entity: string): void {
    const fields = this.#registers.entity(entity)
    if (fields !== undefined) this.#builder.update(entity, fields)
  }

  #rebuildShadow(): void {
    this.#shadow.free()
    this.#shadow = this.#main.copy()
    const bytes = [...this.#staged.values()].map((work) => work.bytes)
    if (bytes.length > 0) this.#shadow.apply(bytes)
  }
}

interface Admitted {
  readonly change: Change
  readonly bytes: Uint8Array
  readonly hash: ChangeHash
  readonly author: MemberId
  readonly record: Uint8Array
  readonly ops: readonly PlacedOp[]
  readonly membership: MembershipPast
}

/** What a record's change says; read once where records are shared. */
const changeOf = (record: IntentRecord): Change =>
  sharesStates() ? sharedStep(record, CHANGE, () => decodeChange(record.bytes)) : decodeChange(record.bytes)

/** Names the change of a shared record. */
const CHANGE = {}

const infoOf = ({ author, message, at }: Entry): ChangeInfo => ({ author, message, at })

const refusal = (author: MemberId | null, reason: string): Outcome => ({ kind: 'invalid', author, reason })

// The one door through which changes enter the intent. Others' records are judged, applied and told on at once, and
// written soon after, together: their author has them on its disk, and a peer that loses them hears them again. An own
// edit is made durable before it is applied or told to anyone, and with it everything that came before. One batch at a
// time, so nothing is ever staged on top of something that may yet fail; a hundred changes cost one sync.
// Deliberately absent: what a change means; the replica judges, the pass acts.

import { changedSince, requireDigest, type EditCondition } from '../../crdt/condition.ts'
import type { Edit, EditMeta } from '../../crdt/edit.ts'
import type { IntentReplica, Staged } from '../../crdt/replica.ts'
import type { Store } from '../../crdt/store.ts'
import { asTuttiError, messageOf, TuttiError } from '../../lib/errors.ts'
import type { ActorId, MemberId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import type { GossipVerdict } from '../../net/transport.ts'
import type { EditResult } from '../ports.ts'

/** Records or edits that may wait for their turn. A peer that is this far behind drops them; anti-entropy brings them again. */
const WAITING_MAX = 10_000
/**
 * Others' records wait this long for each member of the cluster, at most, before they are written: peers that share a
 * disk must not all sync at one instant, and what a burst brings shares one sync.
 */
const WRITE_SPREAD_PER_MEMBER_MS = 10
const WRITE_SPREAD_MAX_MS = 300
/** A disk that refused is asked again after this long. */
const WRITE_RETRY_MS = 1000

export interface IntentQueueOptions {
  readonly replica: IntentReplica
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** In [0, 1): where in the spread this peer's writes fall. */
  readonly spread: () => number
  /** A fresh random actor, for when the disk refused an own edit: its (actor, seq) must never be used again. */
  readonly newActor: () => ActorId
  /** Own change is durable: tell the others. */
  readonly publish: (record: Uint8Array) => void
  /** The document moved. */
  readonly applied: (staged: readonly Staged[]) => void
  /** All that was applied is on the disk now. */
  readonly durable: () => void
  /** A record was refused for good. */
  readonly quarantined: (from: MemberId | null, reason: string) => void
  /** The disk refused a batch, or accepts again (null). */
  readonly storage: (trouble: string | null) => void
}

interface EditTurn {
  readonly kind: 'edit'
  readonly edits: readonly Edit[]
  readonly meta: EditMeta
  readonly condition: EditCondition
  readonly done: (result: EditResult) => void
  readonly failed: (error: TuttiError) => void
}

interface RecordsTurn {
  readonly kind: 'records'
  readonly from: MemberId
  readonly records: readonly Uint8Array[]
  readonly verdict: (verdict: GossipVerdict) => void
}

type Turn = EditTurn | RecordsTurn

export class IntentQueue {
  readonly #options: IntentQueueOptions
  #waiting: Turn[] = []
  #running: Promise<void> | null = null
  /** Applied and not on the disk yet, in causal order. */
  #unwritten: Uint8Array[] = []
  #cancelWrite: (() => void) | null = null
  #writeDue = false

  constructor(options: IntentQueueOptions) {
    this.#options = options
  }

  /** Whether everything that is applied is on the disk. */
  get isDurable(): boolean {
    return this.#unwritten.length === 0
  }

  /** One atomic change. @throws TuttiError; then nothing was changed. */
  edit(edits: readonly Edit[], meta: EditMeta, condition: EditCondition = {}): Promise<EditResult> {
    return new Promise((done, failed) => {
      this.#enqueue({ kind: 'edit', edits, meta, condition, done, failed })
    })
  }

  /** Records of other peers. Resolves with the verdict as soon as they are judged, before the disk has them. */
  records(from: MemberId, records: readonly Uint8Array[]): Promise<GossipVerdict> {
    return new Promise((verdict) => {
      this.#enqueue({ kind: 'records', from, records, verdict })
    })
  }

  /** Ends it when nothing waits any more, with what was applied on the disk where that takes it. */
  async stop(): Promise<void> {
    this.#write()
    while (this.#running !== null) await this.#running
    // What the disk refused even now comes back from the others.
    this.#stopWaiting()
  }

  #enqueue(turn: Turn): void {
    if (this.#waiting.length >= WAITING_MAX) {
      if (turn.kind === 'records') turn.verdict('ignore')
      else turn.failed(new TuttiError('busy', 'too many changes wait for the disk; try again in a moment'))
      return
    }
    this.#waiting.push(turn)
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Let what arrives in the same turn of the event loop share the first batch.
    await Promise.resolve()
    while (this.#waiting.length > 0 || this.#writeDue) {
      const batch = this.#waiting
      this.#waiting = []
      await this.#takeRecords(batch)
      await this.#takeEdits(batch.filter((turn) => turn.kind === 'edit'))
    }
    this.#running = null
  }

  async #takeRecords(batch: readonly Turn[]): Promise<void> {
    const staged: Staged[] = []
    for (const turn of batch) if (turn.kind === 'records') staged.push(...this.#judge(turn))
    if (staged.length === 0) return
    const { clock, replica } = this.#options
    // What is valid is passed on before anything is made of it here: others wait behind it, hop by hop.
    await new Promise<void>((resolve) => void clock.after(0, resolve))
    const applied = replica.commit(staged)
    for (const { record } of applied) this.#unwritten.push(record)
    this.#options.applied(applied)
    this.#writeSoon()
  }

  /** Own edits of one batch, and whatever else the disk lacks, with one sync. */
  async #takeEdits(turns: readonly EditTurn[]): Promise<void> {
    const { replica, store, newActor } = this.#options
    if (turns.length === 0 && !this.#writeDue) return
    const staged: Staged[] = []
    const drafted: { readonly turn: EditTurn; readonly own: Staged | null }[] = []
    for (const turn of turns) {
      try {
        const { ifDigest } = turn.condition
        // An edit of the same batch comes first, and the digest that the view still has is not that any more.
        if (ifDigest !== undefined && staged.length > 0) throw changedSince(ifDigest)
        requireDigest(replica.view().digest, turn.condition)
        const own = replica.draft(turn.edits, turn.meta)
        drafted.push({ turn, own })
        if (own !== null) staged.push(own)
      } catch (thrown) {
        turn.failed(asTuttiError(thrown))
      }
    }
    const pending = staged.length > 0 || this.#writeDue ? this.#unwritten : []
    const frames = [...pending, ...staged.map(({ record }) => record)]
    this.#writeDue = false
    try {
      if (frames.length > 0) await store.append(frames.map((bytes) => ({ kind: 'intent', bytes })))
    } catch (thrown) {
      if (staged.length > 0) replica.abandon(newActor())
      this.#writeSoon(WRITE_RETRY_MS)
      this.#options.storage(messageOf(thrown))
      for (const { turn } of drafted) turn.failed(asTuttiError(thrown))
      return
    }
    if (frames.length > 0) {
      this.#unwritten = this.#unwritten.slice(pending.length)
      this.#options.storage(null)
    }
    // Told first: it is on the disk, and the others wait for it.
    for (const { record } of staged) this.#options.publish(record)
    if (staged.length > 0) this.#options.applied(replica.commit(staged))
    if (frames.length > 0) this.#options.durable()
    const view = replica.view()
    for (const { turn, own } of drafted) turn.done({ change: own?.hash ?? null, digest: view.digest, view })
  }

  #writeSoon(atLeastMs = 0): void {
    const { clock, replica, spread } = this.#options
    if (this.#unwritten.length === 0 || this.#cancelWrite !== null) return
    const spreadMs = Math.min(WRITE_SPREAD_MAX_MS, replica.view().members.length * WRITE_SPREAD_PER_MEMBER_MS)
    this.#cancelWrite = clock.after(atLeastMs + spreadMs * spread(), () => this.#write())
  }

  #write(): void {
    this.#stopWaiting()
    if (this.isDurable) return
    this.#writeDue = true
    this.#running ??= this.#run()
  }

  #stopWaiting(): void {
    this.#cancelWrite?.()
    this.#cancelWrite = null
  }

  #judge(turn: RecordsTurn): readonly Staged[] {
    const { staged, invalid } = this.#options.replica.judge(turn.records)
    for (const { author, reason } of invalid) this.#options.quarantined(author ?? turn.from, reason)
    turn.verdict(invalid.length > 0 ? 'reject' : staged.length > 0 ? 'accept' : 'ignore')
    return staged
  }
}

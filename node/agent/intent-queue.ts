// The one door through which changes enter the intent: own edits and other peers' records alike are judged, made
// durable, applied, and told on, in that order. One batch at a time: what arrives while the disk syncs waits for the
// next turn, so a hundred changes cost one sync and nothing is ever staged on top of something that may yet fail.
// Deliberately absent: what a change means; the replica judges, the pass acts.

import type { Edit, EditMeta } from '../../crdt/edit.ts'
import type { IntentReplica, Staged } from '../../crdt/replica.ts'
import type { Store } from '../../crdt/store.ts'
import { asTuttiError, messageOf, TuttiError } from '../../lib/errors.ts'
import type { ActorId, MemberId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { GossipVerdict } from '../../net/transport.ts'
import type { EditResult } from '../ports.ts'

/** Records or edits that may wait for the disk. A peer that is this far behind drops them; anti-entropy brings them again. */
const WAITING_MAX = 10_000

export interface IntentQueueOptions {
  readonly replica: IntentReplica
  readonly store: Store
  readonly log: Log
  /** A fresh random actor, for when the disk refused a batch: its (actor, seq) must never be used again. */
  readonly newActor: () => ActorId
  /** Own change is durable and applied: tell the others. */
  readonly publish: (record: Uint8Array) => void
  /** The document moved. */
  readonly applied: (staged: readonly Staged[]) => void
  /** A record was refused for good. */
  readonly quarantined: (from: MemberId | null, reason: string) => void
  /** The disk refused a batch, or accepts again (null). */
  readonly storage: (trouble: string | null) => void
}

interface EditTurn {
  readonly kind: 'edit'
  readonly edits: readonly Edit[]
  readonly meta: EditMeta
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

  constructor(options: IntentQueueOptions) {
    this.#options = options
  }

  /** One atomic change. @throws TuttiError; then nothing was changed. */
  edit(edits: readonly Edit[], meta: EditMeta): Promise<EditResult> {
    return new Promise((done, failed) => {
      this.#enqueue({ kind: 'edit', edits, meta, done, failed })
    })
  }

  /** Records of other peers. Resolves with the verdict as soon as they are judged, before the disk has them. */
  records(from: MemberId, records: readonly Uint8Array[]): Promise<GossipVerdict> {
    return new Promise((verdict) => {
      this.#enqueue({ kind: 'records', from, records, verdict })
    })
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running
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
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      await this.#process(batch)
    }
    this.#running = null
  }

  async #process(batch: readonly Turn[]): Promise<void> {
    const { replica, store } = this.#options
    const staged: Staged[] = []
    const drafted: { readonly turn: EditTurn; readonly staged: Staged | null }[] = []
    for (const turn of batch) {
      if (turn.kind === 'records') {
        staged.push(...this.#judge(turn))
        continue
      }
      try {
        const own = replica.draft(turn.edits, turn.meta)
        drafted.push({ turn, staged: own })
        if (own !== null) staged.push(own)
      } catch (thrown) {
        turn.failed(asTuttiError(thrown))
      }
    }
    try {
      if (staged.length > 0)
        await store.append(staged.map(({ record }) => ({ kind: 'intent', bytes: record })))
    } catch (thrown) {
      replica.abandon(this.#options.newActor())
      this.#options.storage(messageOf(thrown))
      for (const { turn } of drafted) turn.failed(asTuttiError(thrown))
      return
    }
    if (staged.length > 0) {
      const applied = replica.commit(staged)
      this.#options.storage(null)
      this.#options.applied(applied)
    }
    const { digest } = replica.view()
    for (const { turn, staged: own } of drafted) {
      if (own !== null) this.#options.publish(own.record)
      turn.done({ change: own?.hash ?? null, digest })
    }
  }

  #judge(turn: RecordsTurn): readonly Staged[] {
    const { staged, invalid } = this.#options.replica.judge(turn.records)
    for (const { author, reason } of invalid) this.#options.quarantined(author ?? turn.from, reason)
    turn.verdict(invalid.length > 0 ? 'reject' : staged.length > 0 ? 'accept' : 'ignore')
    return staged
  }
}

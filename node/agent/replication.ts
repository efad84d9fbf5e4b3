// The document on this peer: intent and status together, loaded from the disk, fed by gossip and anti-entropy, told on,
// and snapshotted. It introduces crdt's machines to the transport and the store; what the document says is not its concern.

import { AntiEntropy } from '../../crdt/anti-entropy.ts'
import type { EditCondition } from '../../crdt/condition.ts'
import type { Edit, EditMeta } from '../../crdt/edit.ts'
import type { Past } from '../../crdt/past.ts'
import { IntentReplica, type Staged } from '../../crdt/replica.ts'
import type { MemberStatus } from '../../crdt/schema/status.ts'
import type { View } from '../../crdt/schema/view.ts'
import { bothNews, type StatusNews } from '../../crdt/status-news.ts'
import { StatusMap } from '../../crdt/status-map.ts'
import { sharedReading } from '../../crdt/status-share.ts'
import { encodeSync, SYNC_FORMAT } from '../../crdt/sync-message.ts'
import type { Store } from '../../crdt/store.ts'
import { concatBytes } from '../../lib/bytes.ts'
import { messageOf } from '../../lib/errors.ts'
import type { ActorId, ChangeHash, ClusterId, MemberId } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import { compareStrings } from '../../lib/order.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { Signer } from '../../lib/signature.ts'
import type { Clock } from '../../lib/time.ts'
import type { GossipVerdict, Transport } from '../../net/transport.ts'
import type { EditResult } from '../ports.ts'
import type { Counters } from './counters.ts'
import { earlierWord, stewardshipBefore, unfulfilledBefore } from './earlier-word.ts'
import { IntentQueue } from './intent-queue.ts'
import { StatusFeed } from './status-feed.ts'

/** A snapshot is due when the log since the last one is this long: some 2,000 changes, 30 ms to load. */
const SNAPSHOT_BYTES = 1024 * 1024
/**
 * All logs of a cluster grow alike and come due at one edit; written then, snapshots cost tens of milliseconds just while
 * that edit travels. Each peer writes its own at some moment of this time.
 */
const SNAPSHOT_SPREAD_MS = 20_000

/** First byte of a gossiped message. */
const GOSSIP_INTENT = 1
const GOSSIP_STATUS = 2

const recordOf = (gossip: Uint8Array): Uint8Array => gossip.subarray(1)

export interface ReplicationOptions {
  readonly cluster: ClusterId
  readonly signer: Signer
  readonly incarnation: number
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  readonly store: Store
  readonly log: Log
  readonly counters: Counters
  readonly newActor: () => ActorId
  /** Intent changed. */
  readonly changed: () => void
  /** Others said something of themselves, or this peer did. */
  readonly heard: (news: StatusNews) => void
  readonly applied: (staged: readonly Staged[]) => void
  /** Everything that was applied is on this peer's disk. */
  readonly durable: () => void
  readonly quarantined: (from: MemberId | null, reason: string) => void
  readonly storage: (trouble: string | null) => void
  /** This peer and another hold the same document. */
  readonly inSync: () => void
}

export class Replication {
  readonly #options: ReplicationOptions
  readonly #intent: IntentReplica
  readonly #statuses: StatusMap
  readonly #queue: IntentQueue
  readonly #feed: StatusFeed
  readonly #sync: AntiEntropy
  /** Since when (wall time) instances of this peer were overdue when it last ran. */
  readonly unfulfilledBefore: ReadonlyMap<string, number>
  #snapshotting = false
  #cancelSnapshot: (() => void) | null = null
  #lastExchangeMs: number | null = null

  private constructor(
    options: ReplicationOptions,
    intent: IntentReplica,
    statuses: StatusMap,
    earlier: ReadonlyMap<string, number>,
  ) {
    const { store, clock, log, random, counters, newActor, applied, quarantined, storage, changed, heard } =
      options
    const writes = random.fork('writes')
    this.#options = options
    this.#intent = intent
    this.#statuses = statuses
    this.unfulfilledBefore = earlier
    this.#queue = new IntentQueue({
      replica: intent,
      store,
      clock,
      log,
      spread: () => writes.next(),
      newActor,
      publish: (record) => this.#publish(GOSSIP_INTENT, record),
      applied: (staged) => {
        statuses.retain(new Set(intent.view().members.map(({ id }) => id)))
        applied(staged)
        changed()
      },
      durable: () => {
        counters.add('storeAppends')
        options.durable()
        this.#snapshotWhenDue(writes.next())
      },
      quarantined: (from, reason) => {
        counters.add('recordsQuarantined')
        quarantined(from, reason)
      },
      storage: (trouble) => {
        if (trouble !== null) counters.add('storeFailures')
        storage(trouble)
      },
    })
    const spread = random.fork('status')
    this.#feed = new StatusFeed({
      map: statuses,
      store,
      clock,
      log,
      spread: () => spread.next(),
      members: () => intent.view().members.length,
      publish: (record, urgent) => {
        counters.add('statusDeltasOut')
        if (urgent) this.#publish(GOSSIP_STATUS, record)
        else this.#tellNeighbours(record)
        heard('more')
      },
    })
    this.#sync = new AntiEntropy({ self: options.signer.member, random: random.fork('sync') })
  }

  /** Loads what the disk holds. Damage is reported through the log and repaired by anti-entropy. */
  static async load(options: ReplicationOptions): Promise<Replication> {
    const { cluster, signer, incarnation, store, log, newActor } = options
    const { snapshot, frames, damage } = await store.load()
    if (damage !== null) log.log('warn', 'the log was damaged', { damage })
    const intentOf = (list: readonly { readonly kind: string; readonly bytes: Uint8Array }[]): Uint8Array[] =>
      list.filter(({ kind }) => kind === 'intent').map(({ bytes }) => bytes)
    const intent = IntentReplica.restore(
      { cluster, actor: newActor(), signer },
      {
        document: snapshot?.document ?? null,
        records: intentOf(snapshot?.frames ?? []),
        later: intentOf(frames),
      },
    )
    for (const problem of intent.problems) log.log('warn', 'not all of the disk could be used', { problem })
    const statuses = new StatusMap({ signer, incarnation })
    statuses.retain(new Set(intent.view().members.map(({ id }) => id)))
    for (const { kind, bytes } of [...(snapshot?.frames ?? []), ...frames]) {
      if (kind === 'status') statuses.ingest(bytes)
    }
    const kept = [...(snapshot?.frames ?? []), ...frames].filter(({ kind }) => kind === 'status')
    const word = earlierWord(
      signer.member,
      kept.map(({ bytes }) => bytes),
    )
    for (const [key, value] of stewardshipBefore(word)) statuses.set(key, value)
    return new Replication(options, intent, statuses, unfulfilledBefore(word))
  }

  view(): View {
    return this.#intent.view()
  }

  /** What the intent was, and who changed it. */
  get past(): Past {
    return this.#intent.past
  }

  statuses(): ReadonlyMap<MemberId, MemberStatus> {
    return this.#statuses.statuses()
  }

  /** What one member says of itself; null: nothing is known. */
  statusOf(member: MemberId): MemberStatus | null {
    return this.#statuses.statusOf(member)
  }

  /** Members that said something since this was last asked, sorted. For one caller. */
  takeChanged(): readonly MemberId[] {
    return this.#statuses.takeChanged()
  }

  /** Whether that change is in the document here. */
  holds(change: ChangeHash): boolean {
    return this.#intent.holds(change)
  }

  /** Equal exactly when two peers hold the same changes. */
  headsDigest(): string {
    return this.#intent.headsDigest()
  }

  /** Whether everything in the view is on this peer's disk. */
  get isDurable(): boolean {
    return this.#queue.isDurable
  }

  /** Rounds of anti-entropy begun, and exchanges that found a difference. */
  get syncCounts(): { readonly rounds: number; readonly differing: number } {
    return this.#sync.counts
  }

  edit(edits: readonly Edit[], meta: EditMeta, condition?: EditCondition): Promise<EditResult> {
    return this.#queue.edit(edits, meta, condition)
  }

  /** When another member last said that it holds the same, or sent what was missing; monotonic. */
  get lastExchangeMs(): number | null {
    return this.#lastExchangeMs
  }

  /** What the view would be after these edits; nothing is changed. @throws TuttiError as `edit` would. */
  preview(edits: readonly Edit[]): View {
    return this.#intent.preview(edits)
  }

  /** Sets (or, with null, deletes) a status entry of this peer. `urgent` entries leave at once. */
  say(key: string, value: Parameters<StatusMap['set']>[1], urgent: boolean): void {
    this.#feed.set(key, value)
    if (urgent) this.#feed.flush()
  }

  flush(): void {
    this.#feed.flush()
  }

  /** Raises this peer's incarnation above one at which it was accused, and restates everything it says. */
  refute(above: number): void {
    this.#statuses.refute(above)
    this.#feed.flush()
  }

  async gossip(from: MemberId, bytes: Uint8Array): Promise<GossipVerdict> {
    this.#options.counters.add('gossipIn')
    const record = sharedReading(bytes, recordOf)
    let verdict: GossipVerdict = 'reject'
    if (bytes[0] === GOSSIP_INTENT) verdict = await this.#queue.records(from, [record])
    else if (bytes[0] === GOSSIP_STATUS) verdict = this.#ingestStatus([record])
    if (verdict === 'reject') this.#options.counters.add('gossipRejected')
    return verdict
  }

  message(from: MemberId, bytes: Uint8Array): void {
    this.#perform(this.#sync.receive(from, bytes, this.#options.clock.now(), this.#syncState()))
  }

  connected(member: MemberId): void {
    this.#sync.connected(member, this.#options.clock.now())
    this.tick()
  }

  disconnected(member: MemberId): void {
    this.#sync.disconnected(member)
  }

  /** When `tick` has something to do; monotonic milliseconds. */
  get nextTickMs(): number {
    return this.#sync.nextTickMs(this.#options.clock.now())
  }

  tick(): void {
    this.#perform(this.#sync.tick(this.#options.clock.now(), this.#syncState()))
  }

  async stop(): Promise<void> {
    this.#cancelSnapshot?.()
    await this.#feed.stop()
    await this.#queue.stop()
  }

  #publish(kind: number, record: Uint8Array): void {
    // A larger record reaches the others by anti-entropy, which has no such bound.
    if (record.length + 1 > LIMITS.gossipBytesMax) return
    this.#options.counters.add('gossipOut')
    this.#options.transport.publish(concatBytes([Uint8Array.of(kind), record]))
  }

  /**
   * One hop to whoever is connected, once: gossip would bring every peer several copies and cost ten times as much, and
   * after an edit every peer of the cluster has such a word to say. Anti-entropy brings it to the rest within seconds.
   */
  #tellNeighbours(record: Uint8Array): void {
    const { transport } = this.#options
    const message = encodeSync({ kind: 'records', more: false, intent: [], status: [record] })
    for (const member of [...transport.connections()].sort(compareStrings))
      transport.send(member, 'sync', message)
  }

  #perform(effects: ReturnType<AntiEntropy['tick']>): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.#options.transport.send(effect.to, 'sync', effect.bytes)
          break
        case 'ingest':
          this.#lastExchangeMs = this.#options.clock.now()
          this.#options.counters.add('recordsIn', effect.intent.length)
          if (effect.intent.length > 0) void this.#queue.records(effect.from, effect.intent)
          this.#ingestStatus(effect.status)
          break
        case 'equal':
          this.#lastExchangeMs = this.#options.clock.now()
          this.#options.inSync()
          break
      }
    }
  }

  #ingestStatus(records: readonly Uint8Array[]): GossipVerdict {
    let verdict: GossipVerdict = 'ignore'
    let news: StatusNews = 'report'
    const before = this.#statuses.incarnation
    for (const record of records) {
      const { kind, reason, news: said, isAnew, kept } = this.#statuses.ingest(record)
      if (kind === 'invalid') {
        this.#options.quarantined(null, reason ?? 'a status record is malformed')
        verdict = 'reject'
      } else if (kind === 'new' || kind === 'gap') {
        if (verdict === 'ignore') verdict = 'accept'
        news = bothNews(news, said ?? 'more')
        if (kept !== undefined) this.#feed.keep(kept, isAnew)
      }
    }
    // Someone held a higher incarnation of this peer: it has risen above it and restates what it says.
    if (this.#statuses.pending && this.#statuses.incarnation !== before) this.#feed.flush()
    if (verdict === 'accept') this.#options.heard(news)
    return verdict
  }

  #syncState(): Parameters<AntiEntropy['tick']>[1] {
    const intent = this.#intent
    const statuses = this.#statuses
    return {
      headsDigest: () => intent.headsDigest(),
      vector: () => intent.vector(),
      missingFrom: (vector, bytesMax) => intent.missingFrom(vector, bytesMax),
      statusDigest: () => statuses.digest(),
      statusVector: () => statuses.vector(),
      listedVectorFor: (member) =>
        (statuses.statusOf(member)?.formats?.sync ?? 0) >= SYNC_FORMAT ? statuses.listedVector() : null,
      namedVector: (listed) => statuses.namedVector(listed),
      statusMissingFrom: (vector, bytesMax) => statuses.missingFrom(vector, bytesMax),
    }
  }

  #snapshotWhenDue(spread: number): void {
    const { store, clock } = this.#options
    if (this.#snapshotting || this.#cancelSnapshot !== null || store.appendedBytes < SNAPSHOT_BYTES) return
    this.#cancelSnapshot = clock.after(SNAPSHOT_SPREAD_MS * spread, () => {
      this.#cancelSnapshot = null
      void this.#takeSnapshot()
    })
  }

  async #takeSnapshot(): Promise<void> {
    const { store, log } = this.#options
    this.#snapshotting = true
    try {
      const { document, records } = this.#intent.snapshot()
      await store.writeSnapshot({
        document,
        frames: [
          ...records.map((bytes) => ({ kind: 'intent' as const, bytes })),
          ...this.#statuses.records().map((bytes) => ({ kind: 'status' as const, bytes })),
        ],
      })
      this.#feed.snapshotTaken()
    } catch (thrown) {
      log.log('warn', 'snapshot not written; the log keeps growing until one is', {
        reason: messageOf(thrown),
      })
    } finally {
      this.#snapshotting = false
    }
  }
}

// This peer's own status on its way out: sets entries, seals them into signed records and publishes them, at most one a
// second but for what is urgent (a readiness, an alert). Also keeps what others say durable, lazily, since status is
// repaired by anti-entropy and only a whole-cluster restart needs it from the disk; but where another one is reached, at
// once: a peer that comes back elsewhere after a crash finds the others by that, or nobody finds anybody.

import type { StatusMap } from '../../crdt/status-map.ts'
import type { Store } from '../../crdt/store.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Log } from '../../lib/log.ts'
import type { Json } from '../../lib/order.ts'
import type { Clock } from '../../lib/time.ts'

/** Coalescing: at most one unurgent delta in this time (DESIGN §3). */
const DELTA_INTERVAL_MS = 1000
/**
 * An unurgent delta waits this long for each member of the cluster, so that the burst of "I have that digest" after an
 * edit is spread: every delta costs milliseconds on every peer (facts of gossipsub), and small clusters hardly wait.
 */
const SPREAD_PER_MEMBER_MS = 20
/**
 * Beyond a hundred members the interval, and the spread with it, grows with them: each says less often what all hear, so
 * that a peer hears a hundred deltas a second at most, and of edits that follow one another many share one report.
 */
const INTERVAL_PER_MEMBER_MS = 10
/**
 * Others' records are written to disk this often, together, and up to twice as much later: what all peers heard at once they
 * must not all sync at once, when several share a disk. A whole cluster that is killed sooner forgets who held what.
 */
const DURABLE_INTERVAL_MS = 1000
const DURABLE_SPREAD_MS = 2000
/**
 * But for where others are reached: whoever has just come may be the only one who can be found again, should this peer be
 * killed next. Of many who come together so many share a sync that the disk has ten a second of them at most.
 */
const LOCATED_INTERVAL_MS = 100
/** Unwritten records of others beyond this are dropped from the log; the next snapshot has them. */
const UNWRITTEN_MAX = 4096

export interface StatusFeedOptions {
  readonly map: StatusMap
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** In [0, 1): where in the spread this peer's deltas fall. */
  readonly spread: () => number
  readonly members: () => number
  /** `urgent`: others wait for it. */
  readonly publish: (record: Uint8Array, urgent: boolean) => void
}

export class StatusFeed {
  readonly #options: StatusFeedOptions
  #cancelFlush: (() => void) | null = null
  #cancelDurable: (() => void) | null = null
  #lastFlushMs = -Infinity
  /** When the next write is due (infinity: none is), and when the last one began. */
  #durableAtMs = Infinity
  #lastWriteMs = -Infinity
  #unwritten: Uint8Array[] = []
  #deltas = 0
  #stopped = false

  constructor(options: StatusFeedOptions) {
    this.#options = options
  }

  get deltas(): number {
    return this.#deltas
  }

  /** Sets or deletes (null) an entry of this peer; equal values cost nothing. */
  set(key: string, value: Json): void {
    if (this.#options.map.set(key, value)) this.#schedule()
  }

  /** Sends what is pending at once. */
  flush(): void {
    this.#send(true)
  }

  #send(urgent: boolean): void {
    this.#cancelFlush?.()
    this.#cancelFlush = null
    const record = this.#options.map.seal()
    if (record === null) return
    this.#lastFlushMs = this.#options.clock.now()
    this.#deltas += 1
    this.#options.publish(record, urgent)
    this.keep(record)
  }

  /** Remembers a record for the disk. `atOnce`: it may say where a member is reached. */
  keep(record: Uint8Array, atOnce = false): void {
    if (this.#unwritten.length < UNWRITTEN_MAX) this.#unwritten.push(record)
    if (atOnce) this.#writeAt(this.#lastWriteMs + LOCATED_INTERVAL_MS)
    else this.#writeSoon()
  }

  /** A snapshot holds everything: nothing is left to append. */
  snapshotTaken(): void {
    this.#unwritten = []
  }

  /** Ends it, with what is known on the disk: the next start dials the addresses that are in it. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelFlush?.()
    this.#cancelDurable?.()
    this.#cancelFlush = null
    this.#cancelDurable = null
    if (this.#unwritten.length > 0) await this.#write()
  }

  #schedule(): void {
    if (this.#cancelFlush !== null) return
    const { clock, members, spread } = this.#options
    const count = members()
    const intervalMs = Math.max(DELTA_INTERVAL_MS, count * INTERVAL_PER_MEMBER_MS)
    const rest = intervalMs - (clock.now() - this.#lastFlushMs)
    const spreadMs = Math.min(intervalMs, count * SPREAD_PER_MEMBER_MS) * spread()
    this.#cancelFlush = clock.after(Math.max(rest, spreadMs), () => this.#send(false))
  }

  #writeSoon(): void {
    if (this.#durableAtMs < Infinity) return
    const { clock, spread } = this.#options
    this.#writeAt(clock.now() + DURABLE_INTERVAL_MS + DURABLE_SPREAD_MS * spread())
  }

  /** Writes then, or when it was to anyway, whichever is sooner. */
  #writeAt(atMs: number): void {
    if (this.#stopped || this.#durableAtMs <= atMs) return
    const { clock } = this.#options
    this.#cancelDurable?.()
    this.#durableAtMs = atMs
    this.#cancelDurable = clock.after(Math.max(0, atMs - clock.now()), () => {
      this.#durableAtMs = Infinity
      void this.#write()
    })
  }

  async #write(): Promise<void> {
    const records = this.#unwritten
    this.#unwritten = []
    this.#lastWriteMs = this.#options.clock.now()
    try {
      await this.#options.store.append(records.map((bytes) => ({ kind: 'status' as const, bytes })))
    } catch (thrown) {
      // Nothing acknowledged depends on it, but a restart finds the others by it: once the disk takes writes again.
      this.#unwritten = [...records, ...this.#unwritten].slice(0, UNWRITTEN_MAX)
      this.#writeSoon()
      this.#options.log.log('warn', 'status not written to disk', { reason: messageOf(thrown) })
    }
  }
}

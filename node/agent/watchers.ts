// Those who watch this peer, told once for all that happens in one breath: listeners of the face, the shells that follow
// the cluster, and the ring of events, which is filled with what lies between two snapshots. Deliberately absent: what
// changed; whoever is told looks for itself.

import type { Clock } from '../../lib/time.ts'
import type { AgentSnapshot } from '../ports.ts'
import { eventsBetween, type EventRing } from './event-ring.ts'

/** What comes within this time is one breath. */
const BREATH_MS = 1
/** Reports of others are shown to those who watch after this long: fifty pictures a second are more than anyone sees. */
const REPORTS_TOLD_MS = 20

export interface WatchersOptions {
  readonly clock: Clock
  readonly events: EventRing
  /** Called first: what the snapshot is about to say of the others is brought up to date. */
  readonly follow: () => void
  readonly snapshot: () => AgentSnapshot
  readonly afterwards: (snapshot: AgentSnapshot) => void
}

export class Watchers {
  readonly #options: WatchersOptions
  readonly #listeners = new Set<() => void>()
  #before: AgentSnapshot | null = null
  #cancelBreath: (() => void) | null = null
  #cancelReports: (() => void) | null = null
  #cancelFollow: (() => void) | null = null

  constructor(options: WatchersOptions) {
    this.#options = options
  }

  /** Calls after anything in the snapshot changed. Returns the unsubscriber. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Something changed: everyone is told. */
  changed(): void {
    this.#cancelBreath ??= this.#options.clock.after(BREATH_MS, () => this.#tellAll())
  }

  /** What others said is followed within a breath; nobody is told yet. */
  follow(): void {
    this.#cancelFollow ??= this.#options.clock.after(BREATH_MS, () => {
      this.#cancelFollow = null
      this.#options.follow()
    })
  }

  /** Others said how far they are, and nothing else: listeners are told, once for many. */
  reported(): void {
    if (this.#listeners.size === 0) return
    this.#cancelReports ??= this.#options.clock.after(REPORTS_TOLD_MS, () => {
      this.#cancelReports = null
      this.#tellListeners()
    })
  }

  stop(): void {
    this.#cancelBreath?.()
    this.#cancelReports?.()
    this.#cancelFollow?.()
  }

  #tellAll(): void {
    const { events, follow, snapshot, afterwards } = this.#options
    this.#cancelBreath = null
    follow()
    const now = snapshot()
    for (const event of eventsBetween(this.#before, now)) events.add(event)
    this.#before = now
    afterwards(now)
    this.#tellListeners()
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener()
  }
}

// What the executor holds: one entry an instance, with its facts, the action under way and what watches it; and who is told
// that facts changed. A fact is changed here and nowhere else, so that what is observed and announced cannot fall behind.

import type { InstanceId } from '../../lib/ids.ts'
import { sortedBy } from '../../lib/order.ts'
import type { Clock } from '../../lib/time.ts'
import type { HandsEvents } from '../ports.ts'
import type { Action, ArmAction, DisarmAction } from '../plan/action.ts'
import type { HeldLease } from '../plan/lease/terms.ts'
import type { LocalInstance } from '../plan/local.ts'
import type { Probing } from './prober.ts'

/** Actions of an instance that are performed one after the other. */
export type Queued = Exclude<Action, ArmAction | DisarmAction>

/** One instance in the executor's hands. */
export interface Held {
  facts: LocalInstance
  nonce: string
  /** The nonce that a successor of the present run would have. */
  heirNonce: string
  /** The whole environment that a prepared successor has. */
  heirEnvironment: Readonly<Record<string, string>>
  running: Queued | null
  /** What comes after it; the latest wins, since each plan is made from newer facts. */
  next: Queued | null
  probing: Probing | null
  /** Of its liveness. */
  guarding: Probing | null
  /** Of its slot, as of its last start or renewal; null: it needs none. */
  lease: HeldLease | null
  /** The stop under way is for this failure. */
  failure: string | null
  cancelForgiveness: () => void
  cancelLook: () => void
}

/** Cancels nothing. */
export const nothing = (): void => undefined

/** All held instances, and the announcement of what changed. */
export class HeldInstances {
  readonly #clock: Clock
  readonly #held = new Map<InstanceId, Held>()
  #observed: readonly LocalInstance[] | null = null
  #events: HandsEvents = { changed: nothing }
  #announcing: 'no' | 'calmly' | 'urgently' = 'no'
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** From now on changes are announced to it. */
  tell(events: HandsEvents): void {
    this.#events = events
  }

  /** Nothing is announced any more. */
  close(): void {
    this.#closed = true
  }

  all(): readonly Held[] {
    return [...this.#held.values()]
  }

  get(instance: InstanceId): Held | undefined {
    return this.#held.get(instance)
  }

  hold(facts: LocalInstance, nonce = '', heirNonce = ''): Held {
    const held: Held = {
      facts,
      nonce,
      heirNonce,
      heirEnvironment: {},
      running: null,
      next: null,
      probing: null,
      guarding: null,
      lease: null,
      failure: null,
      cancelForgiveness: nothing,
      cancelLook: nothing,
    }
    this.#held.set(facts.id, held)
    this.#observed = null
    return held
  }

  drop(instance: InstanceId): void {
    this.#held.delete(instance)
    this.#observed = null
  }

  /** Facts of all, by instance. */
  observe(): readonly LocalInstance[] {
    this.#observed ??= sortedBy(
      this.all().map((held) => held.facts),
      (facts) => facts.id,
    )
    return this.#observed
  }

  set(held: Held, change: Partial<LocalInstance>): void {
    held.facts = { ...held.facts, ...change }
    this.#observed = null
  }

  /** Tells the agent, once for all that happens in one turn. */
  announce(urgent: boolean): void {
    const scheduled = this.#announcing !== 'no'
    if (urgent || !scheduled) this.#announcing = urgent ? 'urgently' : 'calmly'
    if (scheduled) return
    this.#clock.after(0, () => {
      const wasUrgent = this.#announcing === 'urgently'
      this.#announcing = 'no'
      if (!this.#closed) this.#events.changed(wasUrgent)
    })
  }
}

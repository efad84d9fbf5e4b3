// The feed behind `GET /v1/watch`: one computation per change for all who watch, not more often than a person can see,
// and only while somebody watches. A slow watcher misses intermediate values, never the last one, so nothing is queued.

import type { WatchReply } from './api/contract-streams.ts'

export interface WatchFeedOptions {
  readonly compute: () => WatchReply
  /** Calls after anything changed; returns the unsubscriber. AgentPort.onChange. */
  readonly onChange: (listener: () => void) => () => void
  /** At most one computation in this time; a change after a quiet while is computed at once. @default by its cost */
  readonly intervalMs?: number
}

/** A hundred pictures a second at most: what follows a deploy is timed by scripts as well as seen by people. */
const INTERVAL_MIN_MS = 10
/** Watching may cost a twentieth of a core: the interval is so many times what the last computation took. */
const COST_FACTOR = 20

interface Current {
  readonly reply: WatchReply
  readonly text: string
}

export class WatchFeed {
  readonly #options: WatchFeedOptions
  readonly #watchers = new Set<() => void>()
  #current: Current | null = null
  #stopListening: (() => void) | null = null
  #timer: NodeJS.Timeout | null = null
  #renewedMs = Number.NEGATIVE_INFINITY
  #costMs = 0

  constructor(options: WatchFeedOptions) {
    this.#options = options
  }

  /** Watchers at the moment. */
  get watching(): number {
    return this.#watchers.size
  }

  /**
   * The present value at once, then each later one that differs from the one before it, as JSON. With `known`, nothing
   * is yielded before the view's digest is another. Ends when `signal` aborts.
   */
  async *follow(known: string | undefined, signal: AbortSignal): AsyncGenerator<string> {
    let wake: () => void = () => undefined
    const watcher = (): void => wake()
    this.#enter(watcher)
    signal.addEventListener('abort', watcher)
    let skipped = known
    let last = ''
    try {
      while (!signal.aborted) {
        const { reply, text } = (this.#current ??= this.#compute())
        if (reply.digest !== skipped && text !== last) {
          skipped = undefined
          last = text
          yield text
          continue
        }
        await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      signal.removeEventListener('abort', watcher)
      this.#leave(watcher)
    }
  }

  #compute(): Current {
    const fromMs = performance.now()
    const reply = this.#options.compute()
    const current = { reply, text: JSON.stringify(reply) }
    this.#costMs = performance.now() - fromMs
    return current
  }

  #intervalMs(): number {
    return this.#options.intervalMs ?? Math.max(INTERVAL_MIN_MS, COST_FACTOR * this.#costMs)
  }

  #enter(watcher: () => void): void {
    this.#watchers.add(watcher)
    this.#stopListening ??= this.#options.onChange(() => {
      const restMs = this.#renewedMs + this.#intervalMs() - performance.now()
      if (restMs <= 0 && this.#timer === null) this.#renew()
      else this.#timer ??= setTimeout(() => this.#renew(), restMs)
    })
  }

  #renew(): void {
    this.#timer = null
    this.#renewedMs = performance.now()
    this.#current = null
    for (const wake of this.#watchers) wake()
  }

  #leave(watcher: () => void): void {
    this.#watchers.delete(watcher)
    if (this.#watchers.size > 0) return
    this.#stopListening?.()
    this.#stopListening = null
    // Without a listener it would grow stale unnoticed.
    this.#current = null
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

// The feed behind `GET /v1/watch`: one computation per change for all who watch, not more often than a person can see,
// and only while somebody watches. A slow watcher misses intermediate values, never the last one, so nothing is queued.

import type { WatchReply } from './api/contract.ts'

export interface WatchFeedOptions {
  readonly compute: () => WatchReply
  /** Calls after anything changed; returns the unsubscriber. AgentPort.onChange. */
  readonly onChange: (listener: () => void) => () => void
  /** At most one computation in this time. @default 50 ms */
  readonly intervalMs?: number
}

/** Twenty pictures a second look live; at 200 members one costs some milliseconds. */
const INTERVAL_MS = 50

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
    const reply = this.#options.compute()
    return { reply, text: JSON.stringify(reply) }
  }

  #enter(watcher: () => void): void {
    this.#watchers.add(watcher)
    this.#stopListening ??= this.#options.onChange(() => {
      this.#timer ??= setTimeout(() => {
        this.#timer = null
        this.#current = null
        for (const wake of this.#watchers) wake()
      }, this.#options.intervalMs ?? INTERVAL_MS)
    })
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

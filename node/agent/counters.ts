// Counts of what the agent did, read when metrics are scraped. Plain numbers; no series, no labels.

import type { AgentCounters } from '../ports.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export class Counters {
  readonly #counts: Mutable<AgentCounters> = {
    passes: 0,
    passMsTotal: 0,
    passMsMax: 0,
    actions: 0,
    gossipIn: 0,
    gossipOut: 0,
    gossipRejected: 0,
    syncRounds: 0,
    syncDiffering: 0,
    recordsIn: 0,
    recordsQuarantined: 0,
    statusDeltasOut: 0,
    storeAppends: 0,
    storeFailures: 0,
  }

  add(name: keyof AgentCounters, amount = 1): void {
    this.#counts[name] += amount
  }

  pass(durationMs: number): void {
    this.#counts.passes += 1
    this.#counts.passMsTotal += durationMs
    this.#counts.passMsMax = Math.max(this.#counts.passMsMax, durationMs)
  }

  read(): AgentCounters {
    return { ...this.#counts }
  }
}

// What every route is given: the agent behind its port, the readings made of it, and the doors to what routes may not
// do themselves. Types and the reading only; server.ts builds it.

import type { Edit } from '../../../crdt/edit.ts'
import type { View } from '../../../crdt/schema/view.ts'
import type { Log } from '../../../lib/log.ts'
import type { Packages } from '../../package/store.ts'
import { place, type PlacementMemo } from '../../plan/placement.ts'
import type { AgentPort, AgentSnapshot, Exec, Output } from '../../ports.ts'
import { readingOf, type Reading } from '../replies/reading.ts'
import type { Doctor, Examiner } from '../doctor/doctor.ts'
import type { WatchFeed } from '../watch-feed.ts'
import type { JoinReply, JoinRequest } from './contract.ts'

/** Prometheus text of this peer; node/serve/metrics.ts is one. */
export interface MetricsText {
  readonly contentType: string
  text(): Promise<string>
}

export interface ApiOptions {
  readonly agent: AgentPort
  readonly output: Output
  /** Runs commands in this peer's own instances. */
  readonly exec: Exec
  /** Packages of this peer; null: it keeps none. @default null */
  readonly packages?: Packages | null
  /** The view as it would be after these edits, with no change made. @throws TuttiError as AgentPort.edit would. */
  readonly preview: (edits: readonly Edit[]) => View
  /** Joins this machine's peer to a cluster; resolves when it is admitted and in sync. @throws TuttiError. */
  readonly join: (request: JoinRequest) => Promise<JoinReply>
  readonly log: Log
  /** What callers over TCP must send; null: TCP is not served at all. Over the Unix socket, file permissions suffice. */
  readonly token: string | null
  readonly version: string
  /** Null: no `/metrics`. @default null */
  readonly metrics?: MetricsText | null
  /** Examines this machine for `/v1/doctor`; null: it cannot be examined. @default null */
  readonly examiner?: Examiner | null
  /** Why this peer is not ready to serve, for `/readyz`; null: it is. @default always ready */
  readonly ready?: () => string | null
}

export interface ApiContext extends Omit<ApiOptions, 'token' | 'examiner'> {
  readonly doctor: Doctor | null
  readonly reading: () => Reading
  /** What readings and forecasts of this API save each other. */
  readonly memo: PlacementMemo
  readonly watch: WatchFeed
  /** Aborts when the server closes: every stream ends with it. */
  readonly closing: AbortSignal
  readonly streams: StreamGate
}

/** Counts open streams, so that followers cannot use up the peer. */
export interface StreamGate {
  /** @throws TuttiError `busy` when too many are open. Returns what closes this one. */
  enter(): () => void
}

/** Makes readings, reusing the placement's memo from one to the next. */
export const reader =
  (snapshot: () => AgentSnapshot, memo: PlacementMemo): (() => Reading) =>
  () => {
    const now = snapshot()
    return readingOf(now, place(now, memo))
  }

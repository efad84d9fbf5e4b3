// One peer of the detectors' world: its detector, its own status, what it knows of the others', and whether its process
// lives, stands still or starves. It holds; the world and its network act.

import type { MemberId } from '../../../lib/ids.ts'
import type { DetectorOptions, ReportedAlert } from '../../../net/detector-options.ts'
import { FailureDetector } from '../../../net/failure-detector.ts'

/** A status, as far as detectors look at it. */
export interface Reported {
  readonly incarnation: number
  readonly seq: number
  readonly alerts: ReadonlyMap<string, ReportedAlert>
  readonly running: boolean
  readonly startedAt: number
}

export interface Peer {
  readonly id: MemberId
  detector: FailureDetector
  incarnation: number
  seq: number
  alerts: Map<string, ReportedAlert>
  running: boolean
  startedAt: number
  up: boolean
  frozen: boolean
  /** Longest stall of a starved one; 0: it has its core. */
  stallMaxMs: number
  /** What its kernel would have counted; it does not while the peer is frozen by a signal. */
  coreWaitMs: number
  readonly inbox: (() => void)[]
  readonly linked: Set<MemberId>
  readonly known: Map<MemberId, Reported>
  tickAtMs: number
}

export const newPeer = (id: MemberId, options: Partial<DetectorOptions>, nowMs: number): Peer => ({
  id,
  detector: new FailureDetector(id, options),
  incarnation: 1,
  seq: 0,
  alerts: new Map(),
  running: true,
  startedAt: nowMs,
  up: true,
  frozen: false,
  stallMaxMs: 0,
  coreWaitMs: 0,
  inbox: [],
  linked: new Set(),
  known: new Map(),
  tickAtMs: Number.POSITIVE_INFINITY,
})

export const reportOf = (peer: Peer): Reported => ({
  incarnation: peer.incarnation,
  seq: peer.seq,
  alerts: new Map(peer.alerts),
  running: peer.running,
  startedAt: peer.startedAt,
})

export const isAwake = (peer: Peer): boolean => peer.up && !peer.frozen

/** Runs something on a peer: later if it is frozen, never if it is down. */
export const runOn = (peer: Peer, run: () => void): void => {
  if (!peer.up) return
  if (peer.frozen) peer.inbox.push(() => runOn(peer, run))
  else run()
}

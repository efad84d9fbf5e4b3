// What a soak does to a fleet, drawn from a seed. Values only; stage.ts does it. A fault is undone by drawing it again: a peer
// that is down starts, one that is frozen goes on, one that is drained takes work again.

import { unreachable } from '../../lib/assert.ts'
import type { Random } from '../../lib/random.ts'

/** One thing that happens; peers are named by their number. */
export type Step =
  | { readonly kind: 'kill' | 'stop' | 'freeze'; readonly peer: number }
  /** All of them at once, as a loss of power does to peers; what they run goes on. */
  | { readonly kind: 'blackout' }
  | { readonly kind: 'split'; readonly peers: readonly number[] }
  | { readonly kind: 'one-way'; readonly from: number; readonly to: number }
  | { readonly kind: 'heal' }
  /** Of the living peers, and of what runs: where in the list, in [0, 1). */
  | { readonly kind: 'end-instance'; readonly at: number }
  | { readonly kind: 'deploy'; readonly by: number; readonly service: ServiceName }
  | { readonly kind: 'scale'; readonly by: number; readonly service: ServiceName; readonly replicas: number }
  | { readonly kind: 'drain'; readonly by: number; readonly peer: number }

export const SERVICES = ['web', 'api'] as const
export type ServiceName = (typeof SERVICES)[number]

/** Of every hundred steps. Partitions are drawn more often than they last, since the next one adds to them. */
const WEIGHTS: readonly (readonly [Step['kind'], number])[] = [
  ['kill', 13],
  ['blackout', 3],
  ['stop', 7],
  ['freeze', 10],
  ['split', 14],
  ['one-way', 7],
  ['heal', 8],
  ['end-instance', 12],
  ['deploy', 12],
  ['scale', 8],
  ['drain', 6],
]
const REPLICAS_MAX = 7
/** Long enough to hold a peer for dead and to move what it ran, and short enough for many in a round. */
const REST_AFTER_CUT_MS = 8000
const REST_MS = 1500

/** The next step among so many peers, and how long to wait after it. Without hosts of their own there are no partitions. */
export const drawStep = (
  random: Random,
  peers: number,
  partitions: boolean,
): { readonly step: Step; readonly restMs: number } => {
  const step = stepOf(drawKind(random), random, peers)
  const isCut = step.kind === 'split' || step.kind === 'one-way'
  if (isCut && !partitions) return drawStep(random, peers, partitions)
  return { step, restMs: random.next() * (isCut ? REST_AFTER_CUT_MS : REST_MS) }
}

const drawKind = (random: Random): Step['kind'] => {
  let left = random.below(WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0))
  for (const [kind, weight] of WEIGHTS) {
    if (left < weight) return kind
    left -= weight
  }
  return 'heal'
}

const stepOf = (kind: Step['kind'], random: Random, peers: number): Step => {
  const peer = random.below(peers)
  const other = (peer + 1 + random.below(peers - 1)) % peers
  const service = SERVICES[random.below(SERVICES.length)] ?? 'web'
  switch (kind) {
    case 'split':
      // A minority of two, or one alone.
      return { kind, peers: random.below(2) === 0 ? [peer] : [peer, other] }
    case 'one-way':
      return { kind, from: peer, to: other }
    case 'heal':
    case 'blackout':
      return { kind }
    case 'end-instance':
      return { kind, at: random.next() }
    case 'deploy':
      return { kind, by: peer, service }
    case 'scale':
      return { kind, by: peer, service, replicas: 1 + random.below(REPLICAS_MAX) }
    case 'drain':
      return { kind, by: peer, peer: other }
    case 'kill':
    case 'stop':
    case 'freeze':
      return { kind, peer }
    default:
      return unreachable(kind)
  }
}

// Races: what is asked and answered while one slot is being elected. Types, and the one formula that shares the slots of
// a service out over members; how a race is run is election.ts's business.

import type { SlotId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { Groups, Pool } from './electorate.ts'

/**
 * How far rules are bent for a slot. 0: not at all. 1: beyond the load bound. 2: also beyond an even spread over
 * members. 3: also beyond an even spread over the label. The operator's own word, the label, is given up last.
 */
export type Leniency = 0 | 1 | 2 | 3

/** What is asked while one slot is being elected. */
export interface Race {
  readonly slot: SlotId
  readonly service: ServiceView
  readonly hash: number
  readonly pool: Pool
  readonly keepers: readonly number[]
  readonly groups: Groups | null
  /** Members that stand for this service: open ones, and those that keep. */
  readonly candidates: number
  /** Slots of this service that one member may hold before the others have as many. */
  readonly memberShare: number
  readonly groupShare: number
}

/** What was answered. */
export interface Outcome {
  /** Place in the roster; -1: nobody. */
  readonly member: number
  readonly leniency: Leniency
  /** Members that stood when it was decided. */
  readonly candidates: number
  /** Place of the slot's home, which is the member itself unless the home cannot hold the slot now; -1: it has none. */
  readonly home: number
}

/** Services below this many slots spread over members as evenly as numbers allow: people count their replicas. */
const EVEN_SLOTS = 16
/** Further slots a member may take from that many on: with two, fewer than one choice in ten meets a full member. */
const EVEN_SLACK = 2

/**
 * Slots of one service that a member may hold once the next one is seated: those seated before, shared out evenly, and
 * one. Homes are elected by seat, so it depends on lower seats only, and scaling a service never moves what it had. A
 * perfect fit of many slots on as many members would move a chain of slots (its length grows with the logarithm of
 * their number) whenever a member joins; hence the slack for large services.
 */
export const memberShareOf = (seated: number, candidates: number): number =>
  Math.floor(seated / Math.max(candidates, 1)) + 1 + (seated < EVEN_SLOTS ? 0 : EVEN_SLACK)

/** The same for the groups of a spread, which is always even. */
export const groupShareOf = (seated: number, groups: Groups | null): number =>
  Math.floor(seated / Math.max(groups?.count ?? 1, 1)) + 1

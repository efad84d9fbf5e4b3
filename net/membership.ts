// The words of membership: what the failure detector tells the rest. Types only.

import type { MemberId } from '../lib/ids.ts'

/** `left`: it stopped gracefully and said so, its instances are known to be gone. */
export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

export interface MemberLiveness {
  readonly id: MemberId
  readonly state: MemberState
  /** Monotonic milliseconds on this peer's clock since when it is in this state. */
  readonly sinceMs: number
  /** It was lost without a close: power, cable, freeze. */
  readonly silent: boolean
}

export interface Membership {
  /** Every admitted member, self included (always alive), sorted by id. */
  readonly members: readonly MemberLiveness[]
  /** Until when this peer takes nothing over (S16); null: not braked. Monotonic milliseconds. */
  readonly brakedUntilMs: number | null
}

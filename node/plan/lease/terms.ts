// The terms of a lease: how long it is, how much of it counts, and the arithmetic of voters. Every safety argument of
// quorum slots (S9, docs/adr/0018-leases.md) rests on the numbers of this file and on nothing else about time.

import type { VoterSet } from '../../../crdt/schema/lease.ts'

/**
 * How long a voter keeps a promise, on its own monotonic clock. A machine that dies is replaced after this long, and a
 * holder that is cut off stops within it; each third costs every voter an answer, and all that fall into
 * one second together one write to its disk.
 */
export const LEASE_MS = 9000

/**
 * How far the rate of a clock may be from the truth, in hundredths. A quartz drifts 0.01 %, and NTP slews by at most
 * 0.05 % (adjtimex(2)); twenty times that covers virtual machines whose hypervisor corrects them.
 */
export const RATE_ERROR_PERCENT = 1

/**
 * From the watchdog's deadline to the last process of the instance being gone: half a second between two looks at the
 * clock (watchdog.sh), the kill itself, and room for a busy machine.
 */
export const KILL_MS = 1000

/**
 * How long a holder may let its process live, on its own clock, counted from before it asked. In the worst case the
 * voters' clocks are fast and its own is slow, each by the bound.
 */
export const HOLD_MS =
  Math.floor((LEASE_MS * (100 - RATE_ERROR_PERCENT)) / (100 + RATE_ERROR_PERCENT)) - KILL_MS

/** A renewal is due at a third: one may be lost, and the next is still in time. */
export const RENEW_MS = LEASE_MS / 3

/** Before the watchdog does it, a process whose lease is not renewed is stopped as its operator wishes, for this long. */
export const STOP_AHEAD_MS = LEASE_MS / 3

/** A question that is not answered by then counts as lost: well within a third. */
export const ANSWER_MS = 1500

/** Tokens of one epoch; those of the next begin above. An epoch that lasts a century takes fewer. */
export const TOKENS_PER_EPOCH = 2 ** 32

/** The time on the wall, in seconds, is a second line of defence for tokens; this far (the year 2096) it is trusted. */
export const WALL_TOKEN_MAX = 4_000_000_000

/**
 * Voters that replace lost ones begin so many epochs above them: more than a voter misses by changes alone, each of which
 * takes two. Whoever crosses as many knows that majorities before and after need not meet.
 */
export const REPLACED_EPOCHS = 1000

const HOUR_MS = 3_600_000

/**
 * The epoch of voters that replace lost ones, `known` being the last that anybody has heard of; null: nobody has heard of
 * any. Also by the hour, so that it is above epochs that are forgotten.
 */
export const replacedEpoch = (known: VoterSet | null, wall: number): number => {
  const byClock = Math.floor(Math.min(Math.max(0, wall), WALL_TOKEN_MAX * 1000) / HOUR_MS)
  return Math.max((known?.epoch ?? 0) + REPLACED_EPOCHS, byClock)
}

/** More than half. */
export const majorityOf = (count: number): number => Math.floor(count / 2) + 1

const countIn = (members: readonly string[], who: ReadonlySet<string>): number =>
  members.filter((member) => who.has(member)).length

/** Whether more than half of the members are among these. */
export const isMajority = (members: readonly string[], who: ReadonlySet<string>): boolean =>
  countIn(members, who) >= majorityOf(members.length)

/** Whether these are a majority of the voters; while the voters change, of both the former and the present ones. */
export const isQuorum = ({ former, present }: VoterSet, who: ReadonlySet<string>): boolean =>
  isMajority(present, who) && (former === null || isMajority(former, who))

/** Asked of the same sets all the time, which never change. */
const everybody = new WeakMap<VoterSet, readonly string[]>()

/** Everybody who votes, sorted. */
export const votersOf = (voters: VoterSet): readonly string[] => {
  const known = everybody.get(voters)
  if (known !== undefined) return known
  const all = [...new Set([...(voters.former ?? []), ...voters.present])].sort()
  everybody.set(voters, all)
  return all
}

/**
 * Whether these voters are lost: so few of them are members still that they can decide nothing, and never will. Only then
 * may others take their place, since no majority of them can promise anything any more.
 */
export const areLost = (voters: VoterSet, members: readonly string[]): boolean =>
  !isQuorum(voters, new Set(members))

/** What is missing, in words; null: a majority is there. */
export const shortageOf = ({ former, present }: VoterSet, who: ReadonlySet<string>): string | null => {
  const lacking = [
    { members: present, kind: 'voters' },
    { members: former ?? [], kind: 'former voters' },
  ].find(({ members }) => members.length > 0 && !isMajority(members, who))
  if (lacking === undefined) return null
  const { members, kind } = lacking
  const here = countIn(members, who)
  return `needs ${majorityOf(members.length)} of ${members.length} ${kind}; ${here === 0 ? 'none' : `only ${here}`} is in sight`
}

/** A lease as its holder has it. */
export interface HeldLease {
  /** Greater than every token that was granted for the slot before. */
  readonly token: number
  /** Monotonic milliseconds of this peer: by then the watchdog ends what runs under it. */
  readonly untilMs: number
}

/** How a slot stands with this peer's lease of it. `fresh`: no run here was given that token or a higher one. */
export type LeaseStanding = (HeldLease & { readonly kind: 'held'; readonly fresh: boolean }) | LeaseLack

export interface LeaseLack {
  readonly kind: 'none'
  /** Why not, in words that stay the same while it lasts. */
  readonly reason: string
}

/** A slot that this peer wants to hold, with the highest token that a run of it here was given. */
export interface LeaseWish {
  readonly slot: string
  /** The next run needs a higher one. */
  readonly above: number
  /** A run of it lives here, or is about to. */
  readonly running: boolean
  /** This long before the end of a lease that was not renewed, milliseconds, whatever lives under it is to be stopped. */
  readonly stopAheadMs: number
}

/** What a voter has promised, for whoever looks at it. */
export interface LeasePromise {
  readonly slot: string
  readonly holder: string
  readonly token: number
  /** Of the promise, on this voter's clock. */
  readonly leftMs: number
}

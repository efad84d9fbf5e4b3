// Who is dead, given who accuses whom: a pure function of the alerts, so that peers with the same statuses agree. A
// member is dead once enough of its living observers accuse it, and dead accusers do not count, so the question is
// circular. It is answered as a greatest fixed point, then a least one: suppose first that every accused member is
// dead and clear those whose accusation the remaining ones do not carry; then add whoever the cleared ones convict.
// Starting from the other end would never convict two members that crashed together, each waiting for the other's vote.
//
// Invariants: self is never dead; nobody is dead without an accuser; one accuser never suffices while a third member
// lives (of that member's own observers or not); a dead member stays dead when its accusers die after it, and when others
// come back that cannot know of it yet.

import type { MemberId } from '../lib/ids.ts'

/** More accusers than three add delay, not certainty. */
const ACCUSERS_MAX = 3

export interface Indictment {
  readonly self: MemberId
  /** Admitted members that have not left. */
  readonly population: ReadonlySet<MemberId>
  /** By accused member: its accusers in the population whose alerts are not void. */
  readonly accusers: ReadonlyMap<MemberId, ReadonlySet<MemberId>>
  /** The appointed observers of a member; for one that is dead already, those at its death. */
  readonly observersOf: (member: MemberId) => readonly MemberId[]
  /** Dead until now. */
  readonly dead: ReadonlySet<MemberId>
  /** Came back a moment ago: that they accuse nobody yet clears nobody who is dead. @default nobody */
  readonly undecided?: ReadonlySet<MemberId>
}

/** How many of `voters` observers must accuse: a majority, at most three. */
export const accusersNeeded = (voters: number): number => Math.min(ACCUSERS_MAX, Math.floor(voters / 2) + 1)

/** The members that are dead for this peer. */
export const convict = (indictment: Indictment): ReadonlySet<MemberId> => {
  const accused = [...indictment.accusers.keys()].filter(
    (member) => member !== indictment.self && indictment.population.has(member),
  )
  let dead = new Set(accused)
  for (;;) {
    const supposed = dead
    dead = new Set([...supposed].filter((member) => convicted(indictment, member, supposed)))
    if (dead.size === supposed.size) break
  }
  for (;;) {
    const before = dead
    const more = accused.filter((member) => !before.has(member) && convicted(indictment, member, before))
    if (more.length === 0) return dead
    dead = new Set([...before, ...more])
  }
}

const convicted = (indictment: Indictment, member: MemberId, supposed: ReadonlySet<MemberId>): boolean => {
  const { population, dead, undecided } = indictment
  const accusers = indictment.accusers.get(member) ?? new Set<MemberId>()
  // Its accusers' own deaths do not bring a dead member back; its retracted alerts and its incarnation do.
  const isDead = dead.has(member)
  const lives = (other: MemberId): boolean =>
    population.has(other) && !supposed.has(other) && !(isDead && undecided?.has(other) === true)
  const votes = isDead ? [...accusers] : [...accusers].filter(lives)
  const voters = new Set([...indictment.observersOf(member).filter(lives), ...votes])
  voters.delete(member)
  let living = 0
  for (const other of population) if (other !== member && lives(other)) living += 1
  const needed = Math.max(accusersNeeded(voters.size), Math.min(2, living))
  return votes.length >= needed
}

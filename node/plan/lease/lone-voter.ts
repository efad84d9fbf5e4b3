// The doubt of a voter that is the only one. Its own word is a majority, so nobody contradicts one whose disk is an old one
// put back, from before others came to vote with it: it would run slots beside theirs, under the tokens of that time. So
// after a start a set of one counts only when a majority of the operators that the document names has answered. Whoever
// knows later voters says so in the answer. Voters of a larger set need no doubt: they have to ask the others anyway.

import type { VoterSet } from '../../../crdt/schema/lease.ts'
import { isMajority, LEASE_MS, votersOf } from './terms.ts'

export class LoneVoter {
  readonly #self: string
  readonly #startedMs: number
  readonly #heard: Set<string>
  #isSure = false

  /** `startedMs`: now, monotonic. */
  constructor(self: string, startedMs: number) {
    this.#self = self
    this.#startedMs = startedMs
    this.#heard = new Set([self])
  }

  /** Its voters are of this start, and from no disk. */
  founded(): void {
    this.#isSure = true
  }

  /** That operator has answered, with the voters that it knows. */
  heard(from: string): void {
    if (!this.#isSure) this.#heard.add(from)
  }

  /**
   * Whether these voters may have been followed by others. `operators`: the admitted ones as far as the document is here, which an
   * old disk's is not at once: what is not in doubt when a start's first nine seconds are over never is again.
   */
  isInDoubt(voters: VoterSet | null, operators: readonly string[], nowMs: number): boolean {
    if (this.#isSure || voters === null) return false
    const [first, ...others] = votersOf(voters)
    const isAlone = first === this.#self && others.length === 0
    const isInDoubt = isAlone && !isMajority(operators, this.#heard)
    if (!isInDoubt && nowMs - this.#startedMs >= LEASE_MS) this.#isSure = true
    return isInDoubt
  }
}

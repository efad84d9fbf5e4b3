// Whose entry differs between two maps by member, where one owner made both and wrote down what it changed in between. Of a
// thousand members a few say something new from one pass to the next, and whoever remembers an earlier map need not look at
// the rest. It only saves work: of maps that nobody marked it knows nothing, and then all entries are to be compared.

import type { MemberId } from './ids.ts'

/** Changes remembered: beyond this all are looked at, which costs little more. */
const CHANGES_MAX = 2048

type ByMember = ReadonlyMap<MemberId, unknown>

interface Mark {
  readonly log: MemberChanges
  /** How many changes came before. */
  readonly at: number
}

const marks = new WeakMap<ByMember, Mark>()

/** An owner's account of its changes, in their order. */
export class MemberChanges {
  #recent: MemberId[] = []
  /** Changes before those. */
  #forgotten = 0

  note(member: MemberId): void {
    this.#recent.push(member)
    if (this.#recent.length <= CHANGES_MAX) return
    this.#recent = this.#recent.slice(CHANGES_MAX / 2)
    this.#forgotten += CHANGES_MAX / 2
  }

  /** That map has all that was noted so far, and never changes. */
  mark(map: ByMember): void {
    marks.set(map, { log: this, at: this.#count })
  }

  /** Null: not all of them are remembered. */
  between(from: number, to: number): readonly MemberId[] | null {
    return from < this.#forgotten ? null : this.#recent.slice(from - this.#forgotten, to - this.#forgotten)
  }

  get #count(): number {
    return this.#forgotten + this.#recent.length
  }
}

/** Members whose entries may differ, some more than once; null: perhaps all. */
export const changedMembers = (earlier: ByMember, later: ByMember): readonly MemberId[] | null => {
  if (earlier === later) return []
  const [from, to] = [marks.get(earlier), marks.get(later)]
  if (from === undefined || from.log !== to?.log || from.at > to.at) return null
  return from.log.between(from.at, to.at)
}

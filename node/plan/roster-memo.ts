// The roster of the last pass, for as long as nothing in it could be another: most passes are about instances, and of a
// thousand members each would be written down anew. It only saves work; eligibility.ts makes the roster.

import { changedMembers } from '../../lib/changed-members.ts'
import type { MemberId } from '../../lib/ids.ts'
import { rosterOf, type RosterMember } from './eligibility.ts'
import type { PlanInput } from './plan.ts'

/** What a roster was made from, by identity. What members hold is part of it only where one is cordoned or dead. */
interface Source {
  readonly members: PlanInput['view']['members']
  readonly liveness: PlanInput['membership']['members']
  /** Their facts and what they can confine. */
  readonly statuses: PlanInput['statuses']
}

export class RosterMemo {
  #source: Source | null = null
  #roster: readonly RosterMember[] = []
  /** What members hold is no part of it. */
  #isSure = false

  /** As `rosterOf`; the same array until something in it may have changed. */
  of(input: PlanInput): readonly RosterMember[] {
    const { view, membership, statuses } = input
    if (this.#source === null || !isStill(this.#source, input)) {
      this.#roster = rosterOf(input)
      this.#isSure = this.#roster.every(({ cordoned, state }) => !cordoned && state !== 'dead')
    }
    this.#source = this.#isSure ? { members: view.members, liveness: membership.members, statuses } : null
    return this.#roster
  }
}

const isStill = ({ members, liveness, statuses }: Source, now: PlanInput): boolean => {
  if (members !== now.view.members || liveness !== now.membership.members) return false
  const isSame = (id: MemberId): boolean => {
    const [before, after] = [statuses.get(id), now.statuses.get(id)]
    return before?.facts === after?.facts && before?.confinement === after?.confinement
  }
  const changed = changedMembers(statuses, now.statuses)
  return changed === null ? members.every(({ id }) => isSame(id)) : changed.every(isSame)
}

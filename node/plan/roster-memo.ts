// The roster of the last pass, for as long as nothing in it could be another: most passes are about instances, and of a
// thousand members each would be written down anew. It only saves work; eligibility.ts makes the roster.

import type { ConfinementFacts, PeerFacts } from '../../crdt/schema/status.ts'
import { rosterOf, type RosterMember } from './eligibility.ts'
import type { PlanInput } from './plan.ts'

/** What a roster was made from, by identity. What members hold is part of it only where one is cordoned or dead. */
interface Source {
  readonly members: PlanInput['view']['members']
  readonly liveness: PlanInput['membership']['members']
  readonly facts: readonly (PeerFacts | null | undefined)[]
  readonly confinement: readonly (ConfinementFacts | undefined)[]
}

export class RosterMemo {
  #source: Source | null = null
  #roster: readonly RosterMember[] = []

  /** As `rosterOf`; the same array until something in it may have changed. */
  of(input: PlanInput): readonly RosterMember[] {
    if (this.#source !== null && isStill(this.#source, input)) return this.#roster
    this.#roster = rosterOf(input)
    this.#source = this.#roster.some(({ cordoned, state }) => cordoned || state === 'dead')
      ? null
      : sourceOf(input)
    return this.#roster
  }
}

const sourceOf = ({ view, membership, statuses }: PlanInput): Source => {
  const said = view.members.map(({ id }) => statuses.get(id))
  return {
    members: view.members,
    liveness: membership.members,
    facts: said.map((status) => status?.facts),
    confinement: said.map((status) => status?.confinement),
  }
}

const isStill = (source: Source, { view, membership, statuses }: PlanInput): boolean =>
  source.members === view.members &&
  source.liveness === membership.members &&
  view.members.every(({ id }, at) => {
    const status = statuses.get(id)
    return status?.facts === source.facts[at] && status?.confinement === source.confinement[at]
  })

// What stewards say of rollouts, as every other peer reads it: the gate of a slot that is to change its release. Any
// present member's word opens it, since whoever was steward may say so, and any word that holds it closes it (S8).

import { sortedBy } from '../../../lib/order.ts'
import type { MemberId, ServiceId, SlotId } from '../../../lib/ids.ts'
import type { RolloutStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import type { PlanInput, SlotPlacement } from '../plan.ts'
import type { Sightings } from '../sightings.ts'
import { isBlueGreen, isStewarded } from './policy.ts'

/** A word without the wall time, which the shell adds. */
export type RolloutWord = Omit<RolloutStatus, 'since'>

export interface SaidWord {
  readonly member: MemberId
  readonly word: RolloutWord
}

/** What everybody has said of a service's rollouts, present or not, in order of their ids. */
export const wordsOf = (
  { view, statuses }: Pick<PlanInput, 'view' | 'statuses'>,
  service: ServiceId,
): readonly SaidWord[] =>
  sortedBy(
    view.members.flatMap(({ id: member }) => {
      const word = statuses.get(member)?.rollouts?.get(service)
      return word === undefined ? [] : [{ member, word }]
    }),
    ({ member }) => member,
  )

/** A word that lets no further slot begin. Where nothing earlier is known to be good, nothing is gained by that. */
const holds = ({ phase, good }: RolloutWord): boolean =>
  phase === 'paused' || (phase === 'failed' && good !== null)

/** Why a slot waits that no steward has spoken of yet. */
const UNJUDGED = 'waits for the word of the steward of its service'

const WAITS_FOR_WAVE = 'waits for its wave'

/** Whether a slot waits for a steward's word only: no reason for that steward. */
export const isUnopened = (reason: string): boolean =>
  reason === UNJUDGED || reason.startsWith(`${WAITS_FOR_WAVE}:`)

const isSwitched = (words: readonly SaidWord[]): boolean =>
  words.some(({ word }) => word.phase === 'rolling' || word.phase === 'done')

/** The same from statuses alone, for those who route. */
export const holdsSwitch = (
  input: Pick<PlanInput, 'view' | 'statuses'>,
  service: ServiceView,
  isPresent: (member: MemberId) => boolean,
): boolean =>
  isBlueGreen(service) &&
  !isSwitched(
    wordsOf(input, service.id).filter(
      ({ member, word }) => word.release === service.release && isPresent(member),
    ),
  )

export class RolloutWords {
  readonly #input: Pick<PlanInput, 'self' | 'view' | 'statuses'>
  readonly #sightings: Pick<Sightings, 'isPresent' | 'nameOf'>
  readonly #placements: ReadonlyMap<SlotId, SlotPlacement>
  #seats: ReadonlyMap<SlotId, number> | null = null
  /** This pass's own words, which its status does not have yet. */
  readonly #own: ReadonlyMap<ServiceId, RolloutWord>

  constructor(
    input: PlanInput,
    placements: ReadonlyMap<SlotId, SlotPlacement>,
    sightings: Sightings,
    own: ReadonlyMap<ServiceId, RolloutWord>,
  ) {
    this.#input = input
    this.#sightings = sightings
    this.#own = own
    this.#placements = placements
  }

  /** Why a slot may not begin its run at the wanted release yet; null: it may. */
  gate(service: ServiceView, slot: SlotId): string | null {
    if (!isStewarded(service)) return null
    const rejection = service.rejected?.[service.release]
    if (rejection !== undefined) return `its release was rejected: ${rejection.reason}`
    const words = this.#present(service)
    const holding = words.find(({ word }) => holds(word))
    if (holding !== undefined) return `the rollout is ${holding.word.phase}: ${holding.word.reason}`
    this.#seats ??= seatsOf(this.#placements)
    const seat = this.#seats.get(slot) ?? Infinity
    if (words.some(({ word }) => word.phase === 'done' || word.open > seat)) return null
    const [first] = words
    if (first === undefined) return UNJUDGED
    // What it waits for in full is one status and not one for each slot.
    const by = this.#sightings.nameOf(first.member)
    return `${WAITS_FOR_WAVE}: the rollout is ${first.word.phase}, says ${by}; see tutti rollout status ${service.id}`
  }

  /** Whether the rollout waits for an operator: it is paused, or has failed. */
  isHeld(service: ServiceView): boolean {
    return this.#present(service).some(({ word }) => word.phase === 'paused' || word.phase === 'failed')
  }

  /** Whether somebody looks closely at the instances of the wanted release. */
  isJudged(service: ServiceView): boolean {
    return isStewarded(service) && !this.#present(service).some(({ word }) => word.phase === 'done')
  }

  /** Whether the old releases of a blue-green service still serve alone. */
  holdsSwitch(service: ServiceView): boolean {
    return isBlueGreen(service) && !isSwitched(this.#present(service))
  }

  #present(service: ServiceView): readonly SaidWord[] {
    const own = this.#own.get(service.id)
    const said = wordsOf(this.#input, service.id).filter(
      ({ member }) => member !== this.#input.self && this.#sightings.isPresent(member),
    )
    const all = own === undefined ? said : [...said, { member: this.#input.self, word: own }]
    return all.filter(({ word }) => word.release === service.release)
  }
}

/** Of each slot its place among those of its service. */
const seatsOf = (placements: ReadonlyMap<SlotId, SlotPlacement>): ReadonlyMap<SlotId, number> => {
  const seats = new Map<SlotId, number>()
  const counts = new Map<ServiceId, number>()
  for (const { slot, service } of placements.values()) {
    const seat = counts.get(service) ?? 0
    counts.set(service, seat + 1)
    seats.set(slot, seat)
  }
  return seats
}

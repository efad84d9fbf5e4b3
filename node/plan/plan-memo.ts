// What one pass leaves for the next, so that of a thousand members only those are looked at that say something new. It only
// saves work, whatever it has seen. Belongs to one caller; never shared between clusters.

import type { SlotId } from '../../lib/ids.ts'
import { PlacementMemo } from './placement.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'
import { SightingsMemo } from './sightings-memo.ts'
import { presentMembers } from './steward.ts'

/** Slots that nobody can hold, or whose member is not here, with what they follow from. */
interface Away {
  readonly placements: ReadonlyMap<SlotId, SlotPlacement>
  readonly liveness: PlanInput['membership']['members']
  readonly members: PlanInput['view']['members']
  readonly slots: readonly SlotPlacement[]
}

export class PlanMemo {
  readonly placement = new PlacementMemo()
  readonly sightings = new SightingsMemo()
  #away: Away | null = null

  /** Placements without a member that is present, in their order. */
  away(
    { view: { members }, membership }: PlanInput,
    placements: ReadonlyMap<SlotId, SlotPlacement>,
  ): readonly SlotPlacement[] {
    const { members: liveness } = membership
    const known = this.#away
    if (known?.placements === placements && known.liveness === liveness && known.members === members)
      return known.slots
    const here = new Set(presentMembers({ view: { members }, membership }))
    const slots = [...placements.values()].filter(({ member }) => member === null || !here.has(member))
    this.#away = { placements, liveness, members, slots }
    return slots
  }
}

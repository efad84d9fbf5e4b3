// Slots: the numbered seats of a service. Replicated services have seats 0 to replicas-1; global ones have a seat per
// member that may hold one, named after it; a stopped service has none. Where a seat is placed is placement.ts's answer.

import { slotIdOf, type SlotId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'

/**
 * The slots of a service in canonical order: by number, or by member name.
 * @param names of the members that may hold a slot of it, sorted; only global services ask.
 */
export const slotsOf = (service: ServiceView, names: readonly string[]): readonly SlotId[] => {
  if (service.stopped) return []
  if (service.mode === 'global') return names.map((name) => slotIdOf(service.id, name))
  return Array.from({ length: service.replicas }, (_, seat) => slotIdOf(service.id, seat))
}

/** How many slots a service wants: `eligible` is the number of members that may hold one. */
export const desiredOf = (service: ServiceView, eligible: number): number => {
  if (service.stopped) return 0
  return service.mode === 'global' ? eligible : service.replicas
}

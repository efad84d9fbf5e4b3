// Packages, as a plan sees them: which ones this peer needs, and whether a start has to wait for one. A package is needed from
// the moment a slot is placed here, long before the slot's turn, so that a rollout does not wait for the network slot by slot.

import type { PackageDigest, ServiceId, SlotId } from '../../lib/ids.ts'
import { compareStrings } from '../../lib/order.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { PlanInput, SlotPlacement } from './plan.ts'

/** What instances here run from, and slots placed here will; `more` besides. Sorted. */
export const packagesHere = (
  { self, local }: Pick<PlanInput, 'self' | 'local'>,
  placements: ReadonlyMap<SlotId, SlotPlacement>,
  services: ReadonlyMap<ServiceId, ServiceView>,
  more: Iterable<PackageDigest> = [],
): readonly PackageDigest[] => {
  const found = new Set<PackageDigest>(more)
  const note = (digest: PackageDigest | undefined): void => {
    if (digest !== undefined) found.add(digest)
  }
  for (const { definition } of local) note(definition.package)
  for (const { member, service } of placements.values())
    if (member === self) note(services.get(service)?.definition.package)
  return [...found].toSorted(compareStrings)
}

/** Closed while what the service runs from is not here, ready to run; null: open. */
export const packageGate = (
  { packages }: Pick<PlanInput, 'packages'>,
  { definition }: Pick<ServiceView, 'definition'>,
): string | null => {
  if (packages === undefined || definition.package === undefined) return null
  const state = packages.get(definition.package)
  if (state === undefined) return 'fetches its package'
  return state.kind === 'ready' ? null : state.reason
}

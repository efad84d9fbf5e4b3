// L2, as it goes: in a cluster that has been calm for longer than any start, every wanted slot runs and is well on some
// machine, or a peer reports it as unfulfilled. What must hold at rest besides is verdict.ts's to say.

import type { SlotId } from '../../lib/ids.ts'
import { slotsOf } from '../../node/plan/slots.ts'
import type { Checker } from './checker.ts'

/** A redial after a cut, agreement, and the ten seconds after which a slot is overdue, with what its probe needs. */
const CALM_MS = 60_000

export const fulfilment = (): Checker => ({
  invariant: 'L2',
  look: ({ calmMs, world }) => {
    if (calmMs < CALM_MS) return []
    const snapshots = world.snapshots()
    const [first] = snapshots
    if (first === undefined || snapshots.some(({ view }) => view.digest !== first.view.digest)) return []
    const well = new Set<SlotId>(
      world.present().flatMap(({ processes }) =>
        processes
          .processes()
          // A program that fails or ends by itself may have been well a moment ago.
          .filter(
            ({ record, script }) =>
              processes.isWell(record.instance) || script.unwell !== null || script.exit !== null,
          )
          .map(({ record }) => record.slot),
      ),
    )
    const reported = new Set<SlotId>(
      snapshots.flatMap(({ plan }) => (plan?.unfulfilled ?? []).map(({ slot }) => slot)),
    )
    const names = first.view.members.filter(({ draining }) => !draining).map(({ name }) => name)
    return first.view.services
      .filter(({ stopped, mode }) => !stopped && mode === 'replicated')
      .flatMap((service) => slotsOf(service, names.sort()))
      .filter((slot) => !well.has(slot) && !reported.has(slot))
      .map(
        (slot) => `${slot} is not well anywhere after ${CALM_MS / 1000} calm seconds, and nobody reports it`,
      )
  },
})

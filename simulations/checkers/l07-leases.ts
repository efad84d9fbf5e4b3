// L7: without a peer that renews its lease, a process of a quorum slot ends within lease and kill time; and at rest, with
// everybody in sight, every slot that a quorum service wants runs, and is not only reported.

import { KILL_MS, LEASE_MS } from '../../node/plan/lease/terms.ts'
import { slotsOf } from '../../node/plan/slots.ts'
import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'
import type { Checker, Wrongs } from './checker.ts'

/** By the slowest clock that the faults know. */
const SLOWEST = 0.88
const ENDED_WITHIN_MS = (LEASE_MS + KILL_MS) / SLOWEST

export const leases = (): Checker => {
  const idleSince = new Map<Machine, number>()
  return {
    invariant: 'L7',
    look: (scene) => {
      const { nowMs } = scene.world.simulator
      return scene.world.machines.flatMap((machine) => {
        if (machine.acting) {
          idleSince.delete(machine)
          return []
        }
        const sinceMs = idleSince.get(machine) ?? nowMs
        idleSince.set(machine, sinceMs)
        return nowMs - sinceMs <= ENDED_WITHIN_MS ? [] : outliving(machine)
      })
    },
    atRest: (scene) => unserved(scene),
  }
}

const outliving = ({ name, processes }: Machine): Wrongs =>
  processes
    .processes()
    .filter(({ record, exit }) => exit === null && record.fence !== undefined)
    .map(
      ({ record }) => `${record.instance} lives on ${name}, whose peer has not acted for longer than a lease`,
    )

const unserved = ({ world }: Scene): Wrongs => {
  const view = world.snapshots()[0]?.view
  if (view === undefined) return []
  const running = new Set<string>(
    world.present().flatMap(({ processes }) =>
      processes
        .processes()
        .filter(({ exit }) => exit === null)
        .map(({ record }) => record.slot),
    ),
  )
  const names = view.members.filter(({ draining }) => !draining).map(({ name }) => name)
  return view.services
    .filter(({ onPartition, constraints }) => onPartition === 'quorum' && constraints.length === 0)
    .flatMap((service) => slotsOf(service, names))
    .filter((slot) => !running.has(slot))
    .map((slot) => `${slot} does not run, although every voter is in sight`)
}

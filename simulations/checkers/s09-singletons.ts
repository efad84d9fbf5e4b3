// S9: of a slot of a quorum service one process lives at a time, anywhere, from its spawn to its confirmed end, while no
// clock is off by more than the bound; and each run is given a token above all that the runs before it were given, at their
// start and with renewals, whatever the clocks do. Processes are counted in simulated time, which no machine knows.

import { LEASE_MS } from '../../node/plan/lease/terms.ts'
import type { Machine } from '../machine.ts'
import type { Checker } from './checker.ts'

/** A clock that was off may have lengthened a lease that was given then: so long after it is right, all of them are over. */
const TRUST_AFTER_MS = 3 * LEASE_MS

interface Given {
  readonly token: number
  readonly where: string
}

const note = (given: Map<string, Given>, slot: string, one: Given): void => {
  if (one.token > (given.get(slot)?.token ?? 0)) given.set(slot, one)
}

export const singletons = (): Checker => {
  const begun = new Map<string, Given>()
  const renewed = new Map<string, Given>()
  return {
    invariant: 'S9',
    spawned: (scene, machine, { slot, instance, fence, nonce }) => {
      // A clone's own network is another world.
      if (fence === undefined || !scene.world.machines.includes(machine)) return []
      const wrongs = [begun, renewed].flatMap((given) => {
        const last = given.get(slot)
        return last === undefined || fence > last.token
          ? []
          : [`${instance} on ${machine.name} was given token ${fence}, after ${last.token} on ${last.where}`]
      })
      note(begun, slot, { token: fence, where: machine.name })
      if (scene.world.simulator.nowMs - scene.clocksWrongMs < TRUST_AFTER_MS) return wrongs
      const rivals = scene.world.machines.flatMap((other) =>
        livingOf(other, slot, other === machine ? nonce : null),
      )
      if (rivals.length > 0)
        wrongs.push(`${instance} was started on ${machine.name} while ${rivals.join(' and ')}`)
      return wrongs
    },
    extended: ({ world }, machine, { slot }, token) => {
      if (world.machines.includes(machine)) note(renewed, slot, { token, where: machine.name })
      return []
    },
  }
}

const livingOf = ({ name, processes }: Machine, slot: string, own: string | null): readonly string[] => [
  ...processes
    .processes()
    .filter(
      ({ record, exit }) =>
        record.slot === slot && exit === null && record.nonce !== own && record.fence !== undefined,
    )
    .map(({ record }) => `${record.instance} runs on ${name}`),
  ...processes
    .strays()
    .flatMap((instance) => (instance.startsWith(`${slot}@`) ? [`a child of it lives on ${name}`] : [])),
]

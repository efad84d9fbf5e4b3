// Homes: the election in two stages, so that the loss of a member moves its own slots and no other. First every slot is
// given a home, by an election in which every admitted member stands, also those that are dead, left, draining or
// cordoned. Then the slots whose home can hold them now are seated there, for all services, and only the others are
// elected among the members that stand now, with the room that is left. A member that comes back finds its slots at home:
// the former placement is restored exactly. Only joins and removals change homes (docs/adr/0008-homes.md).

import type { ServiceId, SlotId } from '../../lib/ids.ts'
import { Election, type Homes, type Watch } from './election.ts'
import type { Electorate } from './electorate.ts'
import type { Preferences } from './preferences.ts'
import type { Outcome } from './race.ts'

/**
 * Elects every slot, in canonical order. `watch.look` sees a slot's race in each stage that elects it, the deciding one
 * last; `watch.elected` is told the answer.
 */
export const electAll = (electorate: Electorate, preferences: Preferences, watch: Watch): void => {
  const whole = electorate.whole()
  // With everybody there, each slot is seated at home and the second stage would change nothing.
  if (whole === null) new Election(electorate, preferences).run(watch)
  else new Election(electorate, preferences).run(watch, homesOf(whole, preferences, watch))
}

const homesOf = (whole: Electorate, preferences: Preferences, { look }: Pick<Watch, 'look'>): Homes => {
  const homes = new Map<ServiceId, Map<SlotId, Outcome>>()
  new Election(whole, preferences).run({
    look,
    elected: ({ slot, service }, outcome) => {
      if (outcome.member < 0) return
      const known = homes.get(service.id)
      if (known === undefined) homes.set(service.id, new Map([[slot, outcome]]))
      else known.set(slot, outcome)
    },
  })
  return homes
}

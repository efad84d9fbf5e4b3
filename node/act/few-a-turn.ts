// Lets those go on that waited for one event together, a few in each turn of the event loop: what thirty of them do next
// would otherwise be one piece of work, and everything else on the loop would wait for all of it.

import { promisify } from 'node:util'

const nextTurn = promisify(setImmediate)

/** What follows a wait costs a start about a millisecond. */
const FEW = 4

/** Settles all, in order. Resolves when the last one has been told. */
export const fewATurn = async <T>(waiting: readonly T[], settle: (one: T) => void): Promise<void> => {
  for (const [at, one] of waiting.entries()) {
    if (at > 0 && at % FEW === 0) await nextTurn()
    settle(one)
  }
}

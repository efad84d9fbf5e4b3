// S12: nothing is heard from a member that the hearer's own document says was removed: its streams are cut. A peer has a
// moment to cut them. Keys that were never admitted have no connection in the first place; the transport's contract holds that.

import type { Checker } from './checker.ts'

/** A pass and the following of the membership come within milliseconds; a slow disk in between is given this. */
const CUT_MS = 200

export const membership = (): Checker => {
  const since = new Map<string, number>()
  return {
    invariant: 'S12',
    delivered: ({ world }, from, to) => {
      const hearer = world.byMember(to)
      if (hearer?.agent?.view().removed.includes(from) !== true) return []
      const nowMs = world.simulator.nowMs
      const firstMs = since.get(`${from} ${to}`) ?? nowMs
      since.set(`${from} ${to}`, firstMs)
      if (nowMs - firstMs < CUT_MS) return []
      return [`${hearer.name} still hears ${world.byMember(from)?.name ?? from}, which was removed`]
    },
  }
}

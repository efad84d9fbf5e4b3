// Faults of clocks: a wall clock that jumps, which must decide nothing, and monotonic clocks that run fast or slow: within
// the bound that everything that counts time may rely on, at it, and now and then far beyond it.

import type { Random } from '../../lib/random.ts'
import { RATE_ERROR_PERCENT } from '../../node/plan/lease/terms.ts'
import { lasting, namesOf, oneOf, pick, seconds, type Fault } from './fault.ts'

/** A clock that can be trusted is at most this far from the truth. */
const RATE_ERROR = RATE_ERROR_PERCENT / 100
/** One that cannot: a hypervisor that steals time, a broken timer. */
const RATE_ERROR_WILD = 0.12
/** Of floating point. */
const ROUNDING = 1e-9
const HOUR_MS = 3_600_000

export const CLOCK_FAULTS: readonly Fault[] = [
  {
    kind: 'clock-jump',
    weight: 0.5,
    draw: (random, peers) => ({
      machines: oneOf(random, peers),
      lastsMs: lasting(random, 1000, 60_000),
      amount: pick(random, [-24 * HOUR_MS, -HOUR_MS, -2000, 2000, HOUR_MS, 24 * 365 * HOUR_MS]),
    }),
    say: (step) => `${namesOf(step)}: wall clock ${step.amount} ms off, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      if (machine === undefined) return 'skipped'
      machine.local.setWallOff(step.amount)
      return () => machine.local.setWallOff(0)
    },
  },
  {
    kind: 'clock-rate',
    weight: 0.5,
    draw: (random, peers) => ({
      machines: oneOf(random, peers),
      lastsMs: lasting(random, 5000, 120_000),
      amount: 1 + errorOf(random),
    }),
    say: (step) =>
      `${namesOf(step)}: clock runs ${step.amount.toFixed(4)} times as fast, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      if (machine === undefined) return 'skipped'
      const isWild = Math.abs(step.amount - 1) > RATE_ERROR + ROUNDING
      const end = isWild ? scene.distrustClocks() : null
      machine.local.setRate(step.amount)
      return () => {
        machine.local.setRate(1)
        end?.()
      }
    },
  },
]

/** Half of the time at the bound itself, which is where arithmetic fails. */
const errorOf = (random: Random): number => {
  const kind = random.below(6)
  const sign = random.below(2) === 0 ? 1 : -1
  if (kind === 0) return sign * RATE_ERROR_WILD
  return kind < 4 ? sign * RATE_ERROR : sign * random.next() * RATE_ERROR
}

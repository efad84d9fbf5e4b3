// Faults of clocks: a wall clock that jumps, which must decide nothing, and monotonic clocks that run fast or slow within
// the bound that everything that counts time may rely on.

import { lasting, namesOf, oneOf, pick, seconds, type Fault } from './fault.ts'

/** A clock's rate is at most this far from the truth: fifty times what a quartz without any correction drifts. */
export const CLOCK_RATE_ERROR_MAX = 0.005
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
      amount: 1 + (2 * random.next() - 1) * CLOCK_RATE_ERROR_MAX,
    }),
    say: (step) =>
      `${namesOf(step)}: clock runs ${step.amount.toFixed(4)} times as fast, for ${seconds(step.lastsMs)}`,
    begin: (scene, step) => {
      const [machine] = scene.machinesOf(step)
      if (machine === undefined) return 'skipped'
      machine.local.setRate(step.amount)
      return () => machine.local.setRate(1)
    },
  },
]

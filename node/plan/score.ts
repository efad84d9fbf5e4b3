// Scores of weighted rendezvous hashing. A pair of slot and member hashes to a uniform u; the member with the least
// -log2(u) / weight wins, which gives every member slots in proportion to its weight and moves only what must move
// (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005, logarithmic method). Integers only:
// Math.log may differ between runtimes, so the logarithm is a table computed with exact arithmetic.

import { mix32 } from '../../lib/hash.ts'

/** Table entries per octave; between them the logarithm is interpolated, with an error below 2^-22. */
const STEPS_BITS = 10
const STEPS = 1 << STEPS_BITS
/** Mantissa bits below the table's index, for the interpolation. */
const REST_BITS = 31 - STEPS_BITS
const REST_MASK = (1 << REST_BITS) - 1
const REST_SCALE = 2 ** REST_BITS
/** Fraction bits of a cost: costs stay below 2^37 and cost times weight below 2^43, far within safe integers. */
const COST_BITS = 32
const COST_ONE = 2 ** COST_BITS
/** Fraction bits of the table's arithmetic: squares of 26-bit numbers stay below 2^53, so every step is exact. */
const WORK_BITS = 25
const WORK_ONE = 2 ** WORK_BITS
/** Binary digits computed per table entry. */
const DIGITS = 24

/** log2(1 + step / STEPS) in units of 2^-COST_BITS, digit by digit by repeated squaring (Knuth, TAOCP 1, 1.2.2). */
const log2Of = (step: number): number => {
  if (step === STEPS) return COST_ONE
  let x = WORK_ONE + step * (WORK_ONE / STEPS)
  let digits = 0
  for (let digit = 0; digit < DIGITS; digit += 1) {
    x = Math.floor((x * x) / WORK_ONE)
    digits *= 2
    if (x >= 2 * WORK_ONE) {
      digits += 1
      x = Math.floor(x / 2)
    }
  }
  return digits * 2 ** (COST_BITS - DIGITS)
}

const TABLE = Float64Array.from({ length: STEPS + 1 }, (_, step) => log2Of(step))

/** -log2(hash / 2^32) in units of 2^-32, an integer: the lower, the better. */
export const costOf = (hash: number): number => {
  const x = hash === 0 ? 1 : hash >>> 0
  const zeros = Math.clz32(x)
  const mantissa = (x << zeros) >>> 0
  const step = (mantissa >>> REST_BITS) & (STEPS - 1)
  const low = TABLE[step] ?? 0
  const high = TABLE[step + 1] ?? 0
  const log = low + Math.floor(((high - low) * (mantissa & REST_MASK)) / REST_SCALE)
  return (zeros + 1) * COST_ONE - log
}

/** The cost of one slot on one member, from the hashes of their ids. */
export const pairCost = (slotHash: number, memberHash: number): number => costOf(mix32(slotHash ^ memberHash))

// Seeded randomness. Whoever needs chance is given a Random and forks one per purpose by label, so that a new draw in
// one place does not shift every other (as omicron's planner does). Production seeds it from the system's entropy.

import { hash32, mix32 } from './hash.ts'

export interface Random {
  /** A float in [0, 1). */
  next(): number
  /** An integer in [0, bound). */
  below(bound: number): number
  /** `length` bytes. Not for keys: keys come from the system's own source. */
  bytes(length: number): Uint8Array
  /** An independent stream that depends on this one's seed and on the label only, not on what was drawn. */
  fork(label: string): Random
}

/** sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, passes BigCrush, four additions and shifts a draw. */
export const seededRandom = (seed: string): Random => {
  let a = hash32(`a${seed}`)
  let b = hash32(`b${seed}`)
  let c = hash32(`c${seed}`)
  let d = mix32(seed.length + 1)
  const draw = (): number => {
    const sum = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return sum >>> 0
  }
  for (let warm = 0; warm < 12; warm += 1) draw()
  return {
    next: () => draw() / 0x1_0000_0000,
    below: (bound) => Math.floor((draw() / 0x1_0000_0000) * bound),
    bytes: (length) => Uint8Array.from({ length }, () => draw() & 0xff),
    fork: (label) => seededRandom(`${seed}/${label}`),
  }
}

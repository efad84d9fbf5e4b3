// A mutant: one planted bug, to prove that a checker would find it. It comes in through the composition of a simulated
// peer where the bug is in what a port does, and through patches of source files, made while the simulator's own
// process loads it, where the bug is inside. Production code holds no trace of either. Types only.

import type { Composition } from '../composition.ts'

/** One place in one file. Loading fails when it is not there exactly once, so that a mutant never outlives its code. */
export interface Patch {
  /** From the project's root. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Mutant {
  readonly name: string
  /** What is wrong with it, in a few words. */
  readonly bug: string
  /** The invariant whose checker must catch it. */
  readonly breaks: string
  /** Made anew for each process. */
  readonly composition?: () => Composition
  readonly patches?: readonly Patch[]
}

// What a kind of step is: how it is drawn, told and performed. Kinds are values in tables, one file for each family;
// registry.ts lists them all. A kind keeps nothing between its steps: the scene does.

import type { Random } from '../../lib/random.ts'
import type { Scene } from '../scene.ts'
import type { Step, StepKind } from '../schedule.ts'

/** What performing a step gives: its end, to be called once; or that it has none, or that it did not apply. */
export type Begun = (() => void) | 'done' | 'skipped'

export interface Fault extends StepKind {
  /** An operator's act that a sound cluster takes without losing anything. @default false */
  readonly gentle?: boolean
  /** What happens, as a line of the story; after it has begun. */
  readonly say: (step: Step, scene: Scene) => string
  /** Must not throw, and must make sense whatever happened before. */
  readonly begin: (scene: Scene, step: Step) => Begun
}

/** A machine's number. */
export const oneOf = (random: Random, peers: number): readonly number[] => [random.below(peers)]

/** A choice; the list is not empty. */
export const pick = <T>(random: Random, choices: readonly [T, ...T[]]): T =>
  choices[random.below(choices.length)] ?? choices[0]

/** Some time between the two, more often short than long. */
export const lasting = (random: Random, leastMs: number, mostMs: number): number =>
  leastMs * (mostMs / leastMs) ** random.next()

/** About half of the machines, at least one, never all. */
export const someOf = (random: Random, peers: number): readonly number[] => {
  const some = Array.from({ length: peers }, (_, at) => at).filter(() => random.below(2) === 0)
  if (some.length === 0) return [random.below(peers)]
  return some.length === peers ? some.slice(1) : some
}

/** The names of a step's machines. */
export const namesOf = (step: Step): string => step.machines.map((machine) => `m${machine}`).join(' ')

export const seconds = (durationMs: number): string => `${(durationMs / 1000).toFixed(1)} s`

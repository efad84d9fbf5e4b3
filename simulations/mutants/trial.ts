// The trial of one mutant: which seeds have been played with it, and what broke in them. It deals out seeds in order and
// counts what comes back in any order, so that its answer does not depend on how many workers there were. Runs nothing.

import { invariantOf } from '../violation.ts'
import type { Mutant } from './mutant.ts'

export class Trial {
  readonly mutant: Mutant
  readonly seedsMax: number
  readonly #played = new Map<number, readonly string[]>()
  #dealt = 0
  /** The first seed that caught it, as far as is known. */
  #caughtAt: number | null = null

  constructor(mutant: Mutant, seedsMax: number) {
    this.mutant = mutant
    this.seedsMax = seedsMax
  }

  /** Whether there is a seed left to play. */
  get hasMore(): boolean {
    return this.#caughtAt === null && this.#dealt < this.seedsMax
  }

  /** The next seed to play; null: none is left, since one has caught it or all were dealt. */
  deal(): number | null {
    if (!this.hasMore) return null
    this.#dealt += 1
    return this.#dealt - 1
  }

  /** What broke in that seed. */
  hear(seed: number, violations: readonly string[]): void {
    this.#played.set(seed, violations)
    const caught = violations.some((one) => invariantOf(one) === this.mutant.breaks)
    if (caught && (this.#caughtAt === null || seed < this.#caughtAt)) this.#caughtAt = seed
  }

  /** Every seed that was dealt has been heard of, and no other will be dealt. */
  get isOver(): boolean {
    return this.#played.size === this.#dealt && !this.hasMore
  }

  /** Seeds up to the one that caught it; null: none did. */
  get seeds(): number | null {
    return this.#caughtAt === null ? null : this.#caughtAt + 1
  }

  /** The violation by which it was caught. */
  get evidence(): string | null {
    const found = this.#caughtAt === null ? [] : (this.#played.get(this.#caughtAt) ?? [])
    return found.find((one) => invariantOf(one) === this.mutant.breaks) ?? null
  }

  /** Other invariants that broke in those seeds, sorted. */
  get others(): readonly string[] {
    const last = this.#caughtAt ?? this.seedsMax
    const broken = [...this.#played]
      .filter(([seed]) => seed <= last)
      .flatMap(([, list]) => list.map(invariantOf))
    return [...new Set(broken)].filter((one) => one !== this.mutant.breaks).sort()
  }
}

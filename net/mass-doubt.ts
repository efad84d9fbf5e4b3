// Doubt over a mass of losses: when most of what an observer watches falls silent together, the observer is probably the
// one that is cut off, so it waits a little before it accuses anyone of them. Only a little, since a minority must come
// to know that it is one (and then brakes); and never over a single member, whose lone observer has nobody to compare with.

import type { DetectorOptions } from './detector-options.ts'
import type { Watch } from './watch.ts'

export class MassDoubt {
  readonly #options: DetectorOptions
  #sinceMs: number | null = null

  constructor(options: DetectorOptions) {
    this.#options = options
  }

  /** Until when silent members are spared; null: they are not. `patienceMs` is what the observer grants for its strain. */
  untilMs(watches: Iterable<Watch>, patienceMs: number, nowMs: number): number | null {
    const open = [...watches].filter((watch) => watch.alert === null)
    // Beats do not fall due together, so the nearly silent ones tell of the mass before the first is overdue.
    const silent = open.filter((watch) => watch.nearlySilent(nowMs - patienceMs))
    if (silent.length < 2 || silent.length * 2 <= open.length) {
      this.#sinceMs = null
      return null
    }
    if (silent.some((watch) => nowMs >= watch.overdueAtMs(patienceMs))) this.#sinceMs ??= nowMs
    const untilMs = this.#sinceMs === null ? null : this.#sinceMs + this.#options.massDoubtMs
    return untilMs !== null && nowMs < untilMs ? untilMs : null
  }
}

// Slowness: how far behind real time this peer lives, as the extra patience that others should have with it and that it
// should have with them. Two sensors: how late its own ticks come, and how long its thread stood in line for a core
// (the kernel's count), which shows a starving machine before the first tick is very late. It knows no member; it does
// not say whether a single tick was too late to be trusted (self-doubt.ts).
//
// A process that waits a share w of its time lives at a speed of 1 - w, so what takes s elsewhere takes it s / (1 - w).
// Both sensors start from zero at a bound, so that a peer at the bound is not slow in one moment and well in the next.

import type { DetectorOptions } from './detector-options.ts'

/** About a beat. Shorter samples of the share are noise: one burst of answers on a machine of many peers fills them. */
const SAMPLE_MS = 750
/**
 * Up to half speed the usual window is enough: a peer that has little to do is let in soon, and beats of peers that waited
 * 40 % of their time came 850 to 1050 ms apart (docs/adr/0011). Beyond, work piles up and beats stand behind it.
 */
const SHARE_MIN = 0.5
/** A long pass, a collection of garbage or a burst of questions takes this long and is no slowness. */
const LATE_MIN_MS = 300
/** A beat waits for its timer here, and for its socket at either end: as late as the tick each time. */
const LATE_FACTOR = 3
/** Bursts follow each other; a worst case counts half after this long, some three samples. */
const HALF_LIFE_MS = 2000
/** Less than a beat's own jitter: not worth saying, and the end of the decay. */
const NEGLIGIBLE_MS = 100

export class Slowness {
  readonly #options: DetectorOptions
  #extraMs = 0
  #sinceMs = Number.NEGATIVE_INFINITY
  #sampledMs: number | null = null
  #sampledWaitMs = 0

  constructor(options: DetectorOptions) {
    this.#options = options
  }

  /**
   * Takes a tick into account that came `lateMs` late; `coreWaitMs` is the time spent in line for a core so far. A tick that
   * is later than any slowness was a freeze (a sleeping laptop, SIGSTOP): it says nothing about the time after it.
   */
  ticked(lateMs: number, coreWaitMs: number, nowMs: number): void {
    const frozen = lateMs > this.#options.slownessMaxMs
    const late = frozen ? 0 : LATE_FACTOR * (lateMs - LATE_MIN_MS)
    this.#note(Math.max(late, this.#sample(coreWaitMs, nowMs)), nowMs)
  }

  /** Patience asked for and granted beyond the usual, milliseconds; 0 while all is well. */
  extraMs(nowMs: number): number {
    const left = this.#extraMs * 2 ** (-(nowMs - this.#sinceMs) / HALF_LIFE_MS)
    return left < NEGLIGIBLE_MS ? 0 : left
  }

  #note(extraMs: number, nowMs: number): void {
    const bounded = Math.min(this.#options.slownessMaxMs, extraMs)
    if (bounded <= this.extraMs(nowMs)) return
    this.#extraMs = bounded
    this.#sinceMs = nowMs
  }

  #sample(coreWaitMs: number, nowMs: number): number {
    if (this.#sampledMs === null) {
      this.#sampledMs = nowMs
      this.#sampledWaitMs = coreWaitMs
      return 0
    }
    const passedMs = nowMs - this.#sampledMs
    if (passedMs < SAMPLE_MS) return 0
    const share = (coreWaitMs - this.#sampledWaitMs) / passedMs
    this.#sampledMs = nowMs
    this.#sampledWaitMs = coreWaitMs
    if (share < SHARE_MIN) return 0
    // Beyond a share of 1 lies only the error of two clocks read one after the other.
    return share >= 1
      ? Number.POSITIVE_INFINITY
      : this.#options.silenceMs * (1 / (1 - share) - 1 / (1 - SHARE_MIN))
  }
}

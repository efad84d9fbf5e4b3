// The brake (S16): a peer that sees more than half of the others vanish within moments is probably the one that is cut
// off, so it takes nothing over until its view has been stable for the isolation hold. A loss with a close counts like a
// silent one: when nothing leaves a peer any more, the others give its connections up, and it hears just that
// (docs/adr/0015-brake.md). Who left in order is no loss. It decides nothing about placement; it says until when.
//
//   free --[most others lost, together]--> braked until now + hold
//   braked --[anyone lost or found]--> braked until now + hold
//   braked --[hold over]--> free
//
// One lost member never brakes: with two members, each would otherwise stand still whenever the other fails.

import type { MemberId } from '../lib/ids.ts'
import type { DetectorOptions } from './detector-options.ts'

/** A member other than this peer, admitted and not left. */
export interface BrakeSubject {
  readonly id: MemberId
  readonly dead: boolean
  /** Since when it is dead or suspect; null: it is well. Monotonic milliseconds. */
  readonly lostSinceMs: number | null
  /** Who accuses it. */
  readonly accusers: ReadonlySet<MemberId>
}

export class Brake {
  readonly #self: MemberId
  readonly #options: DetectorOptions
  #untilMs: number | null = null
  #lost: ReadonlySet<MemberId> = new Set()

  constructor(self: MemberId, options: DetectorOptions) {
    this.#self = self
    this.#options = options
  }

  /** Until when this peer takes nothing over; null: it is free. */
  untilMs(nowMs: number): number | null {
    return this.#untilMs !== null && nowMs < this.#untilMs ? this.#untilMs : null
  }

  /** Judges the view anew. Call on every change of it. */
  update(others: readonly BrakeSubject[], nowMs: number): void {
    const { isolationHoldMs } = this.#options
    const windowMs = Math.min(this.#options.brakeWindowMs, isolationHoldMs)
    const recent = (other: BrakeSubject): boolean =>
      other.lostSinceMs !== null && nowMs - other.lostSinceMs < windowMs
    const vanished = others.filter(recent)
    const base = others.filter((other) => !other.dead || recent(other))
    const lost = new Set(others.filter((other) => other.lostSinceMs !== null).map((other) => other.id))
    const before = this.#lost
    this.#lost = lost
    const braked = this.untilMs(nowMs) !== null
    const collapses = vanished.length >= 2 && vanished.length * 2 > base.length && this.#credible(vanished)
    const changed = lost.size !== before.size || [...lost].some((id) => !before.has(id))
    // The window is shorter than the hold, so the losses that braked do not brake again when the hold is over.
    if (braked ? changed : collapses) this.#untilMs = nowMs + isolationHoldMs
  }

  /** One other observer that accuses everybody is no collapse; our own eyes, or two observers, are. */
  #credible(vanished: readonly BrakeSubject[]): boolean {
    const accusers = new Set(vanished.flatMap((other) => [...other.accusers]))
    return accusers.has(this.#self) || accusers.size >= 2
  }
}

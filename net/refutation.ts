// Refutation: a live member that hears an alert on itself raises its incarnation, which voids the alert (SWIM, Das et
// al., DSN 2002, §4.2). A conviction is refuted at once, a mere suspicion only after the observer had a chance to take
// it back by itself. Refutations back off: where some pair of members really cannot reach each other, alert and
// refutation would otherwise chase each other for ever, and every refutation makes this member restate its status.

/** An observer that reconnects retracts within a few hundred milliseconds. */
const PATIENCE_MS = 1000
const BACKOFF_MS = 1000
/** A lasting, partial fault costs one restated status a minute. */
const BACKOFF_MAX_MS = 60_000

export class Refutation {
  #accusedSinceMs: number | null = null
  #clearedAtMs = Number.NEGATIVE_INFINITY
  #refutedAtMs = Number.NEGATIVE_INFINITY
  #backoffMs = 0

  /**
   * Whether to refute now. `accused`: an alert stands at this member's present incarnation; `convicted`: enough of them
   * to count as dead elsewhere.
   */
  due(accused: boolean, convicted: boolean, nowMs: number): boolean {
    if (!accused) {
      if (this.#accusedSinceMs !== null) this.#clearedAtMs = nowMs
      this.#accusedSinceMs = null
      if (nowMs - this.#clearedAtMs >= BACKOFF_MAX_MS) this.#backoffMs = 0
      return false
    }
    this.#accusedSinceMs ??= nowMs
    if (nowMs < this.#dueAtMs(convicted)) return false
    this.#refutedAtMs = nowMs
    this.#backoffMs = Math.min(BACKOFF_MAX_MS, Math.max(BACKOFF_MS, this.#backoffMs * 2))
    return true
  }

  #dueAtMs(convicted: boolean): number {
    const since = this.#accusedSinceMs ?? Number.POSITIVE_INFINITY
    return Math.max(since + (convicted ? 0 : PATIENCE_MS), this.#refutedAtMs + this.#backoffMs)
  }
}

// One observer's watch over one member: when it counts as lost, and whether an alert on it stands. The watch knows the
// connection and the beats; whether this peer may trust its own clock, and what the others say, it does not know.
//
//   well --[beats overdue | closed and not back in time | never reached in time]--> overdue
//   overdue --[accused by the detector]--> alerted
//   alerted --[a beat over a connection | a newer incarnation]--> well
//
// Invariants: a beat always postpones the deadline; the alert names the incarnation that was known when it was raised.

import type { DetectorOptions } from './detector-options.ts'

/** Doublings of the wait after refutations by a member we cannot reach: up to a minute. */
const REFUTED_DOUBLINGS_MAX = 5
/** Beats that may be missing before an observer asks for one: half of one late is normal. */
const PROBE_AFTER_BEATS = 1.5
/**
 * A member whose beats come unevenly is given twice its worst recent gap, up to half as much again as the configured
 * window (the idea of φ accrual, Hayashibara et al., SRDS 2004, with a bound): a machine under load stutters before it
 * stalls, and a freeze must still show within four seconds.
 */
const GAP_FACTOR = 2
const STRETCH_MAX = 1.5
/** Per beat; a bad gap is half forgotten after some seven seconds. */
const GAP_DECAY = 0.95

export interface StandingAlert {
  readonly incarnation: number
  readonly silent: boolean
}

export class Watch {
  readonly #options: DetectorOptions
  #connected: boolean
  #heardMs: number
  #deadlineMs: number
  #probedMs = Number.NEGATIVE_INFINITY
  #silent = true
  /** The patience that the member asked for with its last beat. */
  #extraMs = 0
  #refutations = 0
  #worstGapMs = 0
  #alert: StandingAlert | null = null
  #cut = false

  /** Begins to watch a member, which counts as overdue at `deadlineMs` if nothing is heard of it. */
  constructor(options: DetectorOptions, connected: boolean, deadlineMs: number, nowMs: number) {
    this.#options = options
    this.#connected = connected
    this.#heardMs = nowMs
    this.#deadlineMs = deadlineMs
  }

  get alert(): StandingAlert | null {
    return this.#alert
  }

  connected(nowMs: number): void {
    this.#connected = true
    this.#cut = false
    this.#silent = true
    this.#heardMs = nowMs
    this.#probedMs = Number.NEGATIVE_INFINITY
    this.#deadlineMs = nowMs + this.#options.silenceMs + this.#extraMs
  }

  disconnected(silent: boolean, nowMs: number): void {
    this.#connected = false
    this.#silent = silent
    this.#deadlineMs = nowMs + this.#options.closeGraceMs + Math.min(this.#extraMs, this.#options.silenceMs)
  }

  /** A beat that asks for `extraMs` of patience. True when it ends an alert. */
  heard(nowMs: number, extraMs = 0): boolean {
    // A beat that was under way when the connection went proves nothing about now.
    if (!this.#connected) return false
    const gapMs = Math.min(nowMs - this.#heardMs, this.#options.silenceMs)
    this.#worstGapMs = Math.max(gapMs, this.#worstGapMs * GAP_DECAY)
    this.#heardMs = nowMs
    this.#extraMs = Math.min(extraMs, this.#options.slownessMaxMs)
    this.#deadlineMs = nowMs + this.#windowMs()
    this.#refutations = 0
    const ended = this.#alert !== null
    this.#alert = null
    return ended
  }

  /** Everything starts over: this peer was not awake to hear. */
  postpone(nowMs: number): void {
    this.#heardMs = Math.max(this.#heardMs, nowMs)
    this.#deadlineMs = Math.max(this.#deadlineMs, nowMs + this.#options.silenceMs + this.#extraMs)
  }

  /** The member said that it lives, to others: it has a while, longer each time, to show it to us as well. */
  refuted(nowMs: number): void {
    this.#alert = null
    const waitMs = this.#options.silenceMs * 2 ** Math.min(REFUTED_DOUBLINGS_MAX, this.#refutations)
    this.#refutations += 1
    this.#deadlineMs = nowMs + waitMs
  }

  #windowMs(): number {
    const { silenceMs } = this.#options
    const uneven = Math.min(STRETCH_MAX * silenceMs, GAP_FACTOR * this.#worstGapMs)
    return Math.max(uneven, silenceMs + this.#extraMs)
  }

  accuse(incarnation: number): StandingAlert {
    this.#alert = { incarnation, silent: this.#silent }
    return this.#alert
  }

  /**
   * When it counts as lost; `patienceMs` is what this peer grants while it is strained. The larger one of that and of what
   * the member asked for holds: mostly it is one machine that is overloaded, or one network. After a close less is due: a
   * strained peer needs longer to dial, but a close is half a proof.
   */
  overdueAtMs(patienceMs: number): number {
    const boundMs = this.#silent ? Number.POSITIVE_INFINITY : this.#options.silenceMs
    const grantedMs = Math.min(this.#extraMs, boundMs)
    return this.#deadlineMs + Math.max(0, Math.min(patienceMs, boundMs) - grantedMs)
  }

  /** Lost without a close, or about to be. */
  nearlySilent(nowMs: number): boolean {
    if (!this.#silent) return false
    return this.#deadlineMs - nowMs <= PROBE_AFTER_BEATS * this.#options.beatIntervalMs
  }

  /** Whether to ask for a beat now: one is late, and we have not just asked. */
  probe(nowMs: number): boolean {
    if (!this.#connected || nowMs < this.#probeAtMs) return false
    this.#probedMs = nowMs
    return true
  }

  /** When to ask for a beat, if one is missing already; infinite: the next look at all beats is soon enough. */
  probeDueMs(nowMs: number): number {
    const isMissing = this.#connected && nowMs - this.#heardMs >= this.#options.beatIntervalMs
    return isMissing ? this.#probeAtMs : Number.POSITIVE_INFINITY
  }

  get #probeAtMs(): number {
    const { beatIntervalMs } = this.#options
    return Math.max(this.#heardMs + PROBE_AFTER_BEATS * beatIntervalMs, this.#probedMs + beatIntervalMs)
  }

  /** Whether to give up the connection now: it exists and has carried nothing for long. Once per connection. */
  cut(nowMs: number): boolean {
    if (!this.#connected || this.#cut || this.#alert === null) return false
    if (nowMs - this.#heardMs < this.#options.cutAfterMs) return false
    this.#cut = true
    return true
  }
}

// Every duration of the failure detector with its reason, and what the detector asks of its caller. Types and numbers
// only. The defaults aim at: a crash dead for all within one second, a freeze within three, and no false alarm from
// a peer whose event loop stalls for half a second.

import type { MemberId } from '../lib/ids.ts'

export interface DetectorOptions {
  /** From an observed member to each of its observers. Three per silence window, so that two may be late. @default 800 */
  readonly beatIntervalMs: number
  /** Silence that makes an observer alert. Below it lie stalls of garbage collection and of a busy disk. @default 2400 */
  readonly silenceMs: number
  /** After a close, before the alert: a redial at once may show that only the connection ended. @default 300 */
  readonly closeGraceMs: number
  /** How late a tick of our own may come before we doubt ourselves. A quarter of the silence window. @default 500 */
  readonly lateMs: number
  /**
   * The most patience beyond the silence window that a slow member may ask of its observers, and that a slow observer has
   * (slowness.ts). Starved peers on an overloaded machine were seen to stand still for 3 s (docs/adr/0011). @default 4800
   */
  readonly slownessMaxMs: number
  /** Extra wait when most of the members we observe go silent together: probably it is us. @default 1000 */
  readonly massDoubtMs: number
  /** Before a member that we never reached since our own start counts as lost: it may be starting too. @default 5000 */
  readonly startGraceMs: number
  /** The same for one admitted later, of which nothing was heard yet: it is on its way from the join. @default 10000 */
  readonly joinGraceMs: number
  /** How long a member is lost before the rings are drawn without it. Longer than a restart. @default 3000 */
  readonly settleMs: number
  /** Silence after which the connection itself is given up, so that a fresh one is dialled; TCP would take minutes. @default 4000 */
  readonly cutAfterMs: number
  /** Losses that fall together within this time count together for the brake. @default 8000 */
  readonly brakeWindowMs: number
  /** How long the view must be stable before a braked peer takes anything over. @default 10000 */
  readonly isolationHoldMs: number
}

export const DETECTOR_DEFAULTS: DetectorOptions = {
  beatIntervalMs: 800,
  silenceMs: 2400,
  closeGraceMs: 300,
  lateMs: 500,
  slownessMaxMs: 4800,
  massDoubtMs: 1000,
  startGraceMs: 5000,
  joinGraceMs: 10_000,
  settleMs: 3000,
  cutAfterMs: 4000,
  brakeWindowMs: 8000,
  isolationHoldMs: 10_000,
}

/** What a tick asks of the agent, to be done at once and in this order. */
export type DetectorEffect =
  /** `Transport.send(to, 'beat', bytes)`; a lost one does no harm. */
  | { readonly kind: 'beat'; readonly to: MemberId; readonly bytes: Uint8Array }
  /** Write the status entry `alert/<member>` and gossip it at once. */
  | {
      readonly kind: 'alert'
      readonly member: MemberId
      readonly incarnation: number
      readonly silent: boolean
    }
  /** Delete the status entry `alert/<member>`, and gossip that at once. */
  | { readonly kind: 'retract'; readonly member: MemberId }
  /** Raise the own incarnation above this number: others believe that we are lost. */
  | { readonly kind: 'refute'; readonly above: number }
  /** Cut the connection to this member, which carries nothing any more; the dialler makes a new one. */
  | { readonly kind: 'reconnect'; readonly member: MemberId }

/** What the detector needs to know of an alert; crdt/schema/status.ts defines the entry. */
export interface ReportedAlert {
  readonly incarnation: number
  readonly silent: boolean
}

/** What the detector needs to know of one member's replicated status. */
export interface ReportedStatus {
  readonly incarnation: number
  /** By accused member id. */
  readonly alerts: ReadonlyMap<string, ReportedAlert>
  /** False once it has left gracefully, with its instances stopped. */
  readonly running: boolean
  /** When its process started, by its own wall clock: whether a higher incarnation is a new life. Null: it has not said. */
  readonly startedAt: number | null
}

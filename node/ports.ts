// Ports of a peer: what agent.ts, the face and the hands know of each other. Interfaces only.

import type { ChangeHash, Digest, InstanceId, MemberId, SlotId } from '../lib/ids.ts'
import type { EditCondition } from '../crdt/condition.ts'
import type { Edit, EditMeta } from '../crdt/edit.ts'
import type { VoterSet } from '../crdt/schema/lease.ts'
import type { Past } from '../crdt/past.ts'
import type { MemberStatus } from '../crdt/schema/status.ts'
import type { Role, View } from '../crdt/schema/view.ts'
import type { Membership } from '../net/membership.ts'
import type { Action } from './plan/action.ts'
import type { Adopted, Exit, InstanceRecord } from './plan/facts.ts'
import type { HeldLease, LeasePromise, LeaseStanding } from './plan/lease/terms.ts'
import type { LocalInstance } from './plan/local.ts'
import type { PackageShortage } from './plan/package-copies.ts'
import type { Plan } from './plan/plan.ts'

export type { Adopted, Exit, InstanceRecord } from './plan/facts.ts'

// ---------------------------------------------------------------------------------------------- driver: one process

export interface SpawnRequest {
  readonly record: InstanceRecord
  /** The whole environment of the process. */
  readonly environment: Readonly<Record<string, string>>
  /** Ends the run when it is over, whether or not the peer lives (S9). Left out: it needs none. */
  readonly lease?: HeldLease | undefined
}

export interface Spawned {
  /** The process group's leader. */
  readonly pid: number
  /** What of its limits it runs without, in one sentence that follows its name; empty: nothing. @default '' */
  readonly shortfall?: string | undefined
}

export interface DriverEvents {
  /** The process group's leader is gone, and whatever of its group had to be ended with it. At most once a spawn. */
  exited(instance: InstanceId, nonce: string, exit: Exit): void
  /** The same of a run that was armed, and its heir runs already: it is the instance's run from now on. */
  succeeded(instance: InstanceId, nonce: string, exit: Exit, heir: Successor): void
}

/** A run that has followed another without its peer. */
export interface Successor {
  readonly nonce: string
  readonly pid: number
}

/** The successor of a run, to be prepared. */
export interface HeirRequest {
  /** The present run's, with `heir`: the successor's nonce. */
  readonly record: InstanceRecord
  /** The successor's whole environment. */
  readonly environment: Readonly<Record<string, string>>
  /** `on-failure`: a status of 0 has no successor. */
  readonly condition: 'any' | 'on-failure'
  /** An end within that time from now has none, milliseconds. */
  readonly notBeforeMs: number
}

/** Runs processes of one kind. Contract suite: test/contracts/driver.ts. */
export interface Driver {
  /** Finds what earlier runs of this peer left; ends what cannot be adopted safely. Call once, before anything else. */
  start(events: DriverEvents): Promise<readonly Adopted[]>
  /** Durable record first, then the process. @throws TuttiError when it cannot be spawned; then no process exists. */
  spawn(request: SpawnRequest): Promise<Spawned>
  /** Rewrites the record of a live instance (it drains, its failures were forgiven). */
  update(record: InstanceRecord): Promise<void>
  /** The run may live longer: at once, and unless it is over already. Does nothing for a run without a lease. */
  extend(instance: InstanceId, lease: HeldLease): void
  /**
   * Signal to every process of the instance, grace, SIGKILL; resolves when none is left, wherever it has gone, nor an heir
   * that could begin.
   */
  stop(instance: InstanceId, signal: string, graceMs: number): Promise<void>
  /**
   * Prepares the successor of a living run, which then follows the run's end at once, whether or not this peer is there,
   * if nothing of the run is left. Durable record first. False: it can have none here. Nothing waits for it.
   */
  arm(request: HeirRequest): Promise<boolean>
  /** Takes a prepared successor back. False: it has begun; `succeeded` tells, if it has not yet. */
  disarm(instance: InstanceId): Promise<boolean>
  /** Drops the record; the output stays for its retention. Only after its exit. */
  forget(instance: InstanceId): Promise<void>
  /** Lets go of everything without ending any process. */
  close(): Promise<void>
}

// --------------------------------------------------------------------------------------- exec: commands in instances

/** How a command gets into the surroundings of a running instance. */
export interface Entrance {
  /** Words before the command, which join the cgroup, the namespaces and the user; empty: there is nothing to join. */
  readonly prefix: readonly string[]
  /** The instance's whole environment. */
  readonly environment: Readonly<Record<string, string>>
  /** The instance's working directory, absolute, as the instance itself sees it. */
  readonly directory: string
  /**
   * The instance sees files that are not this machine's, so that only the prefix can find its commands. The prefix also
   * enters the directory then, before it changes to a user who may not be allowed to.
   */
  readonly ownFiles: boolean
}

/** A driver whose instances can be entered. */
export interface Enterable {
  /** @throws TuttiError `conflict` when the instance has no process here. */
  enter(instance: InstanceId): Entrance
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** A command to be run in an instance's surroundings. */
export interface ExecRequest {
  readonly instance: InstanceId
  readonly command: readonly string[]
  /** In addition to the instance's own, and stronger. */
  readonly environment: Readonly<Record<string, string>>
  /** Relative to the instance's. Null: the instance's own. */
  readonly workingDir: string | null
  /** Null: no terminal; input and both outputs are pipes. */
  readonly terminal: TerminalSize | null
}

/** What the caller tells a running command, in this order. */
export type ExecInput =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** No more data. */
  | { readonly kind: 'end' }
  | { readonly kind: 'resize'; readonly size: TerminalSize }
  /** To the command's whole process group. */
  | { readonly kind: 'signal'; readonly signal: string }

/** What a running command tells: its outputs as they come, its end last. */
export type ExecOutput =
  | { readonly kind: 'stdout' | 'stderr'; readonly bytes: Uint8Array }
  | { readonly kind: 'exit'; readonly code: number | null; readonly signal: string | null }
  /** Instead of all of it: the command does not exist there. */
  | { readonly kind: 'missing'; readonly message: string }

/** Runs commands in this peer's instances. */
export interface Exec {
  /**
   * Runs one command to its end. Input is taken and output is made no faster than the other side keeps up. Nothing that
   * the command started outlives the iteration: it ends with the command, with the instance, when `signal` fires and when
   * the iteration is left. @throws TuttiError before the first output: `conflict` (not running), `busy`, `unsupported`
   * (no terminals here), `unknown` (the directory), `invalid`.
   */
  run(request: ExecRequest, input: AsyncIterable<ExecInput>, signal: AbortSignal): AsyncIterable<ExecOutput>
}

// ------------------------------------------------------------------------------------------------ hands: all of them

export interface HandsEvents {
  /** Something observable changed: run a pass. `urgent`: a readiness may have changed. */
  changed(urgent: boolean): void
}

/** The executor with its driver and prober: performs actions, reports facts. The simulator brings its own. */
export interface Hands {
  start(events: HandsEvents): Promise<void>
  /** Current facts of all instances of this peer. */
  observe(): readonly LocalInstance[]
  /**
   * Begins the actions and returns; each instance's actions run one after the other. Outcomes show in `observe()`.
   * Actions that already run are not begun again.
   */
  execute(actions: readonly Action[]): void
  /** A lease was renewed: what runs under it, or is about to, may live longer. */
  extend(slot: SlotId, lease: HeldLease): void
  close(): Promise<void>
}

// --------------------------------------------------------------------------------------------------- output of instances

export interface LogLine {
  /** Wall time when the line was read, milliseconds. */
  readonly at: number
  readonly peer: string
  readonly slot: SlotId
  readonly instance: InstanceId
  /** `notice`: the text says what of this instance's output could not be told. */
  readonly stream: 'stdout' | 'stderr' | 'notice'
  readonly text: string
  /** Bytes that the stream had written by the end of the line, since the instance's first run: names the line for good. */
  readonly offset: number
}

/** Said once by a followed reading: what was there has been told, and what comes is new. */
export interface LogLive {
  readonly live: true
}

export interface LogQuery {
  /** `CELL`, `CELL/SERVICE` or `CELL/SERVICE/SLOT`. */
  readonly of: string
  /** The last lines. @default 100, or all with `since` or `until` */
  readonly tail?: number | undefined
  /** Only lines from then on, wall time. */
  readonly since?: number | undefined
  /** Only lines up to then, wall time. */
  readonly until?: number | undefined
  readonly stream?: 'stdout' | 'stderr' | undefined
  /** Only lines that contain this text. */
  readonly grep?: string | undefined
  readonly follow?: boolean | undefined
}

/** Output of this peer's own instances, present and gone. */
export interface Output {
  read(query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine | LogLive>
}

// ------------------------------------------------------------------------------------------------------------ events

/** One thing that happened, for people. Kept in a bounded ring on each peer. */
export interface PeerEvent {
  readonly seq: number
  readonly at: number
  readonly peer: string
  readonly kind:
    | 'member'
    | 'change'
    | 'instance'
    | 'placement'
    | 'unfulfilled'
    | 'conflict'
    | 'quarantine'
    | 'peer'
    | 'exec'
    | 'rollout'
    | 'build'
  readonly subject: string
  readonly message: string
}

export interface EditResult {
  /** Null: nothing was changed by it. */
  readonly change: ChangeHash | null
  readonly digest: Digest
  /** As it is with the change. */
  readonly view: View
}

// --------------------------------------------------------------------------------- the agent, as the face meets it

/** Everything a reader may want to know at one instant. All parts are frozen or copies. */
export interface AgentSnapshot {
  readonly self: MemberId
  readonly view: View
  readonly statuses: ReadonlyMap<MemberId, MemberStatus>
  readonly membership: Membership
  readonly local: readonly LocalInstance[]
  /** Leases of quorum slots that this peer seeks or holds, by slot. @default none */
  readonly leases?: ReadonlyMap<string, LeaseStanding>
  /** Who votes on leases, as this peer knows. @default nobody */
  readonly voters?: VoterSet | null
  /** What this peer has promised as a voter, sorted by slot. @default nothing */
  readonly promises?: readonly LeasePromise[]
  /** Packages that releases run from and that have had too few copies for long. @default none */
  readonly shortages?: readonly PackageShortage[]
  /** The last pass's plan; null before the first. */
  readonly plan: Plan | null
  readonly nowMs: number
  readonly wall: number
}

/** Monotonic counts since the start, read when metrics are scraped. */
export interface AgentCounters {
  readonly passes: number
  readonly passMsTotal: number
  readonly passMsMax: number
  readonly actions: number
  readonly gossipIn: number
  readonly gossipOut: number
  readonly gossipRejected: number
  readonly syncRounds: number
  readonly syncDiffering: number
  readonly recordsIn: number
  readonly recordsQuarantined: number
  readonly statusDeltasOut: number
  readonly storeAppends: number
  readonly storeFailures: number
}

export interface AgentPort {
  snapshot(): AgentSnapshot
  /** What was: the changes, and the intent at any moment. Worked out when asked, never in a pass. */
  readonly past: Past
  /**
   * One atomic, durable, gossiped change. Resolves when it is on this peer's disk and in its view.
   * @throws TuttiError `invalid`, `refused`, `too-large`, `storage`, or `conflict` where the intent is not what the
   * condition says; then nothing was changed.
   */
  edit(edits: readonly Edit[], meta: EditMeta, condition?: EditCondition): Promise<EditResult>
  /** Calls after anything in the snapshot changed, at most once a turn of the event loop. Returns the unsubscriber. */
  onChange(listener: () => void): () => void
  events(): readonly PeerEvent[]
  onEvent(listener: (event: PeerEvent) => void): () => void
  counters(): AgentCounters
  /** The last passes, what went into them and what they decided, as lines that `npm run sim -- --journal` plays again. */
  journal(): readonly string[]
  /** When anti-entropy last compared notes with another member, monotonic; null: not since the start. */
  lastExchangeMs(): number | null
  /** Writes down what happened, for people; the sequence number, the time and the peer's name are added. */
  note(event: Pick<PeerEvent, 'kind' | 'subject' | 'message'>): void
  /**
   * Asks one living member and streams the parts of its answer; `input` goes along, as Transport.request says.
   * @throws TuttiError `unreachable`, `refused`, `timeout`.
   */
  ask(
    member: MemberId,
    method: PeerMethod,
    body: Uint8Array,
    signal: AbortSignal,
    input?: AsyncIterable<Uint8Array>,
  ): AsyncIterable<Uint8Array>
  /** Registers what this peer answers when others ask. Once per method. */
  answer(
    method: PeerMethod,
    handler: (
      from: MemberId,
      body: Uint8Array,
      signal: AbortSignal,
      input: AsyncIterable<Uint8Array>,
    ) => AsyncIterable<Uint8Array>,
  ): void
  /**
   * Makes all operators the voters on leases, in the place of voters that are lost. Only where whoever was removed does
   * not run any more. @throws TuttiError `refused`, `unreachable`, `conflict`, `storage`.
   */
  replaceVoters(): Promise<VoterSet>
  /** Mints a ticket: writes the invite into the intent and returns the secret. */
  invite(options: {
    readonly expiresMs: number
    readonly uses: number
    readonly role: Role
  }): Promise<Invitation>
}

/** Questions between peers' faces. */
export type PeerMethod =
  | 'logs'
  | 'events'
  | 'doctor'
  | 'exec'
  | 'lease'
  | 'package-manifest'
  | 'package-have'
  | 'package-chunks'
  | 'package-copy'

export interface Invitation {
  /** One line to copy: cluster, addresses, secret. */
  readonly ticket: string
  /** The secret and the cluster alone, for `--join MULTIADDR --token T`. */
  readonly token: string
  readonly addresses: readonly string[]
  readonly expiresAt: number
  readonly uses: number
}

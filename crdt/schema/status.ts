// Status: what each peer says of itself, as keyed entries of a single-writer last-value map. A null entry deletes.
// A later version may say more: keys and fields that are not described here are passed over, never refused. A field that
// others must understand needs a key of its own all the same, since versions before 0.1 refuse what they do not know.
// Never in here: heartbeats, metric series, logs.

import { Type, type Static } from 'typebox'
import type { PackageDigest } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'

const Count = Type.Integer({ minimum: 0 })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])
const ShortText = Type.String({ maxLength: 1024 })

/** Key `peer`: changes at a start, and rarely else. */
export const PeerFacts = Type.Object({
  version: ShortText,
  /** Lowest and highest placement version it speaks; the cluster acts on the lowest maximum. */
  placementVersionMax: Type.Integer({ minimum: 1 }),
  labels: Type.Record(Type.String({ maxLength: 128 }), ShortText),
  cpusMilli: Count,
  memoryBytes: Count,
  /** Multiaddrs with peer id, most reachable first. */
  addresses: Type.Array(ShortText, { maxItems: 32 }),
  /** IP address or host name on which its instances' ports are reached. */
  host: ShortText,
  /** Wall time, for display. */
  startedAt: Count,
  /** False while the peer is leaving gracefully for good, with its instances stopped. */
  running: Type.Boolean(),
})
export type PeerFacts = Static<typeof PeerFacts>

/**
 * Key `confinement`: what instances can be confined by on this member. A key of its own, since earlier versions refuse facts
 * with a field that they do not know; they pass over a key.
 */
export const ConfinementFacts = Type.Object({
  /** Why an instance cannot be isolated there; empty: it can. */
  sandboxLack: ShortText,
  /** Why an instance cannot become another user there; empty: it can, if the user exists. */
  userLack: ShortText,
  /** The ways to write the member's own user, for which nothing need be changed. */
  ownUsers: Type.Array(ShortText, { maxItems: 8 }),
})
export type ConfinementFacts = Static<typeof ConfinementFacts>

/** Key `formats`: what of the others' words it can read. */
export const FormatFacts = Type.Object({
  /** Of the document: crdt/schema/format.ts. */
  document: Count,
  /** Of anti-entropy: crdt/sync-message.ts. Left out: an earlier version. */
  sync: Type.Optional(Count),
})
export type FormatFacts = Static<typeof FormatFacts>

/** Key `builder`: whether this member can build releases. More fields may come. */
export const BuilderFacts = Type.Object({
  /** Why it cannot; empty: it can. */
  lack: ShortText,
})
export type BuilderFacts = Static<typeof BuilderFacts>

/** Key `build/<duty>`: what this member does about a build duty; no entry while it only watches. More fields may come. */
export const BuildProgress = Type.Object({
  /** `building`: the commit is being built and released. `hindered`: it cannot be now, for no fault of the commit. */
  phase: Type.Enum(['building', 'hindered'] as const),
  /** Empty: none is known. */
  commit: ShortText,
  /** Wall time, for display. */
  since: Count,
  /** Why it is hindered. */
  reason: ShortText,
})
export type BuildProgress = Static<typeof BuildProgress>

/** Marks of packages in one entry: some 20 kB, below what an entry may have. A member that holds more tells of these. */
export const PACKAGES_SAID_MAX = 1000

const MARK_CHARACTERS = 16
/** What members say of a package: enough of its digest to know it among all that a cluster has. */
export const packageMark = (digest: PackageDigest): string => digest.slice(0, MARK_CHARACTERS)

const PackageMarks = Type.Array(Type.String({ maxLength: MARK_CHARACTERS }), { maxItems: PACKAGES_SAID_MAX })

/** Key `packages`: which packages it has, and which are on their way to it. More fields may come. */
export const PackageFacts = Type.Object({ held: PackageMarks, fetching: PackageMarks })
export type PackageFacts = Static<typeof PackageFacts>

/** Key `report`: how far this peer is. */
export const PeerReport = Type.Object({
  digest: Type.String({ maxLength: 64 }),
  /** Nothing left to do here for that digest. */
  settled: Type.Boolean(),
  /** Why not, when not: the first few reasons. */
  waiting: Type.Array(ShortText, { maxItems: 8 }),
})
export type PeerReport = Static<typeof PeerReport>

export const INSTANCE_STATES = [
  'pending',
  'fetching',
  'starting',
  'ready',
  'failing',
  'draining',
  'stopped',
  'crashed',
  'unfulfilled',
] as const
export type InstanceState = (typeof INSTANCE_STATES)[number]

/** Key `instance/<slot>@<release>`. */
export const InstanceStatus = Type.Object({
  slot: ShortText,
  release: ShortText,
  state: Type.Enum(INSTANCE_STATES),
  pid: Type.Union([Count, Type.Null()]),
  ports: Type.Record(Type.String({ maxLength: 64 }), Count),
  /** Wall time of the last change of state, for display. */
  since: Count,
  restarts: Count,
  reason: Type.String({ maxLength: 2048 }),
  /** Reservation it holds on its member. */
  cpusMilli: Count,
  memoryBytes: Count,
  /** Its member's claim to the slot, 0 where it is left out: of two that serve it, the higher goes on (S8). */
  claim: Type.Optional(Count),
  /** Wall time since when its slot is not as desired, once that is beyond the deadline; left out before. */
  unfulfilledSince: Type.Optional(Count),
  /** How its last run ended that is over, and when (wall time; left out by an earlier version). */
  exit: Type.Optional(
    Type.Object({
      code: Nullable(Type.Integer()),
      signal: Nullable(Type.String({ maxLength: 32 })),
      at: Type.Optional(Count),
    }),
  ),
  /** The last lines of that run, where they explain the state. */
  output: Type.Optional(Type.Array(ShortText, { maxItems: 16 })),
})
export type InstanceStatus = Static<typeof InstanceStatus>

/** Key `fence/<slot>@<release>`: the token that the instance's run was given. A key of its own, as `confinement` is. */
export const Fence = Type.Object({ token: Count })
export type Fence = Static<typeof Fence>
/**
 * Key `doubt/<slot>@<release>`: checks of an instance that is ready have failed, fewer in a row than would make it failing.
 * Said while its release is judged: a canary must be well all the time, and not most of it.
 */
export const Doubt = Type.Object({
  /** Times that they began to fail. */
  lapses: Count,
  /** The last one failed. */
  now: Type.Boolean(),
})
export type Doubt = Static<typeof Doubt>

/**
 * preparing: the hook before it runs. canary: the first wave must prove itself. rolling: wave by wave. paused: an operator or a
 * failure holds it. failed: it goes back, or cannot. done: every slot has the release, and it stays good.
 */
export const ROLLOUT_PHASES = ['preparing', 'canary', 'rolling', 'paused', 'failed', 'done'] as const
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number]

/** Key `rollout/<service>`: the word of a steward on the rollout of one release. More fields may come. */
export const RolloutStatus = Type.Object({
  release: ShortText,
  phase: Type.Enum(ROLLOUT_PHASES),
  /** So many slots, in their order, may have the release. */
  open: Count,
  /** 1 is the first. */
  wave: Count,
  /** Wall time since when it is in that phase and wave. */
  since: Count,
  reason: Type.String({ maxLength: 2048 }),
  /** The last release that was good before; null: none is known. */
  good: Nullable(ShortText),
  /** The release has passed its `verify`. */
  verified: Type.Boolean(),
  /** The token of the last operator's word that it follows. */
  heeded: ShortText,
})
export type RolloutStatus = Static<typeof RolloutStatus>

/** Key `hook/<service>@<release>`: how the command went that is run once before a release. More fields may come. */
export const HookStatus = Type.Object({
  /** `running`: from just before its start on. */
  state: Type.Enum(['running', 'done', 'failed'] as const),
  reason: Type.String({ maxLength: 2048 }),
  /** Which run of it for the release, as far as its member knew; 1 where it is left out. */
  attempt: Type.Optional(Count),
  /** It failed for no fault of its own: its machine went down under it. */
  cutOff: Type.Optional(Type.Boolean()),
})
export type HookStatus = Static<typeof HookStatus>

/** Key `alert/<member id>`: this member, an observer, has lost the other at that incarnation. */
export const Alert = Type.Object({ incarnation: Count, silent: Type.Boolean() })
export type Alert = Static<typeof Alert>

export const STATUS_KEYS_MAX = 4096
export const STATUS_KEY_BYTES_MAX = 300
export const STATUS_VALUE_BYTES_MAX = LIMITS.valueBytesMax

/** One member's status, decoded and checked; entries that a newer version wrote and this one cannot read are left out. */
export interface MemberStatus {
  readonly incarnation: number
  readonly facts: PeerFacts | null
  /** Left out: an earlier version, or it has not said yet. */
  readonly confinement?: ConfinementFacts
  /** Left out: the first version. */
  readonly formats?: FormatFacts
  /** Left out: an earlier version, or it has not said yet. */
  readonly builder?: BuilderFacts
  /** By build duty; left out: it does nothing about any. */
  readonly builds?: ReadonlyMap<string, BuildProgress>
  /** Left out: it has none. */
  readonly packages?: PackageFacts
  readonly report: PeerReport | null
  /** By instance id. */
  readonly instances: ReadonlyMap<string, InstanceStatus>
  /** Fencing tokens of runs under a lease, by instance id. Left out: none. */
  readonly fences?: ReadonlyMap<string, number>
  /** By instance id. Left out: none. */
  readonly doubts?: ReadonlyMap<string, Doubt>
  /** By accused member id. */
  readonly alerts: ReadonlyMap<string, Alert>
  /** By service id. Left out: none. */
  readonly rollouts?: ReadonlyMap<string, RolloutStatus>
  /** By `<service>@<release>`. Left out: none. */
  readonly hooks?: ReadonlyMap<string, HookStatus>
}

// The API contract: every request and reply as one TypeBox value, which is the static type for the command line and the
// dashboard, the validation, the serialization and the OpenAPI description. Adding fields is always allowed, removing
// or renaming is not. Deliberately absent: how any of it is answered.

import { Type, type Static } from 'typebox'
import { NAME_PATTERN } from '../../../lib/ids.ts'
import { LIMITS } from '../../../lib/limits.ts'
import { PackageSource } from '../../../crdt/schema/package.ts'
import { PACKAGE_DIGEST_PATTERN, PACKAGE_REF_PATTERN } from '../../../crdt/schema/patterns.ts'
import { CellSpec, Name, ServiceRef } from '../../../crdt/schema/service.ts'
import { INSTANCE_STATES } from '../../../crdt/schema/status.ts'
import {
  BuildDutyReply,
  RecordBuild,
  RemoveBuildDuty,
  RetryBuild,
  SetBuildDuty,
} from './contract-build-duties.ts'
import { leasedFields, leasedSlots, LeaseReply, VotersReply } from './contract-leases.ts'
import { RolloutOperation, RolloutReply, SlotReleaseReply } from './contract-rollout.ts'

export type { RolloutCommand, RolloutReply, SlotReleaseReply } from './contract-rollout.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** How fresh an answer is: which peer gave it, from which view, and whom it could see. */
export const AsOf = Type.Object({
  peer: Text,
  digest: Text,
  /** Wall time of the answering peer. */
  at: Count,
  alive: Count,
  members: Count,
})
export type AsOf = Static<typeof AsOf>

export const ErrorReply = Type.Object({
  error: Type.Object({ code: Text, message: Text, requestId: Text }),
})
export type ErrorReply = Static<typeof ErrorReply>

// -------------------------------------------------------------------------------------------------------------- reads

export const PeerReply = Type.Object({
  name: Text,
  id: Text,
  state: Type.Enum(['alive', 'suspect', 'dead', 'left'] as const),
  self: Type.Boolean(),
  role: Text,
  cordoned: Type.Boolean(),
  draining: Type.Boolean(),
  labels: Type.Record(Text, Text),
  capacity: Type.Object({ cpus: Type.Number(), memory: Count }),
  addresses: Type.Array(Text),
  version: Text,
  /** Wall time of its last start, by its own clock. Left out: it has not said so yet. */
  startedAt: Type.Optional(Count),
  instances: Count,
  digest: Text,
  settled: Type.Boolean(),
  /** Milliseconds since it was last heard of; 0 for the answering peer. */
  ageMs: Count,
})
export const PeersReply = Type.Object({
  asOf: AsOf,
  cluster: Text,
  braked: Type.Boolean(),
  peers: Type.Array(PeerReply),
})
export type PeersReply = Static<typeof PeersReply>

/** `at` is wall time; null: a peer of an earlier version does not say it. */
export const ExitReply = Type.Object({
  code: Nullable(Type.Integer()),
  signal: Nullable(Text),
  at: Nullable(Count),
})
export const InstanceReply = Type.Object({
  slot: Text,
  cell: Text,
  service: Text,
  index: Count,
  peer: Text,
  release: Text,
  state: Type.Enum(INSTANCE_STATES),
  pid: Nullable(Count),
  ports: Type.Record(Text, Count),
  host: Text,
  since: Count,
  restarts: Count,
  reason: Text,
  /** Since when its slot is overdue; null: it is not. */
  unfulfilledSince: Nullable(Count),
  /** How its last run ended that is over; null: none is, or nobody knows of it. */
  exit: Nullable(ExitReply),
  /** The last lines of that run, where they explain the state. */
  output: Type.Array(Text),
  ...leasedFields,
})
export const InstancesReply = Type.Object({ asOf: AsOf, instances: Type.Array(InstanceReply) })
export type InstancesReply = Static<typeof InstancesReply>

export const ConflictReply = Type.Object({
  path: Text,
  value: Text,
  winner: Text,
  /** Who wrote the value that lost, when, and in which change. */
  author: Text,
  change: Text,
  at: Count,
  /** The same of what won: of the value, or of the removal of its service. Left out by an earlier version. */
  winnerAuthor: Type.Optional(Text),
  winnerChange: Type.Optional(Text),
  winnerAt: Type.Optional(Count),
  /** The command line that settles it for the value in force; empty: nothing is left to settle. */
  settle: Type.Optional(Text),
})
export const ConflictsReply = Type.Object({ asOf: AsOf, conflicts: Type.Array(ConflictReply) })
export type ConflictsReply = Static<typeof ConflictsReply>

export const UnfulfilledReply = Type.Object({
  slot: Text,
  /** Null: no peer holds it. */
  peer: Nullable(Text),
  state: Type.Enum(INSTANCE_STATES),
  reason: Text,
  since: Count,
  exit: Nullable(ExitReply),
  output: Type.Array(Text),
})
export const ServiceReply = Type.Object({
  name: Text,
  mode: Text,
  desired: Count,
  ready: Count,
  release: Text,
  /** Some slot still runs another release, or none yet. */
  releasing: Type.Boolean(),
  stopped: Type.Boolean(),
  unfulfilled: Type.Array(UnfulfilledReply),
  conflicts: Type.Array(ConflictReply),
  ...leasedSlots,
})
export const StatusReply = Type.Object({
  asOf: AsOf,
  digest: Text,
  settled: Type.Boolean(),
  /** Why not, peer by peer. */
  waiting: Type.Array(Type.Object({ peer: Text, reason: Text })),
  voters: Type.Optional(VotersReply),
  /** Packages that releases run from and that have had too few copies for long; left out: none, or an earlier version. */
  packages: Type.Optional(
    Type.Array(Type.Object({ name: Text, copies: Count, wanted: Count, since: Count })),
  ),
  cells: Type.Array(Type.Object({ name: Text, services: Type.Array(ServiceReply) })),
})
export type StatusReply = Static<typeof StatusReply>

export const ServicesReply = Type.Object({
  asOf: AsOf,
  services: Type.Array(
    Type.Object({
      cell: Text,
      name: Text,
      mode: Text,
      desired: Count,
      ready: Count,
      release: Text,
      stopped: Type.Boolean(),
      command: Type.Array(Text),
      ports: Type.Array(Text),
    }),
  ),
})
export type ServicesReply = Static<typeof ServicesReply>

export const RolloutsReply = Type.Object({ asOf: AsOf, rollouts: Type.Array(RolloutReply) })
export type RolloutsReply = Static<typeof RolloutsReply>

export const CellsReply = Type.Object({
  asOf: AsOf,
  cells: Type.Array(
    Type.Object({ name: Text, services: Count, desired: Count, ready: Count, unfulfilled: Count }),
  ),
})
export type CellsReply = Static<typeof CellsReply>

export const BuildDutiesReply = Type.Object({ asOf: AsOf, duties: Type.Array(BuildDutyReply) })
export type BuildDutiesReply = Static<typeof BuildDutiesReply>

export const ExplainReply = Type.Object({
  asOf: AsOf,
  slots: Type.Array(
    Type.Object({
      slot: Text,
      /** Null: placed nowhere. */
      peer: Nullable(Text),
      reason: Text,
      version: Count,
      /** Left out: the slot needs none, or this peer knows of none. */
      lease: Type.Optional(LeaseReply),
      candidates: Type.Array(
        Type.Object({
          peer: Text,
          eligible: Type.Boolean(),
          /** Why not, or what speaks for it. */
          reasons: Type.Array(Text),
          /** 1 is the hash's first choice. */
          rank: Count,
        }),
      ),
      /** What would change the answer. */
      changes: Type.Array(Text),
      unfulfilled: Nullable(UnfulfilledReply),
      /** How far the wanted release is in it. */
      release: Type.Optional(SlotReleaseReply),
    }),
  ),
  /** How far the wanted release is; left out: the service is stopped. */
  rollout: Type.Optional(RolloutReply),
  /** Further slots of the service, left out since explaining each costs a whole election; ask for one of them by name. */
  omitted: Count,
})
export type ExplainReply = Static<typeof ExplainReply>

// ------------------------------------------------------------------------------------------------------------- writes

export const Operation = Type.Union([
  /** Makes the cell exactly this: services that are missing are added, others changed or removed. */
  Type.Object({ kind: Type.Literal('apply'), cell: CellSpec }, strict),
  Type.Object(
    {
      kind: Type.Literal('scale'),
      service: ServiceRef,
      replicas: Type.Integer({ minimum: 0, maximum: 2000 }),
    },
    strict,
  ),
  Type.Object({ kind: Type.Literal('restart'), service: ServiceRef }, strict),
  Type.Object({ kind: Type.Literal('stop'), service: ServiceRef }, strict),
  Type.Object({ kind: Type.Literal('start'), service: ServiceRef }, strict),
  Type.Object({ kind: Type.Literal('remove'), service: ServiceRef }, strict),
  Type.Object({ kind: Type.Literal('remove-cell'), cell: Name }, strict),
  Type.Object({ kind: Type.Literal('cordon'), peer: Text }, strict),
  Type.Object({ kind: Type.Literal('uncordon'), peer: Text }, strict),
  Type.Object({ kind: Type.Literal('drain'), peer: Text }, strict),
  Type.Object({ kind: Type.Literal('remove-peer'), peer: Text }, strict),
  /**
   * Back to what a service was at a moment (`now~3`, the start of a change's hash) in all but its replicas; left out: back to
   * the release before the present one, and nothing else changes.
   */
  Type.Object(
    {
      kind: Type.Literal('rollback'),
      service: ServiceRef,
      to: Type.Optional(Type.String({ maxLength: 80 })),
    },
    strict,
  ),
  /** Settles a conflict: for the value in force, or for the one that a change wrote, named by the start of its hash. */
  Type.Object(
    {
      kind: Type.Literal('resolve'),
      path: Type.String({ maxLength: 400 }),
      take: Type.Optional(Type.String({ pattern: '^[0-9a-f]{4,64}$' })),
    },
    strict,
  ),
  RolloutOperation,
  SetBuildDuty,
  RemoveBuildDuty,
  RetryBuild,
  RecordBuild,
  /** Lists a version of a package, which must have been pushed to the peer that is asked. */
  Type.Object(
    {
      kind: Type.Literal('put-package'),
      ref: Type.String({ pattern: PACKAGE_REF_PATTERN }),
      digest: Type.String({ pattern: PACKAGE_DIGEST_PATTERN }),
      bytes: Count,
      files: Count,
      /** What it was built from. */
      source: Type.Optional(PackageSource),
      /** So many versions of its name stay listed, besides those that services run from. @default all */
      keep: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    },
    strict,
  ),
  Type.Object(
    { kind: Type.Literal('remove-package'), ref: Type.String({ pattern: PACKAGE_REF_PATTERN }) },
    strict,
  ),
])
export type Operation = Static<typeof Operation>

/** A release lists a package for each service of a cell, applies the cell, and settles its build duty. */
const OPERATIONS_MAX = LIMITS.servicesPerCellMax + 2

/** `POST /v1/changes`: all operations in one atomic change. */
export const ChangeRequest = Type.Object(
  {
    operations: Type.Array(Operation, { minItems: 1, maxItems: OPERATIONS_MAX }),
    message: Type.Optional(Type.String({ maxLength: 500 })),
    /** Only say what it would do. @default false */
    dry: Type.Optional(Type.Boolean()),
    /** Refuse (`conflict`) when the intent's digest does not begin so: somebody has changed something meanwhile. */
    ifDigest: Type.Optional(Type.String({ pattern: '^[0-9a-f]{8,64}$' })),
    /** Also wants releases that were rejected before. @default false */
    retry: Type.Optional(Type.Boolean()),
  },
  strict,
)
export type ChangeRequest = Static<typeof ChangeRequest>

export const ChangeReply = Type.Object({
  asOf: AsOf,
  /** Null: a dry run, or nothing to change. */
  change: Nullable(Text),
  digest: Text,
  accepted: Type.Enum(['local', 'majority'] as const),
  /** Field by field, as people read it. */
  edits: Type.Array(Type.Object({ path: Text, from: Nullable(Text), to: Nullable(Text) })),
  /** Slot by slot, what would start, stop, move or be replaced. */
  slots: Type.Array(
    Type.Object({
      slot: Text,
      kind: Type.Enum(['start', 'stop', 'move', 'replace', 'unplaceable'] as const),
      from: Nullable(Text),
      to: Nullable(Text),
      reason: Text,
    }),
  ),
  /** How long it takes at least when everything goes well. Left out by an earlier version. */
  duration: Type.Optional(
    Type.Object({
      leastMs: Count,
      /** Slowest first. */
      services: Type.Array(
        Type.Object({
          service: Text,
          /** Turns in which its slots change, one after the other. */
          waves: Count,
          leastMs: Count,
          /** From then on what is not as desired is reported. */
          overdueMs: Count,
          reason: Text,
        }),
      ),
    }),
  ),
  /** What is allowed but probably not meant: a constraint nobody meets, a replica count no one can hold. */
  warnings: Type.Array(Text),
  /** Services that get another release by it, with that release. Left out by an earlier version. */
  releases: Type.Optional(Type.Record(Text, Text)),
})
export type ChangeReply = Static<typeof ChangeReply>

export const InviteRequest = Type.Object(
  {
    expiresMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 30 * 86_400_000 })),
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    role: Type.Optional(Type.Enum(['operator', 'runner'] as const)),
  },
  strict,
)
export type InviteRequest = Static<typeof InviteRequest>
export const InviteReply = Type.Object({
  ticket: Text,
  token: Text,
  addresses: Type.Array(Text),
  expiresAt: Count,
  uses: Count,
})
export type InviteReply = Static<typeof InviteReply>

export const JoinRequest = Type.Object(
  { ticket: Type.String({ maxLength: 8192 }), name: Type.Optional(Type.String({ pattern: NAME_PATTERN })) },
  strict,
)
export type JoinRequest = Static<typeof JoinRequest>
export const JoinReply = Type.Object({ cluster: Text, id: Text, name: Text, members: Count })
export type JoinReply = Static<typeof JoinReply>

// ------------------------------------------------------------------------------------------------------------- routes

/** Where each is asked: method and path. Streams are NDJSON (`logs`, `events` with `follow`) or server-sent (`watch`). */
export const ROUTES = {
  peers: '/v1/peers',
  instances: '/v1/instances',
  services: '/v1/services',
  cells: '/v1/cells',
  status: '/v1/status',
  /** ExplainReply; `?of=CELL/SERVICE[/SLOT]`. */
  placements: '/v1/placements',
  conflicts: '/v1/conflicts',
  /** RolloutsReply; `?service=CELL/SERVICE`. */
  rollouts: '/v1/rollouts',
  events: '/v1/events',
  logs: '/v1/logs',
  watch: '/v1/watch',
  /** POST, ChangeRequest; GET, HistoryReply, and with a change behind it OneChangeReply, of contract-history.ts. */
  changes: '/v1/changes',
  /** DiffReply of contract-history.ts; `?from=A&to=B`. */
  diff: '/v1/diff',
  /** IntentReply of contract-history.ts; `?at=A`. */
  intent: '/v1/intent',
  /** POST, SimulationRequest of contract-simulate.ts. */
  simulations: '/v1/simulations',
  /** RebalanceReply of contract-simulate.ts. */
  rebalance: '/v1/rebalance',
  /** BuildDutiesReply. */
  buildDuties: '/v1/build-duties',
  /** POST, InviteRequest. */
  invites: '/v1/invites',
  /** GET, VotersStanding; POST, VotersReplaced; both of contract-leases.ts. */
  voters: '/v1/voters',
  /** POST, JoinRequest. */
  join: '/v1/join',
  /** DoctorReply of contract-doctor.ts; `?all=true`. */
  doctor: '/v1/doctor',
  /** JournalReply of contract-doctor.ts. */
  journal: '/v1/journal',
  /** A WebSocket; ExecOpening, then exec-wire.ts. */
  exec: '/v1/exec',
} as const

/** `GET /v1`: what answers here, and what it answers. */
export const IndexReply = Type.Object({
  name: Text,
  version: Text,
  peer: Text,
  id: Text,
  cluster: Text,
  routes: Type.Array(Type.Object({ method: Text, path: Text, summary: Text })),
})
export type IndexReply = Static<typeof IndexReply>

/** `/healthz` and `/readyz`: `reason` says why not, with a status of 503. */
export const HealthReply = Type.Object({ ok: Type.Boolean(), reason: Text })
export type HealthReply = Static<typeof HealthReply>

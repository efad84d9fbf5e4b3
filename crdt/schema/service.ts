// A service as operators define it: one TypeBox schema that is the static type, the API's validation and the guard of
// the document's fields. Durations are milliseconds, sizes bytes, CPU thousandths; the cell file's units are parsed
// before. Its defaults are in service-defaults.ts. Deliberately absent: anything that says where an instance runs.

import { Type, type Static } from 'typebox'
import { NAME_PATTERN } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import { PACKAGE_NAMED_PATTERN, USER_PATTERN } from './patterns.ts'
import { DEPENDENCY_CONDITIONS } from './service-defaults.ts'

const strict = { additionalProperties: false } as const
const DURATION_MAX_MS = 7 * 86_400_000

export const Name = Type.String({ pattern: NAME_PATTERN })
export const ServiceRef = Type.String({ pattern: '^[a-z0-9-]{1,63}/[a-z0-9-]{1,63}$' })
const DurationMs = Type.Integer({ minimum: 0, maximum: DURATION_MAX_MS })
const Text = Type.String({ maxLength: LIMITS.valueBytesMax })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])
const Choice = <const V extends string[]>(...values: readonly [...V]) => Type.Enum<V>(values)

/**
 * A probe. `http` is a path asked on the first named port, `tcp` connects to it, `command` must exit with 0, `none` asks
 * nothing, not even whether the ports accept.
 */
export const Healthcheck = Type.Object(
  {
    kind: Choice('http', 'tcp', 'command', 'none'),
    /** HTTP only: path and query, `/healthz`. A status of 200 to 399 is healthy. */
    path: Type.Optional(Type.String({ pattern: '^/', maxLength: 1024 })),
    /** HTTP and TCP: the named port; the service's first one where it is left out. */
    port: Type.Optional(Name),
    /** Command only: exec form. */
    command: Type.Optional(Type.Array(Text, { minItems: 1, maxItems: 256 })),
    intervalMs: Type.Integer({ minimum: 100, maximum: DURATION_MAX_MS }),
    timeoutMs: Type.Integer({ minimum: 10, maximum: DURATION_MAX_MS }),
    /** Consecutive failures that make a ready instance failing. */
    retries: Type.Integer({ minimum: 1, maximum: 100 }),
    /** Consecutive successes that make it ready, at first and after it failed. @default 1 */
    successes: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    /** Failures in this time after a start do not count. */
    startPeriodMs: DurationMs,
  },
  strict,
)
export type Healthcheck = Static<typeof Healthcheck>

/** A command that is run once for a release before any slot changes. */
export const PreDeploy = Type.Object(
  {
    /** Exec form; runs in the service's environment and directory. */
    command: Type.Array(Text, { minItems: 1, maxItems: 256 }),
    timeoutMs: Type.Integer({ minimum: 100, maximum: DURATION_MAX_MS }),
  },
  strict,
)
export type PreDeploy = Static<typeof PreDeploy>

/** What a release must pass once its first slots are ready: one of the two. */
export const Verify = Type.Object(
  {
    /** Exec form; finds the instance at TUTTI_VERIFY_URL, _HOST and _PORT, and must exit with 0. */
    command: Type.Optional(Type.Array(Text, { minItems: 1, maxItems: 256 })),
    /** Path and query that must answer with a status of 200 to 399 on the first named port. */
    http: Type.Optional(Type.String({ pattern: '^/', maxLength: 1024 })),
    timeoutMs: Type.Integer({ minimum: 100, maximum: DURATION_MAX_MS }),
  },
  strict,
)
export type Verify = Static<typeof Verify>

export const ServiceSpec = Type.Object(
  {
    name: Name,
    /** Exec form; the first word is looked up on the peer's PATH or, with a slash, in `workingDir`. */
    command: Type.Array(Text, { minItems: 1, maxItems: 1024 }),
    /**
     * Absolute directory on the peer that runs the instance; null: a fresh directory of the instance's own. With a package:
     * relative to it; null: its root.
     */
    workingDir: Nullable(Text),
    /** What it runs from: `api@1.4.2`, which an edit pins as `api@1.4.2#<digest>`; null: what the peers have. */
    package: Nullable(Type.String({ pattern: PACKAGE_NAMED_PATTERN })),
    environment: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }), Text),
    /** Named ports: 0 is allocated by the peer, any other number is fixed. */
    ports: Type.Record(Type.String({ pattern: NAME_PATTERN }), Type.Integer({ minimum: 0, maximum: 65_535 })),
    /** Readiness: while it fails, an instance gets no traffic and stays. Null: ready once all its ports accept. */
    healthcheck: Nullable(Healthcheck),
    /** Liveness: once it fails, an instance is restarted. */
    liveness: Nullable(Healthcheck),
    /** By service of the same cell. */
    dependsOn: Type.Record(Type.String({ pattern: NAME_PATTERN }), Choice(...DEPENDENCY_CONDITIONS)),
    /** Services that it calls; each gives it an address in its environment. */
    uses: Type.Array(ServiceRef, { maxItems: 64 }),
    stopSignal: Choice('SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGKILL'),
    stopGraceMs: DurationMs,
    onPartition: Choice('run', 'quorum', 'stay'),
    mode: Choice('replicated', 'global'),
    /** Null: the file does not say, so what `tutti scale` set stays; 1 when nothing did. */
    replicas: Nullable(Type.Integer({ minimum: 0, maximum: LIMITS.replicasMax })),
    reservedCpusMilli: Type.Integer({ minimum: 0, maximum: 1_024_000 }),
    reservedMemoryBytes: Type.Integer({ minimum: 0, maximum: 2 ** 50 }),
    memoryMaxBytes: Nullable(Type.Integer({ minimum: 1, maximum: 2 ** 50 })),
    cpusMaxMilli: Nullable(Type.Integer({ minimum: 1, maximum: 1_024_000 })),
    /** Processes and threads at once. */
    pidsMax: Nullable(Type.Integer({ minimum: 1, maximum: 4_194_304 })),
    /** Open files of each process, soft and hard limit alike. */
    openFilesMax: Nullable(Type.Integer({ minimum: 3, maximum: 2 ** 30 })),
    /** `name`, `uid`, each with `:group` or `:gid`, as the peer knows them; null: the peer's own user. */
    user: Nullable(Type.String({ pattern: USER_PATTERN })),
    /** `sandbox`: sees the system's programs, its working directory and its own processes, and nothing else. */
    isolation: Choice('none', 'sandbox'),
    /** `node.labels.KEY == VALUE`, `node.name != a`; all must hold. */
    constraints: Type.Array(Type.String({ maxLength: 512 }), { maxItems: 64 }),
    /** `node.labels.KEY`: spread evenly over that label's values before over members. */
    spread: Nullable(Type.String({ pattern: '^node\\.labels\\.[A-Za-z0-9_.-]{1,128}$' })),
    replicasPerNodeMax: Nullable(Type.Integer({ minimum: 1, maximum: LIMITS.replicasMax })),
    update: Type.Object(
      {
        order: Choice('start-first', 'stop-first'),
        /** Slots that may be between releases at once. 0: all of them. */
        parallelism: Type.Integer({ minimum: 0, maximum: LIMITS.replicasMax }),
        /** Slots that change first and must prove themselves before any other does. @default 0 */
        canary: Type.Optional(Type.Integer({ minimum: 0, maximum: LIMITS.replicasMax })),
        /** How long a wave must stay ready before the next one begins. @default 0 */
        monitorMs: Type.Optional(DurationMs),
        /** Between waves, besides that. @default 0 */
        delayMs: Type.Optional(DurationMs),
        /** What a release that fails comes to. @default null: as the other settings say (plan/rollout/policy.ts) */
        failureAction: Type.Optional(Nullable(Choice('rollback', 'pause'))),
        /** A rollout without progress for this long has failed. @default null: as the other settings say */
        progressDeadlineMs: Type.Optional(Nullable(DurationMs)),
        /** manual: after its first wave a rollout waits for an operator's word. @default 'auto' */
        promote: Type.Optional(Choice('auto', 'manual')),
      },
      strict,
    ),
    /** @default null: nothing is run */
    preDeploy: Type.Optional(Nullable(PreDeploy)),
    /** @default null: being ready is enough */
    verify: Type.Optional(Nullable(Verify)),
    restart: Type.Object(
      {
        condition: Choice('any', 'on-failure', 'none'),
        delayMs: DurationMs,
        delayMaxMs: DurationMs,
        /** Restarts after failed runs in a row before it is given up; null: never. */
        attemptsMax: Nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
        /** A run this long is no failed one, so that delay and attempts begin anew. */
        windowMs: DurationMs,
      },
      strict,
    ),
    /** How long a dead member keeps its slots before they are placed elsewhere. */
    rescheduleAfterMs: DurationMs,
    /** How long a slot may not be as desired before it is reported; null: as long as its probes need, and ten seconds. */
    unfulfilledAfterMs: Nullable(DurationMs),
  },
  strict,
)
export type ServiceSpec = Static<typeof ServiceSpec>

export const CellSpec = Type.Object(
  { name: Name, services: Type.Array(ServiceSpec, { maxItems: LIMITS.servicesPerCellMax }) },
  strict,
)
export type CellSpec = Static<typeof CellSpec>

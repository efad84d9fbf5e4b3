// What a service is where nobody says: every default, here and nowhere else. Beside the schema and not in it: the command
// line reads a cell file with these alone, and loading the schema would take it longer than the reading.

import type { ServiceSpec } from './service.ts'

/** started: some instance runs. healthy: some instance is ready. completed: every slot has run to its good end. */
export const DEPENDENCY_CONDITIONS = ['started', 'healthy', 'completed'] as const
export type DependencyCondition = (typeof DEPENDENCY_CONDITIONS)[number]

/** Compose's healthcheck defaults, but for the interval: 30 s is an eternity when a deploy waits for it. */
export const HEALTHCHECK_DEFAULTS = {
  intervalMs: 5000,
  timeoutMs: 2000,
  retries: 3,
  startPeriodMs: 0,
} as const

/** What a service is where its file is silent; `name` and `command` have no default. */
export const SERVICE_DEFAULTS = {
  workingDir: null,
  package: null,
  environment: {},
  ports: {},
  healthcheck: null,
  liveness: null,
  dependsOn: {},
  uses: [],
  stopSignal: 'SIGTERM',
  stopGraceMs: 10_000,
  onPartition: 'run',
  mode: 'replicated',
  replicas: null,
  reservedCpusMilli: 0,
  reservedMemoryBytes: 0,
  memoryMaxBytes: null,
  cpusMaxMilli: null,
  pidsMax: null,
  openFilesMax: null,
  user: null,
  isolation: 'none',
  constraints: [],
  spread: null,
  replicasPerNodeMax: null,
  update: { order: 'start-first', parallelism: 1 },
  // A window of ten seconds, as systemd's start-limit interval.
  restart: {
    condition: 'any',
    delayMs: 500,
    delayMaxMs: 30_000,
    attemptsMax: null,
    windowMs: 10_000,
  },
  rescheduleAfterMs: 5000,
  unfulfilledAfterMs: null,
} as const satisfies Omit<ServiceSpec, 'name' | 'command'>

/**
 * Defaults of fields that came after the first version. A new service writes these fields only where they differ, and a
 * release hashes them only then: a field that nobody uses must not make a new release of every service there is.
 */
export const LATER_DEFAULTS = {
  package: null,
  pidsMax: null,
  openFilesMax: null,
  user: null,
  isolation: 'none',
} as const satisfies Partial<ServiceSpec>

/** The same for what came later in `update`, and for hooks: they are about how a release comes, so no release hashes them. */
export const ROLLOUT_DEFAULTS = {
  canary: 0,
  monitorMs: 0,
  delayMs: 0,
  failureAction: null,
  progressDeadlineMs: null,
  promote: 'auto',
} as const satisfies Partial<ServiceSpec['update']>
const HOOK_DEFAULTS = { preDeploy: null, verify: null } as const satisfies Partial<ServiceSpec>

const UNSET: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...Object.entries<unknown>(LATER_DEFAULTS),
  ...Object.entries<unknown>(HOOK_DEFAULTS),
  ...Object.entries<unknown>(ROLLOUT_DEFAULTS).map(([name, value]): [string, unknown] => [
    `update/${name}`,
    value,
  ]),
])

/** Whether a field has nothing to say: it came later and has its default. */
export const isUnset = (field: string, value: unknown): boolean =>
  UNSET.has(field) && UNSET.get(field) === value

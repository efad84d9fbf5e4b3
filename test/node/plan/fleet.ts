// Builders of small fleets for the tests of node/plan: members, services, statuses and local instances with sensible
// defaults, so that a test names only what it is about. It decides nothing.

import { defined } from '../../../lib/assert.ts'
import { sha256Hex } from '../../../lib/hash.ts'
import {
  instanceIdOf,
  serviceIdOf,
  slotIdOf,
  type ClusterId,
  type Digest,
  type InstanceId,
  type MemberId,
  type PackageDigest,
  type ReleaseId,
  type SlotId,
} from '../../../lib/ids.ts'
import type { ServiceSpec } from '../../../crdt/schema/service.ts'
import { isUnset, SERVICE_DEFAULTS } from '../../../crdt/schema/service-defaults.ts'
import type {
  ConfinementFacts,
  HookStatus,
  InstanceState,
  InstanceStatus,
  MemberStatus,
  PeerFacts,
  RolloutStatus,
} from '../../../crdt/schema/status.ts'
import type { MemberView, ReleaseDefinition, ServiceView, View } from '../../../crdt/schema/view.ts'
import type { MemberState } from '../../../net/membership.ts'
import type { LocalInstance } from '../../../node/plan/local.ts'
import { PLACEMENT_VERSION } from '../../../node/plan/placement-version.ts'
import type { PlanInput } from '../../../node/plan/plan.ts'

export interface MemberOptions {
  readonly cpus?: number
  readonly memoryBytes?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly cordoned?: boolean
  readonly draining?: boolean
  readonly state?: MemberState
  readonly sinceMs?: number
  readonly facts?: boolean
  readonly running?: boolean
  /** What it says that it can confine by. */
  readonly confinement?: ConfinementFacts
  /** @default the newest */
  readonly placementVersion?: number
}

export interface ServiceOptions extends Partial<Omit<ServiceSpec, 'name' | 'replicas'>> {
  readonly replicas?: number
  readonly stopped?: boolean
  readonly restartToken?: string
}

export const idOf = (name: string): MemberId => `12D3-${sha256Hex(name).slice(0, 12)}` as MemberId

export const definitionOf = (spec: ServiceOptions): ReleaseDefinition => ({
  command: spec.command ?? ['serve'],
  workingDir: null,
  ...(spec.package === undefined || spec.package === null
    ? {}
    : { package: spec.package.slice(spec.package.indexOf('#') + 1) as PackageDigest }),
  environment: {},
  ports: spec.ports ?? {},
  healthcheck: spec.healthcheck ?? null,
  ...(spec.liveness === undefined || spec.liveness === null ? {} : { liveness: spec.liveness }),
  uses: spec.uses ?? [],
  stopSignal: 'SIGTERM',
  stopGraceMs: 10_000,
  memoryMaxBytes: null,
  cpusMaxMilli: null,
  pidsMax: null,
  openFilesMax: null,
  user: null,
  isolation: 'none',
  restartToken: spec.restartToken ?? '',
})

/** `shop/web` with the given spec; the release follows its definition. */
export const service = (path: string, options: ServiceOptions = {}): ServiceView => {
  const [cell = '', name = ''] = path.split('/')
  const definition = definitionOf(options)
  return {
    ...SERVICE_DEFAULTS,
    name,
    command: ['serve'],
    ...options,
    id: serviceIdOf(cell, name),
    cell,
    generation: 1,
    replicas: options.replicas ?? 1,
    stopped: options.stopped ?? false,
    definition,
    release: releaseOf(options),
    conflicts: [],
  }
}

export const releaseOf = (options: ServiceOptions): ReleaseId =>
  sha256Hex(
    JSON.stringify(definitionOf(options), (name, value: unknown) =>
      isUnset(name, value) ? undefined : value,
    ),
  ).slice(0, 12) as ReleaseId

export const viewOf = (members: readonly MemberView[], services: readonly ServiceView[]): View => ({
  cluster: '0'.repeat(32) as ClusterId,
  members,
  removed: [],
  invites: [],
  services: services.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  digest: sha256Hex(JSON.stringify([members, services])) as Digest,
})

const factsOf = (name: string, options: MemberOptions): PeerFacts => ({
  version: '0.1.0',
  placementVersionMax: options.placementVersion ?? PLACEMENT_VERSION,
  labels: { ...options.labels },
  cpusMilli: (options.cpus ?? 4) * 1000,
  memoryBytes: options.memoryBytes ?? 8 * 1024 ** 3,
  addresses: [],
  host: `${name}.test`,
  startedAt: 0,
  running: options.running ?? true,
})

export interface StatusOptions {
  readonly state?: InstanceState
  readonly release?: ReleaseId
  readonly restarts?: number
  readonly pid?: number | null
  readonly claim?: number
}

/** Entries of a member's status for slots of a service. */
export const holding = (
  of: ServiceView,
  slots: readonly (SlotId | number)[],
  options: StatusOptions = {},
): [string, InstanceStatus][] =>
  slots.map((at) => {
    const slot = typeof at === 'number' ? slotIdOf(of.id, at) : at
    const release = options.release ?? of.release
    const state = options.state ?? 'ready'
    return [
      instanceIdOf(slot, release),
      {
        slot,
        release,
        state,
        pid: options.pid === undefined ? (state === 'pending' ? null : 100) : options.pid,
        ports: { http: 8000 },
        since: 0,
        restarts: options.restarts ?? 0,
        reason: '',
        cpusMilli: of.reservedCpusMilli,
        memoryBytes: of.reservedMemoryBytes,
        ...(options.claim === undefined ? {} : { claim: options.claim }),
      },
    ]
  })

export interface FleetOptions {
  readonly self?: string
  readonly members: Readonly<Record<string, MemberOptions>>
  readonly services?: readonly ServiceView[]
  /** Instances each member's status shows, by member name. */
  readonly holds?: Readonly<Record<string, readonly [string, InstanceStatus][]>>
  readonly local?: readonly LocalInstance[]
  /** What each member says of rollouts, by member name and service. */
  readonly rollouts?: Readonly<Record<string, Readonly<Record<string, RolloutStatus>>>>
  /** What each member says of hooks, by member name and `<service>@<release>`. */
  readonly hooks?: Readonly<Record<string, Readonly<Record<string, HookStatus>>>>
  readonly nowMs?: number
  readonly brakedUntilMs?: number | null
  readonly unreadySinceMs?: ReadonlyMap<InstanceId, number>
  /** The digest that a member's report names, by member name; members that are left out have no report. */
  readonly digests?: Readonly<Record<string, string>>
}

const reportOf = (digest: string | undefined): MemberStatus['report'] =>
  digest === undefined ? null : { digest, settled: true, waiting: [] }

export const fleet = (options: FleetOptions): PlanInput => {
  const entries = Object.entries(options.members)
  const members = entries
    .map(([name, member]): MemberView => ({
      id: idOf(name),
      name,
      role: 'operator',
      addresses: [],
      cordoned: member.cordoned ?? false,
      draining: member.draining ?? false,
    }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const statuses = new Map<MemberId, MemberStatus>(
    entries.map(([name, member]) => [
      idOf(name),
      {
        incarnation: 1,
        ...(member.confinement === undefined ? {} : { confinement: member.confinement }),
        facts: member.facts === false ? null : factsOf(name, member),
        report: reportOf(options.digests?.[name]),
        instances: new Map(options.holds?.[name] ?? []),
        alerts: new Map(),
        ...(options.rollouts?.[name] === undefined
          ? {}
          : { rollouts: new Map(Object.entries(options.rollouts[name])) }),
        ...(options.hooks?.[name] === undefined
          ? {}
          : { hooks: new Map(Object.entries(options.hooks[name])) }),
      },
    ]),
  )
  return {
    self: idOf(options.self ?? defined(entries[0], 'a member')[0]),
    view: viewOf(members, options.services ?? []),
    statuses,
    membership: {
      members: members.map(({ id, name }) => ({
        id,
        state: options.members[name]?.state ?? 'alive',
        sinceMs: options.members[name]?.sinceMs ?? 0,
        silent: false,
      })),
      brakedUntilMs: options.brakedUntilMs ?? null,
    },
    local: options.local ?? [],
    nowMs: options.nowMs ?? 100_000,
    ...(options.unreadySinceMs === undefined ? {} : { unreadySinceMs: options.unreadySinceMs }),
  }
}

/** A fleet's members by number: `m0`, `m1`, … */
export const numbered = (
  count: number,
  options: (at: number) => MemberOptions = () => ({}),
): Record<string, MemberOptions> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`m${at}`, options(at)]))

export const without = (
  members: Readonly<Record<string, MemberOptions>>,
  name: string,
): Record<string, MemberOptions> =>
  Object.fromEntries(Object.entries(members).filter(([key]) => key !== name))

/** A local instance that has run for a while and is ready, unless told otherwise. */
export const instance = (
  of: ServiceView,
  seat: number | string,
  options: Partial<LocalInstance> = {},
): LocalInstance => {
  const slot = slotIdOf(of.id, seat)
  const release = options.release ?? of.release
  const phase = options.phase ?? 'running'
  return {
    id: instanceIdOf(slot, release),
    slot,
    service: of.id,
    release,
    definition: of.definition,
    cpusMilli: of.reservedCpusMilli,
    memoryBytes: of.reservedMemoryBytes,
    phase,
    draining: false,
    drainingSinceMs: null,
    pid: phase === 'running' ? 100 : null,
    ports: {},
    startedAtMs: 0,
    runs: 1,
    failuresInARow: 0,
    exit: null,
    error: null,
    probe: { okInARow: 1, failedInARow: 0, everOk: true, lastFailure: '' },
    ...options,
  }
}

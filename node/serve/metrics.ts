// Metrics of one peer for Prometheus: the only prom-client import. Everything is read when scraped, from the agent's own
// counts, so that nothing else in the peer knows of metrics. Each peer tells of itself and of what it sees; sums over
// the cluster are the query's business. Labels are bounded by live services (S14). docs/metrics.md lists all.

import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { ServiceId } from '../../lib/ids.ts'
import { INSTANCE_STATES, ROLLOUT_PHASES } from '../../crdt/schema/status.ts'
import { stateOfDuty } from '../plan/build-duty.ts'
import { place, PlacementMemo } from '../plan/placement.ts'
import type { PackageCounters } from '../package/store.ts'
import { UNFULFILLED_CAUSES } from '../plan/plan.ts'
import type { AgentCounters, AgentPort, AgentSnapshot } from '../ports.ts'

/** What service links count; node/serve/links.ts has more. */
export interface LinksCounts {
  readonly accepted: number
  readonly open: number
  readonly withoutEndpoint: number
  readonly unreachable: number
  readonly retries: number
  readonly overLimit: number
}

export interface MetricsOptions {
  readonly agent: Pick<AgentPort, 'snapshot' | 'counters'>
  readonly version: string
  /** Null: this peer has no links. @default null */
  readonly links?: (() => LinksCounts) | null
  /** Null: this peer keeps no packages. @default null */
  readonly packages?: (() => PackageCounters) | null
  /** Memory, CPU, descriptors and event loop delay of the process. @default true */
  readonly process?: boolean
}

export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
  /** Name, kind and help of each, for the documentation's test. */
  readonly described: () => Promise<
    readonly { readonly name: string; readonly type: string; readonly help: string }[]
  >
}

const MS = 1000

/** Counts that the agent keeps, as they are. */
const AGENT_COUNTS: readonly (readonly [string, string, (counters: AgentCounters) => number])[] = [
  ['tutti_passes_total', 'Passes of the agent', (counters) => counters.passes],
  ['tutti_pass_seconds_total', 'Time spent in passes', (counters) => counters.passMsTotal / MS],
  ['tutti_actions_total', 'Actions begun by passes', (counters) => counters.actions],
  ['tutti_gossip_in_total', 'Gossiped records received', (counters) => counters.gossipIn],
  ['tutti_gossip_out_total', 'Records gossiped by this peer', (counters) => counters.gossipOut],
  [
    'tutti_gossip_rejected_total',
    'Gossiped records refused as invalid',
    (counters) => counters.gossipRejected,
  ],
  ['tutti_sync_rounds_total', 'Digest comparisons of anti-entropy', (counters) => counters.syncRounds],
  ['tutti_sync_differing_total', 'Comparisons that found a difference', (counters) => counters.syncDiffering],
  ['tutti_records_in_total', 'Intent records taken from other peers', (counters) => counters.recordsIn],
  [
    'tutti_records_quarantined_total',
    'Intent records that failed a check and were kept out',
    (counters) => counters.recordsQuarantined,
  ],
  [
    'tutti_status_deltas_out_total',
    'Status records published by this peer',
    (counters) => counters.statusDeltasOut,
  ],
  ['tutti_store_appends_total', 'Batches made durable', (counters) => counters.storeAppends],
  ['tutti_store_failures_total', 'Batches that the disk refused', (counters) => counters.storeFailures],
]

const LINK_COUNTS: readonly (readonly [string, string, (counts: LinksCounts) => number])[] = [
  ['tutti_link_connections_total', 'Connections accepted by service links', (counts) => counts.accepted],
  [
    'tutti_link_retries_total',
    'Endpoints that did not connect, so that another was tried',
    (counts) => counts.retries,
  ],
]

const PEER_STATES = ['alive', 'suspect', 'dead', 'left'] as const

export const createMetrics = (options: MetricsOptions): Metrics => {
  const registry = new Registry()
  const { agent } = options
  // One snapshot for all gauges of one scrape.
  const scrape = new Scrape(agent)
  buildInfo(registry, options.version)
  agentCounts(registry, agent)
  clusterGauges(registry, scrape)
  workloadGauges(registry, scrape)
  buildGauges(registry, scrape)
  if (options.links !== undefined && options.links !== null) linkMetrics(registry, options.links)
  if (options.packages !== undefined && options.packages !== null) packageMetrics(registry, options.packages)
  if (options.process !== false) collectDefaultMetrics({ register: registry })
  return {
    contentType: registry.contentType,
    text: () => {
      scrape.renew()
      return registry.metrics()
    },
    described: async () => {
      scrape.renew()
      return (await registry.getMetricsAsJSON()).map(({ name, type, help }) => ({
        name,
        type: String(type),
        help,
      }))
    },
  }
}

/** The snapshot of the present scrape, with its placements when somebody asks for them. */
class Scrape {
  readonly #agent: Pick<AgentPort, 'snapshot'>
  readonly #memo = new PlacementMemo()
  #snapshot: AgentSnapshot | null = null
  #placed: ReadonlyMap<ServiceId, { readonly here: number; readonly nowhere: number }> | null = null

  constructor(agent: Pick<AgentPort, 'snapshot'>) {
    this.#agent = agent
  }

  renew(): void {
    this.#snapshot = null
    this.#placed = null
  }

  get snapshot(): AgentSnapshot {
    return (this.#snapshot ??= this.#agent.snapshot())
  }

  /** Slots of each service that are placed on this peer, and nowhere. */
  get placed(): ReadonlyMap<ServiceId, { readonly here: number; readonly nowhere: number }> {
    if (this.#placed !== null) return this.#placed
    const placed = new Map(this.snapshot.view.services.map(({ id }) => [id, { here: 0, nowhere: 0 }]))
    for (const { service, member } of place(this.snapshot, this.#memo).values()) {
      const count = placed.get(service)
      if (count === undefined) continue
      if (member === null) count.nowhere += 1
      else if (member === this.snapshot.self) count.here += 1
    }
    return (this.#placed = placed)
  }
}

/** Reads a value whenever it is scraped. */
type Collect = <L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
  read: (add: (labels: Partial<Record<L, string>>, value: number) => void) => void,
) => void

/** `make` builds a metric that reads itself anew: services come and go, and what is gone must not linger. */
const collecting =
  (kind: typeof Gauge | typeof Counter): Collect =>
  (registry, name, help, labelNames, read) => {
    const metric = new kind({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect: () => {
        metric.reset()
        read((labels, value) => metric.inc(labels, value))
      },
    })
  }

const gauge = collecting(Gauge)
/** A count that somebody else keeps; it never falls while the process lives. */
const counter = collecting(Counter)

const buildInfo = (registry: Registry, version: string): void =>
  gauge(registry, 'tutti_build_info', 'Version of this peer; always 1', ['version', 'node'], (set) =>
    set({ version, node: process.version }, 1),
  )

const agentCounts = (registry: Registry, agent: MetricsOptions['agent']): void => {
  for (const [name, help, read] of AGENT_COUNTS) {
    counter(registry, name, help, [], (add) => add({}, read(agent.counters())))
  }
  gauge(registry, 'tutti_pass_max_seconds', 'The longest pass since the start', [], (set) =>
    set({}, agent.counters().passMsMax / MS),
  )
}

const clusterGauges = (registry: Registry, scrape: Scrape): void => {
  gauge(registry, 'tutti_peers', 'Members of the cluster as this peer sees them', ['state'], (set) => {
    const { members } = scrape.snapshot.membership
    for (const state of PEER_STATES) set({ state }, members.filter((member) => member.state === state).length)
  })
  gauge(
    registry,
    'tutti_peers_agreeing',
    'Living members, this one included, that report the digest of its view',
    [],
    (set) => {
      const { view, statuses, membership } = scrape.snapshot
      const living = membership.members.filter(({ state }) => state === 'alive' || state === 'suspect')
      set({}, living.filter(({ id }) => statuses.get(id)?.report?.digest === view.digest).length)
    },
  )
  gauge(registry, 'tutti_settled', '1 when this peer has nothing left to do for its view', [], (set) => {
    const { self, statuses, view } = scrape.snapshot
    const report = statuses.get(self)?.report
    set({}, report?.settled === true && report.digest === view.digest ? 1 : 0)
  })
  gauge(registry, 'tutti_braked', '1 while this peer takes nothing over (S16)', [], (set) =>
    set({}, scrape.snapshot.membership.brakedUntilMs === null ? 0 : 1),
  )
  gauge(registry, 'tutti_services', 'Services that the view has', [], (set) =>
    set({}, scrape.snapshot.view.services.length),
  )
  gauge(registry, 'tutti_conflicts', 'Values that lost to another written at the same time', [], (set) =>
    set(
      {},
      scrape.snapshot.view.services.reduce((total, { conflicts }) => total + conflicts.length, 0),
    ),
  )
}

const buildGauges = (registry: Registry, scrape: Scrape): void =>
  gauge(
    registry,
    'tutti_build_duties',
    'Branches that are followed, as this peer sees them',
    ['state'],
    (set) => {
      const { snapshot } = scrape
      for (const duty of snapshot.view.buildDuties ?? []) set({ state: stateOfDuty(snapshot, duty).state }, 1)
    },
  )

const workloadGauges = (registry: Registry, scrape: Scrape): void => {
  gauge(registry, 'tutti_placements', 'Slots placed on this peer', ['service'], (set) => {
    for (const [service, { here }] of scrape.placed) set({ service }, here)
  })
  gauge(registry, 'tutti_unplaceable_slots', 'Slots that no member can hold', ['service'], (set) => {
    for (const [service, { nowhere }] of scrape.placed) set({ service }, nowhere)
  })
  gauge(registry, 'tutti_instances', 'Instances on this peer', ['service', 'state'], (set) => {
    const { self, statuses } = scrape.snapshot
    const counts = new Map<string, Map<string, number>>()
    for (const { slot, state } of statuses.get(self)?.instances.values() ?? []) {
      const service = slot.slice(0, slot.lastIndexOf('/'))
      const states = counts.get(service) ?? new Map<string, number>()
      counts.set(service, states.set(state, (states.get(state) ?? 0) + 1))
    }
    for (const [service, states] of counts) {
      for (const state of INSTANCE_STATES) set({ service, state }, states.get(state) ?? 0)
    }
  })
  gauge(
    registry,
    'tutti_instance_restarts',
    'Restarts of the instances that are on this peer now; falls when an instance goes',
    ['service'],
    (set) => {
      const { self, statuses } = scrape.snapshot
      const restarts = new Map<string, number>()
      for (const instance of statuses.get(self)?.instances.values() ?? []) {
        const service = instance.slot.slice(0, instance.slot.lastIndexOf('/'))
        restarts.set(service, (restarts.get(service) ?? 0) + instance.restarts)
      }
      for (const [service, count] of restarts) set({ service }, count)
    },
  )
  gauge(
    registry,
    'tutti_unfulfilled_slots',
    'Slots this peer answers for that are not as desired beyond their deadline',
    ['cause'],
    (set) => {
      const unfulfilled = scrape.snapshot.plan?.unfulfilled ?? []
      for (const cause of UNFULFILLED_CAUSES)
        set({ cause }, unfulfilled.filter((slot) => slot.cause === cause).length)
    },
  )
  gauge(
    registry,
    'tutti_rollouts',
    'Rollouts that this peer judges as steward, by phase',
    ['phase'],
    (set) => {
      const words = [...(scrape.snapshot.plan?.stewardship?.words.values() ?? [])]
      for (const phase of ROLLOUT_PHASES) set({ phase }, words.filter((word) => word.phase === phase).length)
    },
  )
}

const linkMetrics = (registry: Registry, links: () => LinksCounts): void => {
  for (const [name, help, read] of LINK_COUNTS) {
    counter(registry, name, help, [], (add) => add({}, read(links())))
  }
  counter(
    registry,
    'tutti_link_connections_reset_total',
    'Connections that service links reset, by reason',
    ['reason'],
    (add) => {
      const { withoutEndpoint, unreachable, overLimit } = links()
      add({ reason: 'no-endpoint' }, withoutEndpoint)
      add({ reason: 'unreachable' }, unreachable)
      add({ reason: 'over-limit' }, overLimit)
    },
  )
  gauge(registry, 'tutti_link_connections', 'Connections through service links now', [], (set) =>
    set({}, links().open),
  )
}

const packageMetrics = (registry: Registry, packages: () => PackageCounters): void => {
  for (const [name, help, read] of [
    ['tutti_packages_held', 'Packages that are on this peer as a whole', (counts) => counts.held],
    [
      'tutti_packages_short',
      'Packages that releases run from, with fewer than two copies for a minute',
      (counts) => counts.short,
    ],
    ['tutti_packages_bytes', 'What packages take on the disk of this peer', (counts) => counts.bytes],
    ['tutti_packages_budget_bytes', 'What packages may take there', (counts) => counts.budgetBytes],
  ] as const satisfies readonly (readonly [string, string, (counts: PackageCounters) => number])[]) {
    gauge(registry, name, help, [], (set) => set({}, read(packages())))
  }
  for (const [name, help, read] of [
    [
      'tutti_package_fetched_bytes_total',
      'Bytes of packages from other peers',
      (counts) => counts.fetchedBytes,
    ],
    [
      'tutti_package_served_bytes_total',
      'Bytes of packages given to other peers',
      (counts) => counts.servedBytes,
    ],
    [
      'tutti_package_chunks_refused_total',
      'Answers of other peers that were not what they should be',
      (counts) => counts.refusedChunks,
    ],
  ] as const satisfies readonly (readonly [string, string, (counts: PackageCounters) => number])[]) {
    counter(registry, name, help, [], (add) => add({}, read(packages())))
  }
}

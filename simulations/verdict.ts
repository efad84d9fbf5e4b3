// The verdict on a cluster whose faults are over: what must be true within a stated time, and must stay so in silence.
// It looks at the machines themselves, not only at what their peers believe. It changes nothing; stories are in story.ts.

import type { ServiceView, View } from '../crdt/schema/view.ts'
import { serviceOfSlot, type SlotId } from '../lib/ids.ts'
import { formatDuration } from '../lib/time.ts'
import { slotsOf } from '../node/plan/slots.ts'
import type { AgentCounters, AgentSnapshot } from '../node/ports.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

/**
 * Longest simulated time from the last fault to rest: a dark connection may outlive the heal by the 30 s of a brake and
 * of a backoff, and a rollout of six deaf instances, one at a time, follows.
 */
export const SETTLE_MAX_MS = 180_000
/** How often the machines are looked at. */
const LOOK_MS = 250
/** Coalesced reports of the last readiness leave within two seconds. */
const CALM_MS = 2000
/** Longer than every backoff, hold and anti-entropy round. */
const QUIET_MS = 60_000
const QUIET_LOOK_MS = 5000

export interface Verdict {
  /** Simulated time until nothing was wrong any more; null: it never came. */
  readonly settledMs: number | null
  /** What was wrong; empty: all is well. Each begins with the invariant that it breaks. */
  readonly violations: readonly string[]
}

/** Runs the world to rest and then through a minute of silence. `look` is called now and then. */
export const judge = async (world: World, look: () => void = () => undefined): Promise<Verdict> => {
  const fromMs = world.simulator.nowMs
  let wrong = wrongNow(world)
  while (wrong.length > 0 && world.simulator.nowMs - fromMs < SETTLE_MAX_MS) {
    await world.run(LOOK_MS)
    look()
    wrong = wrongNow(world)
  }
  const settledMs = world.simulator.nowMs - fromMs
  if (wrong.length > 0) {
    const late = `not at rest ${formatDuration(SETTLE_MAX_MS)} after the last fault`
    return { settledMs: null, violations: wrong.map((one) => `${one} (${late})`) }
  }
  await world.run(CALM_MS)
  const before = world.present().map(countersOf)
  for (let quietMs = 0; quietMs < QUIET_MS; quietMs += QUIET_LOOK_MS) {
    await world.run(QUIET_LOOK_MS)
    look()
  }
  const noise = world.present().flatMap((machine, at) => noiseOf(machine, before[at]))
  return { settledMs, violations: [...noise, ...wrongNow(world)] }
}

/** Everything that is not as it must be at rest. */
export const wrongNow = (world: World): readonly string[] => {
  const snapshots = world.snapshots()
  const [first] = snapshots
  if (first === undefined || snapshots.length < world.present().length) return ['L1: not every peer runs']
  const { view } = first
  if (snapshots.some((snapshot) => snapshot.view.digest !== view.digest)) return ['L1: digests differ']
  const names = new Map(view.members.map(({ id, name }) => [id, name]))
  const wrong = snapshots.flatMap(({ self, membership }) => {
    const blind = membership.members.filter(({ state }) => state !== 'alive')
    const brake = membership.brakedUntilMs === null ? [] : [`L3: ${names.get(self)} brakes`]
    return [
      ...brake,
      ...blind.map(({ id, state }) => `L3: ${names.get(self)} sees ${names.get(id)} ${state}`),
    ]
  })
  return [...wrong, ...wrongProcesses(world, view, snapshots)]
}

const wrongProcesses = (world: World, view: View, snapshots: readonly AgentSnapshot[]): readonly string[] => {
  const releases = new Map(view.services.map(({ id, release }) => [id, release]))
  const wanted = new Set<SlotId>(view.services.flatMap((service) => seatsOf(view, service)))
  const reported = new Set(snapshots.flatMap(({ plan }) => (plan?.unfulfilled ?? []).map(({ slot }) => slot)))
  const running = new Map<SlotId, string[]>()
  const wrong: string[] = []
  for (const { name, processes } of world.present()) {
    for (const { record, exit } of processes.processes()) {
      const { slot, service, release, instance } = record
      if (!wanted.has(slot) || release !== releases.get(service))
        wrong.push(`S10: ${name} keeps ${instance}, which nothing wants`)
      else if (exit === null) running.set(slot, [...(running.get(slot) ?? []), name])
    }
  }
  for (const { self, plan } of snapshots) {
    const name = view.members.find(({ id }) => id === self)?.name ?? self
    for (const waits of plan?.waiting ?? ['its first pass'])
      if (![...reported].some((slot) => isAbout(waits, slot))) wrong.push(`L2: ${name} waits: ${waits}`)
  }
  for (const slot of wanted) {
    const where = running.get(slot) ?? []
    if (where.length > 1) wrong.push(`L2: ${slot} runs on ${where.join(' and ')}`)
    if (where.length === 0 && !reported.has(slot)) wrong.push(`L2: ${slot} neither runs nor is reported`)
  }
  for (const slot of reported)
    if (running.has(slot)) wrong.push(`L2: ${slot} runs and is reported unfulfilled`)
  return wrong
}

/** Whether what a peer waits for is a slot, or the rollout that waits for it. */
const isAbout = (waits: string, slot: SlotId): boolean =>
  waits.startsWith(`${slot}:`) ||
  waits.startsWith(`${slot}@`) ||
  waits.startsWith(`${serviceOfSlot(slot)}: rollout`)

/** Every machine of a world has the same labels, so a constraint holds nowhere or everywhere. */
const seatsOf = (view: View, service: ServiceView): readonly SlotId[] => {
  const members = service.constraints.length > 0 ? [] : view.members.filter(({ draining }) => !draining)
  return slotsOf(service, members.map(({ name }) => name).sort())
}

type Counted = Pick<AgentCounters, 'actions' | 'storeAppends' | 'statusDeltasOut'>

const countersOf = ({ agent }: Machine): Counted | null => agent?.counters() ?? null

const noiseOf = (machine: Machine, before: Counted | null | undefined): readonly string[] => {
  const after = countersOf(machine)
  if (before === null || before === undefined || after === null) return [`L1: ${machine.name} does not run`]
  return (['actions', 'storeAppends', 'statusDeltasOut'] as const).flatMap((key) =>
    after[key] === before[key]
      ? []
      : [`L2: ${machine.name} at rest: ${after[key] - before[key]} more ${key}`],
  )
}

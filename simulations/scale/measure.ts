// One size of a scale run: a cluster of N machines in six regions is made, comes to rest, and is asked what one edit, one
// death and ten seconds of nothing cost. Members are written into the document in a few changes and every machine starts from
// a copy of it, since joins one after the other would be N² of work that is not measured. Prints nothing.

import { shareDocuments } from '../../crdt/automerge.ts'
import { addMember, applyCell, scale } from '../../crdt/edits.ts'
import { clusterIdOf } from '../../crdt/genesis.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { shareStates, shareStatuses } from '../../crdt/status-share.ts'
import { defined } from '../../lib/assert.ts'
import { sha256Hex } from '../../lib/hash.ts'
import { serviceIdOf } from '../../lib/ids.ts'
import { keepVerdicts } from '../../lib/signature.ts'
import type { Machine } from '../machine.ts'
import { CELL } from '../services.ts'
import { agentOf, World } from '../world.ts'
import { FrameStore } from './frame-store.ts'
import { linkBetween } from './regions.ts'

export interface Measured {
  readonly peers: number
  /** From an edit's acknowledgement until half of the peers, and all of them, have it. */
  readonly editHalfMs: number
  readonly editAllMs: number
  /** From a power loss until half of the peers, and all of them, call the member dead. */
  readonly deathHalfMs: number
  readonly deathAllMs: number
  /** Per peer and second, over ten seconds of rest; bytes are what is said, without the transport's own. */
  readonly restMessages: number
  readonly restBytes: number
  /** Per peer, for one edit, from it until everybody has heard that everybody has it, less what rest would have cost. */
  readonly editMessages: number
  readonly editBytes: number
  /** Of these, in the second in which most was said. */
  readonly editSecondBytes: number
  /** Of the whole run: simulated time, and what it took of one core and of memory. */
  readonly simulatedMs: number
  readonly cpuMs: number
  readonly memoryBytes: number
}

export interface ScaleOptions {
  readonly peers: number
  readonly seed: string
  /** Hears what is being done. */
  readonly say: (line: string) => void
}

/** Members in one change: seven edits each, some 20 kB. */
const MEMBERS_PER_CHANGE = 250
/** Machines start over this long: a fleet that gets its power back. */
const STARTS_MS = 2000
const LOOK_MS = 20
const SECOND_MS = 1000
const EDIT_LIMIT_MS = 60_000
/** Everybody has said that it has the edit, and everybody has heard it: at least this long, and so long for each peer. */
const AFTER_EDIT_MIN_MS = 10_000
const AFTER_EDIT_PER_PEER_MS = 15
const REST_MS = 10_000
/** And a little more until rest is measured. */
const CALM_MS = 5000
/** A thousand peers in one process leave no memory for what nobody will read. */
const JOURNAL_BYTES_MAX = 1
const SERVICE = 'web'

/** @throws when the cluster does not come to what is measured within a minute of simulated time. */
export const measure = async ({ peers, seed, say }: ScaleOptions): Promise<Measured> => {
  // Each record is verified by every peer.
  keepVerdicts(50_000)
  shareStatuses(50_000)
  shareStates(true)
  shareDocuments(true)
  const began = process.cpuUsage()
  const traffic = { messages: 0, bytes: 0 }
  const numbers = new Map<string, number>()
  const world = new World({
    seed,
    linkOf: (from, to) => linkBetween(numbers.get(from) ?? 0, numbers.get(to) ?? 0),
    carried: (_from, _to, bytes) => {
      traffic.messages += 1
      traffic.bytes += bytes
    },
  })
  const machines = await startCluster(world, peers, seed, numbers)
  const first = defined(machines[0], 'a first machine')
  say('started')
  await within(world, 'everybody sees everybody', machines, (machine) => seesAll(machine, peers))
  await world.finish(edit(first, peers))
  const afterEditMs = Math.max(AFTER_EDIT_MIN_MS, AFTER_EDIT_PER_PEER_MS * peers)
  await world.run(afterEditMs + CALM_MS)
  say('at rest')

  const restBefore = { ...traffic }
  await world.run(REST_MS)
  const rest = since(traffic, restBefore)
  const perPeerSecond = (count: number): number => (count * 1000) / REST_MS / peers

  const editBefore = { ...traffic }
  const edited = await world.finish(edit(first, peers + 1))
  const edits = await within(world, 'an edit', machines, (machine) => agentOf(machine).holds(edited))
  const countedMs = edits.allMs + afterEditMs
  let busiest = since(traffic, editBefore).bytes
  for (let leftMs = afterEditMs; leftMs > 0; leftMs -= SECOND_MS) {
    const before = traffic.bytes
    await world.run(Math.min(leftMs, SECOND_MS))
    busiest = Math.max(busiest, traffic.bytes - before)
  }
  const editCost = since(traffic, editBefore)
  const lessRest = (count: number, atRest: number): number => (count - (atRest * countedMs) / REST_MS) / peers
  say('edited')

  const victim = defined(machines.at(-1), 'a last machine')
  victim.powerOff()
  const left = machines.filter((machine) => machine !== victim)
  const deaths = await within(world, 'a death', left, (machine) => seesDead(machine, victim))
  say('a death was seen')
  const { user, system } = process.cpuUsage(began)
  return {
    peers,
    editHalfMs: edits.halfMs,
    editAllMs: edits.allMs,
    deathHalfMs: deaths.halfMs,
    deathAllMs: deaths.allMs,
    restMessages: perPeerSecond(rest.messages),
    restBytes: perPeerSecond(rest.bytes),
    editMessages: lessRest(editCost.messages, rest.messages),
    editBytes: lessRest(editCost.bytes, rest.bytes),
    editSecondBytes: busiest / peers,
    simulatedMs: world.simulator.nowMs,
    cpuMs: (user + system) / 1000,
    memoryBytes: process.resourceUsage().maxRSS * 1024,
  }
}

const since = (now: Traffic, before: Traffic): Traffic => ({
  messages: now.messages - before.messages,
  bytes: now.bytes - before.bytes,
})

interface Traffic {
  readonly messages: number
  readonly bytes: number
}

/** Founds the cluster at the first machine, writes everybody into its document and starts them from a copy. */
const startCluster = async (
  world: World,
  peers: number,
  seed: string,
  numbers: Map<string, number>,
): Promise<readonly Machine[]> => {
  const known = new FrameStore()
  const machines = Array.from({ length: peers }, (_, at) =>
    world.machine(`m${at}`, {
      journalBytesMax: JOURNAL_BYTES_MAX,
      composition: { store: () => (at === 0 ? known : new FrameStore(known.frames)) },
    }),
  )
  const [first, ...rest] = machines
  if (first === undefined) throw new RangeError('a cluster has a machine')
  for (const [at, { signer }] of machines.entries()) numbers.set(signer.member, at)
  const nonce = sha256Hex(`${seed} founding`).slice(0, 32)
  const cluster = clusterIdOf(first.signer.member, nonce)
  first.enrol({ cluster, nonce, bootstrap: [] })
  await world.finish(first.start())
  const agent = agentOf(first)
  for (let from = 0; from < rest.length; from += MEMBERS_PER_CHANGE) {
    const view = agent.view()
    const edits = rest.slice(from, from + MEMBERS_PER_CHANGE).flatMap(({ name, signer }) =>
      addMember(view, {
        id: signer.member,
        name,
        role: 'operator',
        addresses: [world.network.reserve(signer.member)],
        invite: null,
      }),
    )
    await world.finish(agent.edit(edits, { message: 'admit many', at: 0 }))
  }
  await world.run(1000)
  const starts: Promise<void>[] = []
  for (const machine of rest) {
    machine.enrol({ cluster, nonce: null, bootstrap: [] })
    starts.push(machine.start())
    await world.run(STARTS_MS / peers)
  }
  await world.finish(Promise.all(starts))
  return machines
}

/** As many slots as machines. */
const edit = async (machine: Machine, replicas: number) => {
  const agent = agentOf(machine)
  const view = agent.view()
  const known = view.services.length > 0
  // The same at every size: nothing that a seed draws, and no waves, which would take as long as there are slots.
  const spec: ServiceSpec = {
    ...SERVICE_DEFAULTS,
    name: SERVICE,
    command: ['serve', 'ready=50ms'],
    ports: { http: 0 },
    update: { order: 'start-first', parallelism: 0 },
    replicas,
  }
  const edits = known
    ? scale(view, serviceIdOf(CELL, SERVICE), replicas)
    : applyCell(view, { name: CELL, services: [spec] }).edits
  const { change } = await agent.edit(edits, { message: 'as many as machines', at: 0 })
  return defined(change ?? undefined, 'the edit changes something')
}

const seesDead = (machine: Machine, other: Machine): boolean => {
  const { members } = agentOf(machine).snapshot().membership
  return members.some(({ id, state }) => state === 'dead' && id === other.signer.member)
}

const seesAll = (machine: Machine, peers: number): boolean => {
  const { members } = agentOf(machine).snapshot().membership
  return members.length === peers && members.every(({ state }) => state === 'alive')
}

/** Simulated time until it holds at half of the machines, and at all; rounded up to the next look. */
const within = async (
  world: World,
  what: string,
  machines: readonly Machine[],
  holds: (machine: Machine) => boolean,
): Promise<{ readonly halfMs: number; readonly allMs: number }> => {
  const fromMs = world.simulator.nowMs
  let waiting = machines
  let halfMs: number | null = null
  for (;;) {
    waiting = waiting.filter((machine) => !holds(machine))
    const passedMs = world.simulator.nowMs - fromMs
    if (halfMs === null && waiting.length * 2 <= machines.length) halfMs = passedMs
    if (waiting.length === 0) return { halfMs: halfMs ?? passedMs, allMs: passedMs }
    if (passedMs > EDIT_LIMIT_MS)
      throw new Error(`${what}: ${waiting.length} of ${machines.length} wait after ${passedMs / 1000} s`)
    await world.run(LOOK_MS)
  }
}

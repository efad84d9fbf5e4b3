// A stage: several members that plan in turns on an owned clock, with hands that do as told and statuses that arrive a
// turn late. It checks every plan with checkPlan and counts ready instances after every turn, so tests can claim what
// holds at each instant. No network, no processes: those belong to simulations/.

import assert from 'node:assert/strict'
import type { MemberId, ServiceId, SlotId } from '../../../lib/ids.ts'
import type { InstanceStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import type { Action } from '../../../node/plan/action.ts'
import { checkPlan } from '../../../node/plan/check-plan.ts'
import { factsOfStart, TALLY_EMPTY } from '../../../node/plan/facts.ts'
import { healthOf, probeOf } from '../../../node/plan/health.ts'
import type { LocalInstance } from '../../../node/plan/local.ts'
import { makePlan } from '../../../node/plan/make-plan.ts'
import { PlanMemo } from '../../../node/plan/plan-memo.ts'
import type { Plan, PlanInput } from '../../../node/plan/plan.ts'
import { failuresAfter } from '../../../node/plan/restart.ts'
import { fleet, idOf, type MemberOptions } from './fleet.ts'

const TURN_MS = 250
/** From spawn to the first good probe. */
const START_MS = 750

/** What a member says of itself at the end of a turn. */
export interface Word {
  readonly published: [string, InstanceStatus][]
  /** The view it was given for. */
  readonly digest: string
}

interface Peer {
  local: LocalInstance[]
  memo: PlanMemo
  plan: Plan | null
  /** What the others see: the last turn's. */
  word: Word
}

export class Stage {
  members: Record<string, MemberOptions>
  services: readonly ServiceView[]
  /** Services as a member still sees them, when edits reach it late. */
  late = new Map<string, readonly ServiceView[]>()
  /** Members as a member still sees them. */
  lateMembers = new Map<string, Record<string, MemberOptions>>()
  /** Words of others as a member still has them, when statuses reach it late. */
  lateWords = new Map<string, ReadonlyMap<string, Word>>()
  nowMs = 100_000
  actions = 0
  /** Called after each turn with the ready instances of each service over the members that run. */
  watch: (ready: ReadonlyMap<ServiceId, number>) => void = () => undefined
  /** Decides whether a started instance ever becomes ready. */
  healthy: (instance: LocalInstance) => boolean = () => true
  readonly #peers = new Map<string, Peer>()

  constructor(members: Record<string, MemberOptions>, services: readonly ServiceView[]) {
    this.members = members
    this.services = services
  }

  input(name: string): PlanInput {
    const peer = this.#peer(name)
    // Nobody is late in hearing itself.
    const words = Object.entries({
      ...Object.fromEntries(this.lateWords.get(name) ?? this.words()),
      [name]: peer.word,
    })
    return fleet({
      self: name,
      members: this.lateMembers.get(name) ?? this.members,
      services: this.late.get(name) ?? this.services,
      local: peer.local,
      nowMs: this.nowMs,
      holds: Object.fromEntries(words.map(([other, { published }]) => [other, published])),
      digests: Object.fromEntries(words.map(([other, { digest }]) => [other, digest])),
      unreadySinceMs: peer.plan?.unreadySinceMs ?? new Map(),
    })
  }

  local(name: string): readonly LocalInstance[] {
    return this.#peer(name).local
  }

  plan(name: string): Plan | null {
    return this.#peer(name).plan
  }

  /** One turn of every member that runs; the dead keep their last word. */
  turn(): void {
    const words = new Map<string, Word>()
    for (const [name, options] of Object.entries(this.members)) {
      if ((options.state ?? 'alive') !== 'alive') continue
      const peer = this.#peer(name)
      this.#progress(peer)
      const input = this.input(name)
      const plan = makePlan(input, peer.memo)
      assert.deepEqual(checkPlan(input, plan), [], `plan of ${name}`)
      peer.plan = plan
      for (const action of plan.actions) this.#perform(peer, action)
      this.actions += plan.actions.length
      words.set(name, { published: wordOf(plan, peer.local), digest: input.view.digest })
    }
    for (const [name, word] of words) this.#peer(name).word = word
    this.watch(this.ready())
    this.nowMs += TURN_MS
  }

  /** Turns until a whole turn brings no action and nothing is waited for; fails after `turnsMax`. */
  settle(turnsMax = 400): number {
    for (let turn = 1; turn <= turnsMax; turn += 1) {
      const before = this.actions
      this.turn()
      const waits = this.#running().some((peer) => (peer.plan?.waiting.length ?? 1) > 0)
      if (this.actions === before && !waits) return turn
    }
    return assert.fail(
      `not settled after ${turnsMax} turns: ${this.#running()
        .flatMap((peer) => peer.plan?.waiting ?? [])
        .join(' | ')}`,
    )
  }

  /** What everybody has said last. */
  words(): ReadonlyMap<string, Word> {
    return new Map([...this.#peers].map(([name, { word }]) => [name, word]))
  }

  /** Ready instances of each slot, on members that nobody reaches too: what runs there serves on. */
  readyBySlot(): ReadonlyMap<SlotId, number> {
    const ready = new Map<SlotId, number>()
    for (const { local } of this.#peers.values()) {
      for (const instance of local) {
        if (healthOf(instance, this.nowMs).state === 'ready')
          ready.set(instance.slot, (ready.get(instance.slot) ?? 0) + 1)
      }
    }
    return ready
  }

  ready(): ReadonlyMap<ServiceId, number> {
    const ready = new Map<ServiceId, number>(this.services.map((service) => [service.id, 0]))
    for (const peer of this.#running()) {
      for (const instance of peer.local) {
        if (healthOf(instance, this.nowMs).state === 'ready')
          ready.set(instance.service, (ready.get(instance.service) ?? 0) + 1)
      }
    }
    return ready
  }

  /** Where ready instances are: `shop/web/0@r on m1`, sorted. */
  picture(): string[] {
    return [...this.#peers].flatMap(([name, peer]) => peer.local.map(({ id }) => `${id} on ${name}`)).sort()
  }

  idOf(name: string): MemberId {
    return idOf(name)
  }

  #running(): Peer[] {
    return Object.entries(this.members).flatMap(([name, { state }]) =>
      (state ?? 'alive') === 'alive' ? [this.#peer(name)] : [],
    )
  }

  #peer(name: string): Peer {
    let peer = this.#peers.get(name)
    if (peer === undefined) {
      const word = { published: [], digest: '' }
      peer = { local: [], memo: new PlanMemo(), plan: null, word }
      this.#peers.set(name, peer)
    }
    return peer
  }

  /** What processes do by themselves within a turn. */
  #progress(peer: Peer): void {
    peer.local = peer.local.map((instance) => {
      if (instance.phase === 'preparing') return { ...instance, phase: 'running', pid: 1 }
      if (instance.phase === 'stopping') {
        const exit = { code: 0, signal: null, atMs: this.nowMs }
        const failuresInARow = failuresAfter(instance.failuresInARow, this.nowMs - instance.startedAtMs)
        return { ...instance, phase: 'exited', pid: null, exit, failuresInARow }
      }
      const up = this.nowMs - instance.startedAtMs >= START_MS && this.healthy(instance)
      if (instance.phase !== 'running' || !up || probeOf(instance.definition) === null) return instance
      return { ...instance, probe: { okInARow: 1, failedInARow: 0, everOk: true, lastFailure: '' } }
    })
  }

  #perform(peer: Peer, action: Action): void {
    const change = (parts: Partial<LocalInstance>): void => {
      peer.local = peer.local.map((one) => (one.id === action.instance ? { ...one, ...parts } : one))
    }
    switch (action.kind) {
      case 'start':
        if (peer.local.some((one) => one.id === action.instance)) {
          change({ draining: false, drainingSinceMs: null })
          break
        }
        peer.local.push({ ...factsOfStart(action, this.nowMs), runs: 1 })
        break
      case 'restart':
        change({ phase: 'preparing', startedAtMs: this.nowMs, exit: null, probe: TALLY_EMPTY })
        break
      case 'drain':
        change({ draining: true, drainingSinceMs: this.nowMs })
        break
      case 'stop':
        change({ phase: 'stopping' })
        break
      case 'forget':
        peer.local = peer.local.filter((one) => one.id !== action.instance)
        break
      case 'arm':
        change({ heir: action.terms })
        break
      case 'disarm':
        change({ heir: undefined })
        break
    }
  }
}

const wordOf = (plan: Plan, local: readonly LocalInstance[]): [string, InstanceStatus][] =>
  plan.reports.map((report) => {
    const instance = local.find((one) => one.id === report.instance)
    return [
      report.instance,
      {
        slot: report.slot,
        release: report.instance.slice(report.instance.lastIndexOf('@') + 1),
        state: report.state,
        pid: instance?.pid ?? null,
        ports: {},
        since: 0,
        restarts: report.restarts,
        reason: report.reason,
        cpusMilli: instance?.cpusMilli ?? 0,
        memoryBytes: instance?.memoryBytes ?? 0,
        ...(report.claim === undefined ? {} : { claim: report.claim }),
      },
    ]
  })

// A small discrete-event world for failure detectors: one clock, many detectors, a network that delays, drops, cuts and
// closes, and peers that crash, freeze, starve and run late. It stands in for the agent around each detector; it checks
// nothing itself.

import { unreachable } from '../../../lib/assert.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { seededRandom, type Random } from '../../../lib/random.ts'
import { DETECTOR_DEFAULTS } from '../../../net/detector-options.ts'
import type { DetectorEffect, DetectorOptions } from '../../../net/detector-options.ts'
import { FailureDetector } from '../../../net/failure-detector.ts'
import type { MemberState } from '../../../net/membership.ts'
import { EventQueue } from './event-queue.ts'
import { Network } from './network.ts'
import { isAwake, newPeer, reportOf, type Peer } from './peer.ts'

/** What a starved peer gets of its core at a time: a slice of a fair scheduler. */
const RUN_MS = 5

export class World {
  readonly random: Random
  readonly peers = new Map<MemberId, Peer>()
  /** Effects of all peers but beats, in order, for transcripts. */
  readonly transcript: string[] = []
  /** Whether a message from one to the other gets through now. */
  passes: (from: MemberId, to: MemberId) => boolean = () => true
  /** How late a peer's tick runs. */
  latenessMs: (peer: MemberId) => number = () => 0
  /** What happened to members' states, as each peer saw it. */
  readonly transitions: { atMs: number; by: MemberId; of: MemberId; state: MemberState }[] = []
  readonly #options: Partial<DetectorOptions>
  readonly #queue = new EventQueue()
  readonly #network: Network
  readonly #states = new Map<string, MemberState>()

  constructor(names: readonly string[], seed: string, options: Partial<DetectorOptions> = {}) {
    this.random = seededRandom(seed)
    this.#options = options
    for (const name of names) this.peers.set(name as MemberId, newPeer(name as MemberId, options, this.nowMs))
    for (const peer of this.peers.values()) this.#boot(peer)
    this.#network = new Network({
      queue: this.#queue,
      random: this.random,
      peers: this.peers,
      peer: (id) => this.peer(id),
      passes: (from, to) => this.passes(from, to),
      schedule: (peer) => this.#schedule(peer),
      note: (peer) => this.#note(peer),
    })
  }

  get nowMs(): number {
    return this.#queue.nowMs
  }

  get ids(): readonly MemberId[] {
    return [...this.peers.keys()]
  }

  peer(id: string): Peer {
    const peer = this.peers.get(id as MemberId)
    if (peer === undefined) throw new Error(`no peer ${id}`)
    return peer
  }

  /** Lets time pass. */
  run(durationMs: number): void {
    this.#queue.run(durationMs)
  }

  /** Runs until the condition holds; the time it took, or infinity when it did not within the limit. */
  runUntil(condition: () => boolean, limitMs: number): number {
    const startMs = this.nowMs
    while (this.nowMs - startMs < limitMs) {
      this.run(20)
      if (condition()) return this.nowMs - startMs
    }
    return Number.POSITIVE_INFINITY
  }

  state(by: string, of: string): MemberState {
    const { members } = this.peer(by).detector.membership(this.nowMs)
    const found = members.find((member) => member.id === of)
    if (found === undefined) throw new Error(`${by} does not know ${of}`)
    return found.state
  }

  braked(by: string): boolean {
    return this.peer(by).detector.membership(this.nowMs).brakedUntilMs !== null
  }

  /** Whether all peers that run see `of` in this state. */
  allSee(of: string, state: MemberState, by: readonly string[] = this.ids): boolean {
    return by.every((id) => id === of || !isAwake(this.peer(id)) || this.state(id, of) === state)
  }

  everyoneAlive(): boolean {
    return this.ids.every((id) => this.allSee(id, 'alive'))
  }

  /** Every time that one peer found another dead. */
  get deaths(): World['transitions'] {
    return this.transitions.filter(({ state }) => state === 'dead')
  }

  /** Cuts every message between the two groups, silently. */
  partition(minority: readonly string[]): void {
    this.passes = (from, to) => minority.includes(from) === minority.includes(to)
  }

  /** Lets every message through again. */
  heal(): void {
    this.passes = () => true
  }

  kill(id: string): void {
    const peer = this.peer(id)
    peer.up = false
    for (const other of peer.linked)
      this.#queue.later(10 + this.random.below(10), () => this.#network.unlink(other, peer.id, false))
    peer.linked.clear()
  }

  start(id: string): void {
    const peer = this.peer(id)
    peer.up = true
    peer.detector = new FailureDetector(peer.id, this.#options)
    peer.incarnation += 1
    peer.seq = 0
    peer.alerts = new Map()
    peer.startedAt = this.nowMs
    peer.tickAtMs = Number.POSITIVE_INFINITY
    this.#boot(peer)
    this.#network.publish(peer)
  }

  freeze(id: string): void {
    this.peer(id).frozen = true
  }

  thaw(id: string): void {
    const peer = this.peer(id)
    peer.frozen = false
    // Timers run before sockets, as in an event loop that wakes up.
    this.#tick(peer)
    for (const run of peer.inbox.splice(0)) run()
  }

  /**
   * Lets a peer run for some milliseconds only between stalls of up to `stallMaxMs`, as on a machine whose cores others
   * take. 0 gives it its core back, after the present stall.
   */
  starve(id: string, stallMaxMs: number): void {
    const peer = this.peer(id)
    const begins = peer.stallMaxMs === 0 && stallMaxMs > 0
    peer.stallMaxMs = stallMaxMs
    if (begins) this.#stall(peer)
  }

  #stall(peer: Peer): void {
    if (peer.stallMaxMs === 0) return
    const stallMs = this.random.below(peer.stallMaxMs + 1)
    this.freeze(peer.id)
    this.#queue.later(stallMs, () => {
      peer.coreWaitMs += stallMs
      this.thaw(peer.id)
      this.#queue.later(RUN_MS, () => this.#stall(peer))
    })
  }

  leave(id: string): void {
    const peer = this.peer(id)
    peer.running = false
    this.#network.publish(peer)
  }

  /** Cuts one connection with an end that both sides see. */
  close(a: string, b: string): void {
    this.#network.unlink(a as MemberId, b as MemberId, false)
    this.#network.unlink(b as MemberId, a as MemberId, false)
  }

  admit(ids: readonly string[]): void {
    for (const peer of this.peers.values()) {
      peer.detector.setMembers(ids as readonly MemberId[], this.nowMs)
      this.#schedule(peer)
    }
  }

  /** Adds a peer that every other one admits at once. */
  add(id: string, isUp: boolean): void {
    const peer = newPeer(id as MemberId, this.#options, this.nowMs)
    peer.up = isUp
    this.peers.set(peer.id, peer)
    this.admit(this.ids)
    if (isUp) this.#network.publish(peer)
  }

  #boot(peer: Peer): void {
    peer.detector.setMembers(this.ids, this.nowMs)
    for (const [id, status] of peer.known) if (id !== peer.id) peer.detector.setStatus(id, status, this.nowMs)
    peer.detector.setStatus(peer.id, reportOf(peer), this.nowMs)
    this.#schedule(peer)
  }

  #schedule(peer: Peer): void {
    const dueMs = peer.detector.nextTickMs
    if (dueMs >= peer.tickAtMs) return
    const atMs = Math.max(this.nowMs, dueMs) + this.latenessMs(peer.id)
    peer.tickAtMs = atMs
    this.#queue.later(atMs - this.nowMs, () => {
      if (peer.tickAtMs === atMs && isAwake(peer)) this.#tick(peer)
    })
  }

  #tick(peer: Peer): void {
    peer.tickAtMs = Number.POSITIVE_INFINITY
    for (const effect of peer.detector.tick(this.nowMs, peer.coreWaitMs)) this.#perform(peer, effect)
    this.#note(peer)
    this.#schedule(peer)
  }

  #perform(peer: Peer, effect: DetectorEffect): void {
    if (effect.kind !== 'beat') this.transcript.push(`${this.nowMs} ${peer.id} ${lineOf(effect)}`)
    switch (effect.kind) {
      case 'beat':
        this.#network.send(peer, effect.to, (other) => {
          other.detector.beat(peer.id, effect.bytes, this.nowMs)
          this.#schedule(other)
        })
        return
      case 'alert':
        peer.alerts.set(effect.member, { incarnation: effect.incarnation, silent: effect.silent })
        this.#network.publish(peer)
        return
      case 'retract':
        if (peer.alerts.delete(effect.member)) this.#network.publish(peer)
        return
      case 'refute':
        peer.incarnation = Math.max(peer.incarnation, effect.above) + 1
        this.#network.publish(peer)
        return
      case 'reconnect':
        this.#network.unlink(peer.id, effect.member, true)
        if (this.passes(peer.id, effect.member)) {
          this.#queue.later(20, () => this.#network.unlink(effect.member, peer.id, false))
        }
        return
      default:
        unreachable(effect)
    }
  }

  #note(peer: Peer): void {
    for (const { id, state } of peer.detector.membership(this.nowMs).members) {
      const key = `${peer.id} ${id}`
      if ((this.#states.get(key) ?? 'alive') === state) continue
      this.#states.set(key, state)
      this.transitions.push({ atMs: this.nowMs, by: peer.id, of: id, state })
    }
  }
}

const lineOf = (effect: Exclude<DetectorEffect, { kind: 'beat' }>): string => {
  switch (effect.kind) {
    case 'alert':
      return `alert ${effect.member} at ${effect.incarnation}${effect.silent ? ' silent' : ' closed'}`
    case 'retract':
      return `retract ${effect.member}`
    case 'refute':
      return `refute above ${effect.above}`
    case 'reconnect':
      return `reconnect ${effect.member}`
    default:
      return unreachable(effect)
  }
}

/** `count` names, sorted like the members they stand for. */
export const names = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, at) => `m${String(at).padStart(3, '0')}`)

/** Warm: everybody has been connected for a while. */
export const warmWorld = (count: number, seed: string, options: Partial<DetectorOptions> = {}): World => {
  const world = new World(names(count), seed, options)
  world.run(DETECTOR_DEFAULTS.startGraceMs)
  return world
}

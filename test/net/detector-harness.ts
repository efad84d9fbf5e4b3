// A small discrete-event world for failure detectors: one queue, one clock, many detectors, a network that delays,
// drops, cuts and closes, peers that crash, freeze and run late, and statuses that travel by gossip and anti-entropy.
// It stands in for agent, dialler and transport; it checks nothing itself.

import { unreachable } from '../../lib/assert.ts'
import type { MemberId } from '../../lib/ids.ts'
import { seededRandom, type Random } from '../../lib/random.ts'
import { DETECTOR_DEFAULTS } from '../../net/detector-options.ts'
import type { DetectorEffect, DetectorOptions, ReportedAlert } from '../../net/detector-options.ts'
import { FailureDetector } from '../../net/failure-detector.ts'
import type { MemberState } from '../../net/membership.ts'

/** What a starved peer gets of its core at a time: a slice of a fair scheduler. */
const RUN_MS = 5

interface Peer {
  readonly id: MemberId
  detector: FailureDetector
  incarnation: number
  seq: number
  alerts: Map<string, ReportedAlert>
  running: boolean
  startedAt: number
  up: boolean
  frozen: boolean
  /** Longest stall of a starved one; 0: it has its core. */
  stallMaxMs: number
  /** What its kernel would have counted; it does not while the peer is frozen by a signal. */
  coreWaitMs: number
  readonly inbox: (() => void)[]
  readonly linked: Set<MemberId>
  readonly known: Map<MemberId, Reported>
  tickAtMs: number
}

interface Reported {
  readonly incarnation: number
  readonly seq: number
  readonly alerts: ReadonlyMap<string, ReportedAlert>
  readonly running: boolean
  readonly startedAt: number
}

interface Queued {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class World {
  readonly random: Random
  readonly peers = new Map<MemberId, Peer>()
  /** Effects of all peers but beats, in order, for transcripts. */
  readonly transcript: string[] = []
  nowMs = 0
  /** Whether a message from one to the other gets through now. */
  passes: (from: MemberId, to: MemberId) => boolean = () => true
  /** How late a peer's tick runs. */
  latenessMs: (peer: MemberId) => number = () => 0
  /** What happened to members' states, as each peer saw it. */
  readonly transitions: { atMs: number; by: MemberId; of: MemberId; state: MemberState }[] = []
  readonly #options: Partial<DetectorOptions>
  readonly #queue: Queued[] = []
  readonly #states = new Map<string, MemberState>()
  #order = 0

  constructor(names: readonly string[], seed: string, options: Partial<DetectorOptions> = {}) {
    this.random = seededRandom(seed)
    this.#options = options
    for (const name of names) this.peers.set(name as MemberId, this.#newPeer(name as MemberId))
    for (const peer of this.peers.values()) this.#boot(peer)
    this.#every(1000, () => this.#antiEntropy())
    this.#every(100, () => this.#redial())
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
    const endMs = this.nowMs + durationMs
    for (;;) {
      const next = this.#queue[0]
      if (next === undefined || next.atMs > endMs) break
      this.#pop()
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.run()
    }
    this.nowMs = endMs
  }

  /** Runs until the condition holds; the time it took, or null when it did not within the limit. */
  runUntil(condition: () => boolean, limitMs: number): number | null {
    const startMs = this.nowMs
    while (this.nowMs - startMs < limitMs) {
      this.run(20)
      if (condition()) return this.nowMs - startMs
    }
    return null
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
    return by.every((id) => id === of || !this.#awake(id as MemberId) || this.state(id, of) === state)
  }

  everyoneAlive(): boolean {
    return this.ids.every((id) => this.allSee(id, 'alive'))
  }

  kill(id: string): void {
    const peer = this.peer(id)
    peer.up = false
    for (const other of peer.linked)
      this.#later(10 + this.random.below(10), () => this.#unlink(other, peer.id, false))
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
    this.#publish(peer)
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
    this.#later(stallMs, () => {
      peer.coreWaitMs += stallMs
      this.thaw(peer.id)
      this.#later(RUN_MS, () => this.#stall(peer))
    })
  }

  leave(id: string): void {
    const peer = this.peer(id)
    peer.running = false
    this.#publish(peer)
  }

  /** Cuts one connection with an end that both sides see. */
  close(a: string, b: string): void {
    this.#unlink(a as MemberId, b as MemberId, false)
    this.#unlink(b as MemberId, a as MemberId, false)
  }

  admit(ids: readonly string[]): void {
    for (const peer of this.peers.values()) {
      peer.detector.setMembers(ids as readonly MemberId[], this.nowMs)
      this.#schedule(peer)
    }
  }

  /** Adds a peer that every other one admits at once. */
  add(id: string, isUp: boolean): void {
    const peer = this.#newPeer(id as MemberId)
    peer.up = isUp
    this.peers.set(peer.id, peer)
    this.admit(this.ids)
    if (isUp) this.#publish(peer)
  }

  #newPeer(id: MemberId): Peer {
    return {
      id,
      detector: new FailureDetector(id, this.#options),
      incarnation: 1,
      seq: 0,
      alerts: new Map(),
      running: true,
      startedAt: this.nowMs,
      up: true,
      frozen: false,
      stallMaxMs: 0,
      coreWaitMs: 0,
      inbox: [],
      linked: new Set(),
      known: new Map(),
      tickAtMs: Number.POSITIVE_INFINITY,
    }
  }

  #boot(peer: Peer): void {
    peer.detector.setMembers(this.ids, this.nowMs)
    for (const [id, status] of peer.known) if (id !== peer.id) peer.detector.setStatus(id, status, this.nowMs)
    peer.detector.setStatus(peer.id, this.#report(peer), this.nowMs)
    this.#schedule(peer)
  }

  #report(peer: Peer): Reported {
    return {
      incarnation: peer.incarnation,
      seq: peer.seq,
      alerts: new Map(peer.alerts),
      running: peer.running,
      startedAt: peer.startedAt,
    }
  }

  #awake(id: MemberId): boolean {
    const peer = this.peer(id)
    return peer.up && !peer.frozen
  }

  // ------------------------------------------------------------------------------------------------------- the queue

  #later(delayMs: number, run: () => void): void {
    const item = { atMs: this.nowMs + delayMs, order: (this.#order += 1), run }
    const queue = this.#queue
    queue.push(item)
    let at = queue.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = queue[parent]
      if (above === undefined || before(above, item)) break
      queue[at] = above
      queue[parent] = item
      at = parent
    }
  }

  #pop(): void {
    const queue = this.#queue
    const last = queue.pop()
    if (last === undefined || queue.length === 0) return
    queue[0] = last
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const one = queue[child]
        const other = queue[least]
        if (one !== undefined && other !== undefined && before(one, other)) least = child
      }
      if (least === at) return
      const moved = queue[least]
      const here = queue[at]
      if (moved === undefined || here === undefined) return
      queue[at] = moved
      queue[least] = here
      at = least
    }
  }

  #every(intervalMs: number, run: () => void): void {
    this.#later(intervalMs, () => {
      run()
      this.#every(intervalMs, run)
    })
  }

  /** Runs something on a peer: later if it is frozen, never if it is down. */
  #on(peer: Peer, run: () => void): void {
    if (!peer.up) return
    if (peer.frozen) peer.inbox.push(() => this.#on(peer, run))
    else run()
  }

  // -------------------------------------------------------------------------------------------------- the peers' shell

  #schedule(peer: Peer): void {
    const dueMs = peer.detector.nextTickMs
    if (dueMs >= peer.tickAtMs) return
    const atMs = Math.max(this.nowMs, dueMs) + this.latenessMs(peer.id)
    peer.tickAtMs = atMs
    this.#later(atMs - this.nowMs, () => {
      if (peer.tickAtMs === atMs && this.#awake(peer.id)) this.#tick(peer)
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
        this.#send(peer, effect.to, (other) => {
          other.detector.beat(peer.id, effect.bytes, this.nowMs)
          this.#schedule(other)
        })
        return
      case 'alert':
        peer.alerts.set(effect.member, { incarnation: effect.incarnation, silent: effect.silent })
        this.#publish(peer)
        return
      case 'retract':
        if (peer.alerts.delete(effect.member)) this.#publish(peer)
        return
      case 'refute':
        peer.incarnation = Math.max(peer.incarnation, effect.above) + 1
        this.#publish(peer)
        return
      case 'reconnect':
        this.#unlink(peer.id, effect.member, true)
        if (this.passes(peer.id, effect.member)) {
          this.#later(20, () => this.#unlink(effect.member, peer.id, false))
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

  // ------------------------------------------------------------------------------------------------------ the network

  #send(from: Peer, to: MemberId, deliver: (other: Peer) => void): void {
    if (!from.linked.has(to) || !this.passes(from.id, to)) return
    const other = this.peer(to)
    this.#later(1 + this.random.below(30), () =>
      this.#on(other, () => {
        deliver(other)
        this.#note(other)
      }),
    )
  }

  #publish(peer: Peer): void {
    peer.seq += 1
    const report = this.#report(peer)
    peer.known.set(peer.id, report)
    peer.detector.setStatus(peer.id, report, this.nowMs)
    for (const id of peer.linked) this.#later(this.random.below(80), () => this.#give(peer, id, peer.id))
    this.#schedule(peer)
  }

  /** One peer hands another what it knows of a third one's status. */
  #give(from: Peer, to: MemberId, about: MemberId): void {
    if (!this.#awake(from.id)) return
    this.#send(from, to, (other) => {
      const given = from.known.get(about)
      const had = other.known.get(about)
      if (given === undefined || about === other.id || !newer(given, had)) return
      other.known.set(about, given)
      other.detector.setStatus(about, given, this.nowMs)
      for (const next of other.linked)
        if (next !== from.id) this.#later(1, () => this.#give(other, next, about))
      this.#schedule(other)
    })
  }

  #giveAll(from: Peer, to: MemberId): void {
    for (const about of from.known.keys()) this.#give(from, to, about)
  }

  #antiEntropy(): void {
    for (const peer of this.peers.values()) {
      const others = [...peer.linked]
      const other = others[this.random.below(others.length)]
      if (other === undefined || !this.#awake(peer.id)) continue
      this.#giveAll(peer, other)
      if (this.#awake(other)) this.#giveAll(this.peer(other), peer.id)
    }
  }

  #redial(): void {
    for (const a of this.peers.values()) {
      for (const b of this.peers.values()) {
        if (a.id === b.id || a.linked.has(b.id)) continue
        if (!this.#awake(a.id) || !this.#awake(b.id)) continue
        if (!this.passes(a.id, b.id) || !this.passes(b.id, a.id)) continue
        this.#link(a, b)
        this.#link(b, a)
        this.#giveAll(a, b.id)
        this.#giveAll(b, a.id)
      }
    }
  }

  #link(peer: Peer, other: Peer): void {
    if (peer.linked.has(other.id)) return
    peer.linked.add(other.id)
    peer.detector.connected(other.id, this.nowMs)
    this.#schedule(peer)
  }

  #unlink(of: MemberId, other: MemberId, silent: boolean): void {
    const peer = this.peer(of)
    this.#on(peer, () => {
      if (!peer.linked.delete(other)) return
      peer.detector.disconnected(other, silent, this.nowMs)
      this.#schedule(peer)
    })
  }
}

const before = (a: Queued, b: Queued): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

const newer = (given: Reported, had: Reported | undefined): boolean =>
  had === undefined ||
  given.incarnation > had.incarnation ||
  (given.incarnation === had.incarnation && given.seq > had.seq)

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

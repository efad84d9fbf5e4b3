// What lies between the peers of the detectors' world: links that are dialled again when they end, messages that take a
// while or are lost, and statuses that travel by gossip and anti-entropy. It stands in for dialler and transport; when
// peers crash or stall is the world's.

import type { MemberId } from '../../../lib/ids.ts'
import type { Random } from '../../../lib/random.ts'
import type { EventQueue } from './event-queue.ts'
import { isAwake, reportOf, runOn, type Peer, type Reported } from './peer.ts'

/** What the network needs of the world around it. */
export interface Surroundings {
  readonly queue: EventQueue
  readonly random: Random
  readonly peers: ReadonlyMap<MemberId, Peer>
  peer(id: MemberId): Peer
  /** Whether a message from one to the other gets through now. */
  passes(from: MemberId, to: MemberId): boolean
  /** A detector was told something: its next tick may be due at another time. */
  schedule(peer: Peer): void
  /** A message was taken in: the peer may see members otherwise now. */
  note(peer: Peer): void
}

const isNewer = (given: Reported, had: Reported | undefined): boolean =>
  had === undefined ||
  given.incarnation > had.incarnation ||
  (given.incarnation === had.incarnation && given.seq > had.seq)

export class Network {
  readonly #world: Surroundings

  constructor(world: Surroundings) {
    this.#world = world
    world.queue.every(1000, () => this.#antiEntropy())
    world.queue.every(100, () => this.#redial())
  }

  send(from: Peer, to: MemberId, deliver: (other: Peer) => void): void {
    if (!from.linked.has(to) || !this.#world.passes(from.id, to)) return
    const other = this.#world.peer(to)
    this.#world.queue.later(1 + this.#world.random.below(30), () =>
      runOn(other, () => {
        deliver(other)
        this.#world.note(other)
      }),
    )
  }

  /** Writes a new status of the peer and begins to spread it. */
  publish(peer: Peer): void {
    const { queue, random } = this.#world
    peer.seq += 1
    const report = reportOf(peer)
    peer.known.set(peer.id, report)
    peer.detector.setStatus(peer.id, report, queue.nowMs)
    for (const id of peer.linked) queue.later(random.below(80), () => this.#give(peer, id, peer.id))
    this.#world.schedule(peer)
  }

  /** Ends one peer's side of a connection. */
  unlink(of: MemberId, other: MemberId, silent: boolean): void {
    const peer = this.#world.peer(of)
    runOn(peer, () => {
      if (!peer.linked.delete(other)) return
      peer.detector.disconnected(other, silent, this.#world.queue.nowMs)
      this.#world.schedule(peer)
    })
  }

  /** One peer hands another what it knows of a third one's status. */
  #give(from: Peer, to: MemberId, about: MemberId): void {
    if (!isAwake(from)) return
    this.send(from, to, (other) => {
      const given = from.known.get(about)
      const had = other.known.get(about)
      if (given === undefined || about === other.id || !isNewer(given, had)) return
      other.known.set(about, given)
      other.detector.setStatus(about, given, this.#world.queue.nowMs)
      for (const next of other.linked)
        if (next !== from.id) this.#world.queue.later(1, () => this.#give(other, next, about))
      this.#world.schedule(other)
    })
  }

  #giveAll(from: Peer, to: MemberId): void {
    for (const about of from.known.keys()) this.#give(from, to, about)
  }

  #antiEntropy(): void {
    for (const peer of this.#world.peers.values()) {
      const others = [...peer.linked]
      const other = others[this.#world.random.below(others.length)]
      if (other === undefined || !isAwake(peer)) continue
      this.#giveAll(peer, other)
      const answering = this.#world.peer(other)
      if (isAwake(answering)) this.#giveAll(answering, peer.id)
    }
  }

  #redial(): void {
    const { peers } = this.#world
    for (const a of peers.values()) {
      for (const b of peers.values()) {
        if (a.id === b.id || a.linked.has(b.id)) continue
        if (!isAwake(a) || !isAwake(b)) continue
        if (!this.#world.passes(a.id, b.id) || !this.#world.passes(b.id, a.id)) continue
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
    peer.detector.connected(other.id, this.#world.queue.nowMs)
    this.#world.schedule(peer)
  }
}

// A fleet of real peers to which a soak's steps happen: who is down, frozen or drained, and every change that a peer has
// acknowledged. An edit that a peer refuses, or does not answer, is no failure: one that it acknowledged and that is lost is.

import { messageOf } from '../../lib/errors.ts'
import type { Operation } from '../../node/serve/api/contract.ts'
import { beater } from '../e2e/support/beats.ts'
import { applyOf, idle, service, strays, type Fleet, type Instance, type Peer } from '../e2e/support/fleet.ts'
import type { Netbed } from '../e2e/support/netbed.ts'
import { SERVICES, type ServiceName, type Step } from './steps.ts'

/** A change that its operator was told is made. */
export interface Acknowledged {
  readonly change: string
  readonly by: string
}

export class Stage {
  readonly fleet: Fleet
  readonly peers: readonly Peer[]
  /** Where the quorum slot's runs write that they live. */
  readonly beats: string
  readonly acknowledged: Acknowledged[] = []
  readonly #bed: Netbed | null
  readonly #tell: (line: string) => void
  readonly #down = new Set<Peer>()
  readonly #frozen = new Set<Peer>()
  readonly #drained = new Set<Peer>()
  /** Of each service: a variable of its environment, so that each deploy is a release. */
  readonly #turns = new Map<ServiceName, number>()

  constructor(
    fleet: Fleet,
    peers: readonly Peer[],
    beats: string,
    bed: Netbed | null,
    tell: (line: string) => void,
  ) {
    this.fleet = fleet
    this.peers = peers
    this.beats = beats
    this.#bed = bed
    this.#tell = tell
  }

  async begin(): Promise<void> {
    await this.#change(this.#peer(0), this.#deployment(), 'the cell')
  }

  async perform(step: Step): Promise<void> {
    switch (step.kind) {
      case 'kill':
      case 'stop': {
        const peer = this.#peer(step.peer)
        if (this.#down.has(peer)) await this.#start(peer)
        else await this.#end(peer, step.kind === 'kill' ? 'SIGKILL' : 'SIGTERM')
        break
      }
      case 'blackout':
        await Promise.all(
          this.peers.filter((peer) => !this.#down.has(peer)).map((peer) => this.#end(peer, 'SIGKILL')),
        )
        break
      case 'freeze':
        this.#freeze(this.#peer(step.peer))
        break
      case 'split':
        this.#tell(`${step.peers.map((peer) => `p${peer}`).join(' and ')} cut off from all others`)
        await this.#bed?.split(step.peers.map((peer) => peer + 1))
        break
      case 'one-way':
        this.#tell(`what p${step.from} sends to p${step.to} is dropped`)
        await this.#bed?.oneWay(step.from + 1, step.to + 1)
        break
      case 'heal':
        this.#tell('the network is whole')
        await this.#bed?.heal()
        break
      case 'end-instance':
        await this.#endInstance(step.at)
        break
      case 'deploy':
        this.#turns.set(step.service, (this.#turns.get(step.service) ?? 0) + 1)
        await this.#change(this.#peer(step.by), this.#deployment(), `a release of ${step.service}`)
        break
      case 'scale':
        await this.#change(
          this.#peer(step.by),
          { kind: 'scale', service: `e2e/${step.service}`, replicas: step.replicas },
          `${step.replicas} of ${step.service}`,
        )
        break
      case 'drain':
        await this.#drain(this.#peer(step.by), this.#peer(step.peer))
        break
    }
  }

  /** Undoes every fault: all run, all see one another, all take work. */
  async calm(): Promise<void> {
    await this.#bed?.heal()
    for (const peer of this.#frozen) peer.signal('SIGCONT')
    this.#frozen.clear()
    await Promise.all([...this.#down].map((peer) => this.#start(peer)))
    for (const peer of this.#drained) await this.#drain(this.#peer(0), peer)
    if (this.#drained.size > 0) throw new Error('a peer refused to take another one back')
  }

  #peer(number: number): Peer {
    const peer = this.peers[number]
    if (peer === undefined) throw new Error(`there is no peer ${number}`)
    return peer
  }

  get #able(): readonly Peer[] {
    return this.peers.filter((peer) => !this.#down.has(peer) && !this.#frozen.has(peer))
  }

  async #start(peer: Peer): Promise<void> {
    this.#tell(`${peer.name} starts`)
    await peer.up()
    this.#down.delete(peer)
  }

  async #end(peer: Peer, signal: NodeJS.Signals): Promise<void> {
    this.#tell(`${peer.name} ends by ${signal}`)
    this.#frozen.delete(peer)
    this.#down.add(peer)
    await peer.end(signal)
  }

  #freeze(peer: Peer): void {
    if (this.#down.has(peer)) return
    const isFrozen = this.#frozen.delete(peer)
    this.#tell(`${peer.name} ${isFrozen ? 'goes on' : 'is frozen'}`)
    peer.signal(isFrozen ? 'SIGCONT' : 'SIGSTOP')
    if (!isFrozen) this.#frozen.add(peer)
  }

  async #endInstance(at: number): Promise<void> {
    const [asked] = this.#able
    if (asked === undefined) return
    const running = (await asked.instances()).instances.filter((one: Instance) => one.state === 'ready')
    const one = running[Math.floor(at * running.length)]
    if (one?.pid === undefined || one.pid === null) return
    // What a peer says of another may be outdated, and by then the number may be that of a process which is none of ours.
    if (!strays(this.fleet.directory).includes(one.pid)) return
    this.#tell(`${one.slot} on ${one.peer} ends by SIGKILL`)
    try {
      process.kill(one.pid, 'SIGKILL')
    } catch (thrown) {
      this.#tell(`it was gone: ${messageOf(thrown)}`)
    }
  }

  async #drain(by: Peer, peer: Peer): Promise<void> {
    const isDrained = this.#drained.has(peer)
    const kind = isDrained ? 'uncordon' : 'drain'
    const done = await this.#change(by, { kind, peer: peer.name }, `${kind} ${peer.name}`)
    if (!done) return
    if (isDrained) this.#drained.delete(peer)
    else this.#drained.add(peer)
  }

  /** Of a peer that is able to; whether it said that the change is made. */
  async #change(peer: Peer, operation: Operation, words: string): Promise<boolean> {
    if (!this.#able.includes(peer)) return false
    this.#tell(`${peer.name} is told: ${words}`)
    try {
      const { change } = await peer.change(operation)
      if (change !== null) this.acknowledged.push({ change, by: peer.name })
      return true
    } catch (thrown) {
      this.#tell(`it did not: ${messageOf(thrown)}`)
      return false
    }
  }

  #deployment(): Operation {
    const many = SERVICES.map((name) =>
      idle(name, {
        environment: { TURN: String(this.#turns.get(name) ?? 0) },
        stopGraceMs: 2000,
        rescheduleAfterMs: 2000,
      }),
    )
    const one = service('one', beater(this.beats), {
      onPartition: 'quorum',
      stopGraceMs: 500,
      rescheduleAfterMs: 1000,
      restart: { condition: 'any', delayMs: 100, delayMaxMs: 1000, attemptsMax: null, windowMs: 10_000 },
    })
    return applyOf(...many, one)
  }
}

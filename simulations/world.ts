// A simulated cluster: machines on one network and one clock, drawn from one seed, with what a test wants to ask and to
// do. It checks nothing by itself; checkers and tests read `snapshots`.

import { clusterIdOf } from '../crdt/genesis.ts'
import { sha256Hex } from '../lib/hash.ts'
import type { MemberId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { seededRandom, type Random } from '../lib/random.ts'
import { decodeJoinAnswer, encodeJoinRequest, signJoin } from '../net/join-wire.ts'
import { inviteIdOf, parseTicket } from '../net/ticket.ts'
import type { Agent } from '../node/agent.ts'
import type { AgentSnapshot } from '../node/ports.ts'
import type { Composition, Happenings } from './composition.ts'
import { Machine, type MachineOptions } from './machine.ts'
import { SimulatedNetwork, type NetworkOptions } from './network.ts'
import { Simulator } from './simulator.ts'

export interface WorldOptions {
  readonly seed: string
  readonly link?: NetworkOptions['link']
  readonly linkOf?: NetworkOptions['linkOf']
  readonly carried?: NetworkOptions['carried']
  readonly composition?: Composition
  readonly happenings?: Partial<Happenings>
  /** Receives every machine's log lines, with the simulated time and the machine's name. */
  readonly trace?: (atMs: number, machine: string, line: string) => void
}

/** Between a verdict of the failure detector and what it makes a peer say lie a pass and a coalesced report. */
const CALM_MS = 2000

/** Longest simulated time that forming or settling a cluster may take before the world calls it stuck. */
const SETTLE_LIMIT_MS = 120_000

export class World {
  readonly simulator = new Simulator()
  readonly random: Random
  readonly network: SimulatedNetwork
  readonly machines: Machine[] = []
  readonly #options: WorldOptions
  /** What peers know, for those who look together; null: nobody does. */
  #sights: Map<Agent, AgentSnapshot> | null = null

  constructor(options: WorldOptions) {
    this.#options = options
    this.random = seededRandom(options.seed)
    const { delivered, forwarded } = options.happenings ?? {}
    this.network = new SimulatedNetwork({
      ...(delivered === undefined ? {} : { delivered }),
      ...(forwarded === undefined ? {} : { forwarded }),
      clock: this.simulator.clock(),
      random: this.random,
      ...(options.link === undefined ? {} : { link: options.link }),
      ...(options.linkOf === undefined ? {} : { linkOf: options.linkOf }),
      ...(options.carried === undefined ? {} : { carried: options.carried }),
    })
  }

  /** A machine that runs no peer yet. */
  machine(name: string, over: Partial<MachineOptions> = {}): Machine {
    const machine = new Machine({
      name,
      simulator: this.simulator,
      network: this.network,
      random: this.random.fork('machines'),
      log: this.#logOf(name),
      ...(this.#options.composition === undefined ? {} : { composition: this.#options.composition }),
      ...(this.#options.happenings === undefined ? {} : { happenings: this.#options.happenings }),
      ...over,
    })
    this.machines.push(machine)
    return machine
  }

  /** `count` machines m0, m1, …, in one cluster, all settled. */
  async cluster(count: number): Promise<readonly Machine[]> {
    const machines = Array.from({ length: count }, (_, at) => this.machine(`m${at}`))
    const [first, ...rest] = machines
    if (first === undefined) return []
    const nonce = sha256Hex(`${this.#options.seed} founding`).slice(0, 32)
    const cluster = clusterIdOf(first.signer.member, nonce)
    first.enrol({ cluster, nonce, bootstrap: [] })
    await this.finish(first.start())
    for (const machine of rest) await this.join(machine, first)
    await this.settle()
    return machines
  }

  /** Lets a machine join by a ticket of another, as `tutti up --join` does. */
  async join(machine: Machine, by: Machine): Promise<void> {
    await this.finish(this.joinSoon(machine, by))
  }

  /** The same, for a caller that runs the world itself. @throws TuttiError as the join does. */
  async joinSoon(machine: Machine, by: Machine): Promise<void> {
    const { ticket } = await agentOf(by).invite({ expiresMs: 3_600_000, uses: 1, role: 'operator' })
    const { cluster, seed, addresses } = parseTicket(ticket)
    const invite = inviteIdOf(parseTicket(ticket))
    const request = signJoin(
      { cluster, name: machine.name, nameChosen: true, addresses: [] },
      invite,
      machine.signer,
    )
    const body = encodeJoinRequest(request)
    const answer = decodeJoinAnswer(await this.network.requestJoin({ ticketSeed: seed, addresses, body }))
    machine.enrol({ cluster, nonce: null, bootstrap: answer.members })
    await machine.start()
  }

  /** Runs the world until the promise settles. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const marked = promise.finally(() => {
      settled = true
    })
    marked.catch(() => undefined)
    await new Promise((done) => setImmediate(done))
    await this.simulator.until('a promise settles', () => settled, SETTLE_LIMIT_MS)
    return await marked
  }

  byMember(member: MemberId): Machine | null {
    return this.machines.find(({ signer }) => signer.member === member) ?? null
  }

  /** Machines that their operators have not taken away. */
  present(): readonly Machine[] {
    return this.machines.filter(({ retired }) => !retired)
  }

  snapshots(): readonly AgentSnapshot[] {
    return this.present().flatMap(({ agent }) => (agent === null ? [] : [this.sightOf(agent)]))
  }

  /** What a peer knows now. Those who look together are all given the same snapshot. */
  sightOf(agent: Agent): AgentSnapshot {
    const known = this.#sights?.get(agent)
    if (known !== undefined) return known
    const sight = agent.snapshot()
    this.#sights?.set(agent, sight)
    return sight
  }

  /** Calls those who look at one moment and change nothing; most of them look at every peer. */
  together(look: () => void): void {
    this.#sights = new Map()
    try {
      look()
    } finally {
      this.#sights = null
    }
  }

  /** Runs until every running peer has the same digest, knows that all others do, and has nothing left to do. */
  async settle(limitMs = SETTLE_LIMIT_MS): Promise<number> {
    const fromMs = this.simulator.nowMs
    do {
      await this.simulator.until('the cluster settles', () => isSettled(this.snapshots()), limitMs)
      await this.run(CALM_MS)
    } while (!isSettled(this.snapshots()))
    return this.simulator.nowMs - fromMs
  }

  run(durationMs: number): Promise<void> {
    return this.simulator.run(this.simulator.nowMs + durationMs)
  }

  #logOf(name: string): Log {
    return {
      log: (level, message, fields) => {
        this.#options.trace?.(
          this.simulator.nowMs,
          name,
          `${level} ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`,
        )
      },
    }
  }
}

/** The machine's running agent. @throws when its peer does not run. */
export const agentOf = (machine: Machine): Agent => {
  if (machine.agent === null) throw new Error(`${machine.name} does not run`)
  return machine.agent
}

/** Whether these peers, as far as each of them knows, agree and rest. */
export const isSettled = (snapshots: readonly AgentSnapshot[]): boolean => {
  const digest = snapshots[0]?.view.digest
  const running = new Set<MemberId>(snapshots.map(({ self }) => self))
  return snapshots.every(({ view, statuses, membership }) => {
    if (view.digest !== digest || membership.brakedUntilMs !== null) return false
    return membership.members.every(({ id, state }) => {
      if (!running.has(id)) return state === 'dead' || state === 'left'
      const report = statuses.get(id)?.report
      return state === 'alive' && report?.settled === true && report.digest === digest
    })
  })
}

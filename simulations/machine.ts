// One simulated machine: disk, processes, network and clock under the very agent that production runs. It can be killed,
// lose power, freeze and come back; what survives is what a real disk and a real kernel would have kept.

import { toHex } from '../lib/bytes.ts'
import type { ActorId, ClusterId } from '../lib/ids.ts'
import { silentLog, type Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { signerFromSeed, type Signer } from '../lib/signature.ts'
import type { Clock } from '../lib/time.ts'
import type { KnownPeer } from '../node/agent/neighbourhood.ts'
import { Agent } from '../node/agent.ts'
import { PLACEMENT_VERSION } from '../node/plan/placement.ts'
import { SimulatedDisk } from './disk.ts'
import { ScriptedHands } from './hands.ts'
import type { SimulatedNetwork } from './network.ts'
import { ScriptedMachine } from './processes.ts'
import { PausableClock, type Simulator } from './simulator.ts'

export interface MachineOptions {
  readonly name: string
  readonly simulator: Simulator
  readonly network: SimulatedNetwork
  readonly random: Random
  readonly labels?: Readonly<Record<string, string>>
  readonly cpusMilli?: number
  readonly memoryBytes?: number
  readonly log?: Log
}

/** How the machine's peer came into its cluster; kept as production keeps it in its data directory. */
export interface SimulatedOrigin {
  readonly cluster: ClusterId
  readonly nonce: string | null
  readonly bootstrap: readonly KnownPeer[]
}

const SEED_BYTES = 32
const ACTOR_BYTES = 16
/** A small server. */
const CPUS_MILLI = 4000
const MEMORY_BYTES = 8 * 1024 ** 3

export class Machine {
  readonly name: string
  readonly signer: Signer
  readonly disk: SimulatedDisk
  readonly processes: ScriptedMachine
  readonly #options: MachineOptions
  readonly #random: Random
  #origin: SimulatedOrigin | null = null
  #incarnation = 0
  #starts = 0
  #clock: PausableClock | null = null
  #agent: Agent | null = null
  #hands: ScriptedHands | null = null

  constructor(options: MachineOptions) {
    const { name, simulator, random } = options
    this.name = name
    this.#options = options
    this.#random = random.fork(name)
    this.signer = signerFromSeed(this.#random.fork('key').bytes(SEED_BYTES))
    const clock = simulator.clock()
    // What a disk answers reaches its peer by the peer's own clock: nothing while it is frozen, never once it is gone.
    const own = (): Clock => this.#clock ?? clock
    const disk: Clock = { ...clock, after: (delayMs, fire) => own().after(delayMs, fire) }
    this.disk = new SimulatedDisk({ random: this.#random, clock: disk, where: name })
    this.processes = new ScriptedMachine(simulator.clock())
  }

  /** Null while its peer does not run. */
  get agent(): Agent | null {
    return this.#agent
  }

  get origin(): SimulatedOrigin | null {
    return this.#origin
  }

  enrol(origin: SimulatedOrigin): void {
    this.#origin = origin
  }

  /** Starts the peer, on whatever its disk holds. */
  async start(): Promise<void> {
    const { simulator, network, name, log, labels, cpusMilli, memoryBytes } = this.#options
    const origin = this.#origin
    if (origin === null) throw new Error(`${name} belongs to no cluster`)
    this.#starts += 1
    this.#incarnation += 1
    const random = this.#random.fork(`start ${this.#starts}`)
    const clock = new PausableClock(simulator.clock())
    this.#clock = clock
    const hands = new ScriptedHands(this.processes)
    this.#hands = hands
    const agent = await Agent.create({
      cluster: origin.cluster,
      signer: this.signer,
      incarnation: this.#incarnation,
      clock,
      random,
      transport: network.transport(this.signer.member),
      store: this.disk.openStore(),
      hands,
      log: log ?? silentLog,
      facts: {
        version: 'simulated',
        placementVersionMax: PLACEMENT_VERSION,
        labels: { ...labels },
        cpusMilli: cpusMilli ?? CPUS_MILLI,
        memoryBytes: memoryBytes ?? MEMORY_BYTES,
        startedAt: Math.floor(clock.wall()),
      },
      hostOf: (addresses) => addresses[0]?.split('/')[2] ?? name,
      bootstrap: origin.bootstrap,
      founding: origin.nonce === null ? null : { nonce: origin.nonce, name },
      newActor: () => toHex(random.bytes(ACTOR_BYTES)) as ActorId,
      newSeed: () => random.bytes(SEED_BYTES),
    })
    this.#agent = agent
    await agent.start()
  }

  /** kill -9 of the peer: its connections close, its processes run on. */
  kill(): void {
    this.#end()
    this.disk.kill()
    this.#options.network.kill(this.signer.member)
  }

  /** The machine loses power: nobody is told, no process is left, unsynced writes may be gone or torn. */
  powerOff(): void {
    this.#end()
    this.processes.reboot()
    this.disk.crash()
    this.#options.network.powerOff(this.signer.member)
  }

  /** SIGSTOP of the peer: its processes run on. */
  freeze(): void {
    this.#clock?.pause()
    this.#options.network.freeze(this.signer.member)
  }

  thaw(): void {
    this.#options.network.thaw(this.signer.member)
    this.#clock?.resume()
  }

  /** Nothing of the peer's process happens any more; else its hands would go on writing the records of its successor. */
  #end(): void {
    this.#clock?.kill()
    this.#agent = null
    void this.#hands?.close()
    this.#hands = null
  }
}

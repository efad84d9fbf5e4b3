// One simulated machine: disk, processes, network and clock under the very agent that production runs. It can be killed,
// lose power, freeze and come back; what survives is what a real disk and a real kernel would have kept.

import { toHex } from '../lib/bytes.ts'
import type { ActorId, ClusterId, MemberId } from '../lib/ids.ts'
import { silentLog, type Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { signerFromSeed, type Signer } from '../lib/signature.ts'
import type { Clock } from '../lib/time.ts'
import type { Channel, Transport } from '../net/transport.ts'
import type { KnownPeer } from '../node/agent/neighbourhood.ts'
import { Agent } from '../node/agent.ts'
import { SimulatedDisk, type DiskImage } from './disk.ts'
import { ScriptedHands } from './hands.ts'
import { tellingStore, type Composition, type Happenings } from './composition.ts'
import { LocalClock } from './local-clock.ts'
import { SimulatedNetwork } from './network.ts'
import { ScriptedMachine } from './processes.ts'
import { PausableClock, type Simulator } from './simulator.ts'
import { placementVersionMaxOf, speaking, type Version } from './versions.ts'

export interface MachineOptions {
  readonly name: string
  readonly simulator: Simulator
  readonly network: SimulatedNetwork
  readonly random: Random
  readonly labels?: Readonly<Record<string, string>>
  readonly cpusMilli?: number
  readonly memoryBytes?: number
  /** Of its peer's journal. @default the peer's own */
  readonly journalBytesMax?: number
  readonly log?: Log
  /** Wrappers of the peer's ports. @default none */
  readonly composition?: Composition
  /** Hears what happens here. @default nobody */
  readonly happenings?: Partial<Happenings>
}

/** What a backup of the peer's data directory holds. */
export interface Backup {
  readonly image: DiskImage
  readonly incarnation: number
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
export const CPUS_MILLI = 4000
export const MEMORY_BYTES = 8 * 1024 ** 3

/** One machine in so many cannot isolate its instances. */
const NO_SANDBOX_OF = 3

export class Machine {
  readonly name: string
  readonly signer: Signer
  readonly disk: SimulatedDisk
  readonly processes: ScriptedMachine
  readonly local: LocalClock
  readonly #options: MachineOptions
  readonly #random: Random
  /** Its operator has taken it away for good. */
  retired = false
  /** Of the peer that starts next. */
  version: Version = 'present'
  readonly #sandboxLack: string
  #origin: SimulatedOrigin | null = null
  #incarnation = 0
  #starts = 0
  #frozen = false
  #clones = 0
  #clock: PausableClock | null = null
  #agent: Agent | null = null
  #hands: ScriptedHands | null = null
  #transport: Transport | null = null

  /** @param signer of the machine that this is a clone of. @default a key of its own */
  constructor(options: MachineOptions, signer?: Signer) {
    const { name, simulator, random } = options
    this.name = name
    this.#options = options
    this.#random = random.fork(name)
    this.signer = signer ?? signerFromSeed(this.#random.fork('key').bytes(SEED_BYTES))
    this.#sandboxLack =
      this.#random.fork('sandbox').below(NO_SANDBOX_OF) === 0 ? 'bubblewrap is not installed' : ''
    const clock = new LocalClock(simulator.clock())
    this.local = clock
    // What a disk answers reaches its peer by the peer's own clock: nothing while it is frozen, never once it is gone.
    const own = (): Clock => this.#clock ?? clock
    const disk: Clock = {
      now: () => clock.now(),
      wall: () => clock.wall(),
      after: (delayMs, fire) => own().after(delayMs, fire),
    }
    this.disk = new SimulatedDisk({ random: this.#random, clock: disk, where: name })
    this.processes = new ScriptedMachine(clock)
    this.processes.onSpawn = (record) => options.happenings?.spawned?.(this, record)
    this.processes.onExtend = (record, token) => options.happenings?.extended?.(this, record, token)
  }

  /** How often its peer was started. */
  get starts(): number {
    return this.#starts
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
    const { network, name, log, labels, cpusMilli, memoryBytes, composition, happenings } = this.#options
    const { journalBytesMax } = this.#options
    const origin = this.#origin
    if (origin === null) throw new Error(`${name} belongs to no cluster`)
    this.#starts += 1
    // As production's raiseIncarnation: at least the wall clock's seconds, so that an old disk brings back no old number.
    this.#incarnation = Math.max(this.#incarnation + 1, Math.floor(this.local.wall() / 1000))
    const random = this.#random.fork(`start ${this.#starts}`)
    const clock = new PausableClock(this.local)
    this.#clock = clock
    const hands = new ScriptedHands(this.processes, (record, how) => happenings?.ending?.(this, record, how))
    this.#hands = hands
    const store = this.disk.openStore(composition?.files)
    const told = tellingStore(composition?.store?.(store) ?? store, (frames) =>
      happenings?.kept?.(this, frames),
    )
    const transport = network.transport(this.signer.member)
    this.#transport = transport
    const newActor = (): ActorId => toHex(random.bytes(ACTOR_BYTES)) as ActorId
    const agent = await Agent.create({
      cluster: origin.cluster,
      signer: composition?.signer?.(this.signer) ?? this.signer,
      incarnation: this.#incarnation,
      clock,
      random,
      transport: speaking(this.version, composition?.transport?.(transport) ?? transport, this.signer),
      store: told,
      promises: composition?.promises?.(this.disk.mount()) ?? this.disk.mount(),
      hands: composition?.hands?.(hands) ?? hands,
      ...(composition?.packages === undefined ? {} : { packages: composition.packages(this.signer.member) }),
      log: log ?? silentLog,
      facts: {
        version: 'simulated',
        placementVersionMax: placementVersionMaxOf(this.version),
        labels: { ...labels },
        cpusMilli: cpusMilli ?? CPUS_MILLI,
        memoryBytes: memoryBytes ?? MEMORY_BYTES,
        startedAt: Math.floor(clock.wall()),
      },
      confinement: () => ({ sandboxLack: this.#sandboxLack, userLack: '', ownUsers: [] }),
      hostOf: (addresses) => addresses[0]?.split('/')[2] ?? name,
      bootstrap: origin.bootstrap,
      founding: origin.nonce === null ? null : { nonce: origin.nonce, name },
      newActor: composition?.newActor?.(newActor, this.signer.member) ?? newActor,
      newSeed: () => random.bytes(SEED_BYTES),
      ...(journalBytesMax === undefined ? {} : { journalBytesMax }),
    })
    // It may have been killed while its disk was read.
    if (this.#clock !== clock) return
    this.#agent = agent
    await agent.start()
  }

  /** True from a start, also a hanging one, to the end of that process. */
  get running(): boolean {
    return this.#clock !== null
  }

  /** Its peer acts: it runs and is not stopped. */
  get acting(): boolean {
    return this.running && !this.#frozen
  }

  /** Says something to all members past the peer itself, as a member gone bad does. */
  publish(bytes: Uint8Array): void {
    this.#transport?.publish(bytes)
  }

  /** The same to one member. */
  send(to: MemberId, channel: Channel, bytes: Uint8Array): void {
    this.#transport?.send(to, channel, bytes)
  }

  /** A copy of the data directory as it is on the medium. */
  backup(): Backup {
    return { image: this.disk.image(), incarnation: this.#incarnation }
  }

  /** Puts an old copy, or another machine's life under the same identity, in the place of the data directory. */
  restore({ image, incarnation }: Backup): void {
    this.disk.restore(image)
    this.#incarnation = incarnation
  }

  /** The document is gone; the operator gives the peer its key and the others' addresses anew. */
  wipe(bootstrap: readonly KnownPeer[]): void {
    this.disk.restore(new Map())
    if (this.#origin !== null) this.#origin = { ...this.#origin, nonce: null, bootstrap }
  }

  /**
   * A second machine from a copy of this one's disk: same key, same document, on a network of its own, since nobody
   * could say which of the two an address leads to. Its disk may later take this one's place.
   */
  clone(): Machine {
    const { simulator } = this.#options
    this.#clones += 1
    const random = this.#options.random.fork(`clone ${this.#clones} of ${this.name}`)
    const network = new SimulatedNetwork({ clock: simulator.clock(), random })
    const twin = new Machine({ ...this.#options, network, random }, this.signer)
    const origin = this.#origin
    if (origin !== null) twin.enrol({ ...origin, nonce: null })
    twin.version = this.version
    twin.restore(this.backup())
    return twin
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
    this.#frozen = true
    this.#clock?.pause()
    this.#options.network.freeze(this.signer.member)
  }

  thaw(): void {
    this.#frozen = false
    this.#options.network.thaw(this.signer.member)
    this.#clock?.resume()
  }

  /** Nothing of the peer's process happens any more; else its hands would go on writing the records of its successor. */
  #end(): void {
    this.#frozen = false
    this.#clock?.kill()
    this.#clock = null
    this.#agent = null
    this.#transport = null
    void this.#hands?.close()
    this.#hands = null
  }
}

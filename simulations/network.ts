// A network in memory over a Clock and a Random: what the simulator gives agents instead of libp2p. It models what the
// Transport port allows to happen: delay with jitter, loss, cut links (one way or both), processes that die with or
// without a word, machines that freeze. Deterministic: one ordered lane per direction, each with its own fork of the
// randomness. network-transport.ts is a member's end of it. Deliberately absent: bandwidth, and any real socket.

import { assert } from '../lib/assert.ts'
import { TuttiError } from '../lib/errors.ts'
import type { MemberId } from '../lib/ids.ts'
import type { Random } from '../lib/random.ts'
import { signerFromSeed } from '../lib/signature.ts'
import type { Clock } from '../lib/time.ts'
import type { Transport } from '../net/transport.ts'
import type { Lanes } from './lanes.ts'
import { SimulatedTransport } from './network-transport.ts'

/** How one direction of a link behaves. */
export interface LinkConditions {
  readonly delayMinMs: number
  readonly delayMaxMs: number
  /** Chance that a channel message or a gossiped one is lost. Connections and answers are never lost in part. @default 0 */
  readonly lossRate: number
  /** Chance that a gossiped message arrives twice. Channels are ordered streams and repeat nothing. @default 0 */
  readonly duplicateRate: number
  /** Chance that a gossiped message sets out late, so that later ones overtake it. @default 0 */
  readonly reorderRate: number
  /** Chance that one bit of a message flips in its sender's memory, where no transport's checksum sees it. @default 0 */
  readonly flipRate: number
}

export interface NetworkOptions {
  readonly clock: Clock
  readonly random: Random
  /** @default 1 to 5 ms, nothing lost */
  readonly link?: Partial<LinkConditions>
  /** What is special about one direction, asked once when it is first used. @default nothing */
  readonly linkOf?: (from: MemberId, to: MemberId) => Partial<LinkConditions>
  /** How long a cut link's connections survive before both ends lose them silently, as TCP does. @default 150000 */
  readonly connectionTimeoutMs?: number
  /** Hears of every channel message and every gossiped one that reaches a running peer: for checkers. */
  readonly delivered?: (from: MemberId, to: MemberId) => void
  /** Hears of every message that reaches a running peer, repeated gossip included, with its length in bytes: for measurements. */
  readonly carried?: (from: MemberId, to: MemberId, bytes: number) => void
  /** Hears of what a peer passes on that another published: for checkers. */
  readonly forwarded?: (by: MemberId, bytes: Uint8Array) => void
}

export const DEFAULT_LINK: LinkConditions = {
  delayMinMs: 1,
  delayMaxMs: 5,
  lossRate: 0,
  duplicateRate: 0,
  reorderRate: 0,
  flipRate: 0,
}
/** A message that is overtaken sets out up to this much later: several times the slowest healthy link. */
const REORDER_MAX_MS = 200
/** What TCP took on a machine whose cable was pulled: 145 to 160 s. */
const CONNECTION_TIMEOUT_MS = 150_000
/** As the production transport's stay of a newcomer. */
const JOIN_TIMEOUT_MS = 10_000

/** on: the process runs. down: it is gone, its machine answers for it. dark: nothing answers. frozen: it will, later. */
type HostState = 'on' | 'down' | 'dark' | 'frozen'

interface Host {
  readonly address: string
  state: HostState
  transport: SimulatedTransport | null
}

interface Parcel {
  readonly dueMs: number
  readonly deliver: () => void
}

interface Lane {
  readonly to: MemberId
  readonly parcels: Parcel[]
  readonly random: Random
  conditions: LinkConditions
  cutSinceMs: number | null
  cancel: (() => void) | null
}

export class SimulatedNetwork implements Lanes {
  readonly clock: Clock
  readonly #random: Random
  readonly #link: LinkConditions
  readonly #connectionTimeoutMs: number
  readonly #options: NetworkOptions
  readonly #hosts = new Map<MemberId, Host>()
  /** By sender, then by receiver: a key made of both would be built several times for every message. */
  readonly #lanes = new Map<MemberId, Map<MemberId, Lane>>()
  readonly #byAddress = new Map<string, MemberId>()
  #wiring = 0
  /** The lane that was asked for last. */
  #last: { readonly from: MemberId; readonly lane: Lane } | null = null

  constructor(options: NetworkOptions) {
    this.clock = options.clock
    this.#options = options
    this.#random = options.random.fork('network')
    this.#link = { ...DEFAULT_LINK, ...options.link }
    this.#connectionTimeoutMs = options.connectionTimeoutMs ?? CONNECTION_TIMEOUT_MS
  }

  /** A member's transport, not started. Again for the same member after a crash: a fresh one at the same address. */
  transport(member: MemberId): Transport {
    const known = this.#hosts.get(member)
    assert(known?.transport === null || known === undefined, `${member} has a transport already`)
    const address = known?.address ?? addressAt(this.#hosts.size + 1)
    const transport = new SimulatedTransport(this, member, address)
    this.#hosts.set(member, { address, state: 'on', transport })
    this.#byAddress.set(address, member)
    return transport
  }

  /** The address that a member will have, before anything of it runs. Until then its machine is dark. */
  reserve(member: MemberId): string {
    const address = this.#hosts.get(member)?.address ?? addressAt(this.#hosts.size + 1)
    if (!this.#hosts.has(member)) this.#hosts.set(member, { address, state: 'dark', transport: null })
    this.#byAddress.set(address, member)
    return address
  }

  // ------------------------------------------------------------------------------------------------------------ faults

  /** Changes one direction's conditions; what is left out stays. */
  setLink(from: MemberId, to: MemberId, conditions: Partial<LinkConditions>): void {
    const lane = this.#lane(from, to)
    lane.conditions = { ...lane.conditions, ...conditions }
  }

  /** Nothing passes from one to the other any more; it waits, as TCP would send it again. */
  cutOneWay(from: MemberId, to: MemberId): void {
    const lane = this.#lane(from, to)
    if (lane.cutSinceMs !== null) return
    const since = this.clock.now()
    lane.cutSinceMs = since
    this.clock.after(this.#connectionTimeoutMs, () => {
      if (lane.cutSinceMs !== since) return
      lane.parcels.length = 0
      this.#hosts.get(from)?.transport?.lose(to)
      this.#hosts.get(to)?.transport?.lose(from)
    })
  }

  cut(a: MemberId, b: MemberId): void {
    this.cutOneWay(a, b)
    this.cutOneWay(b, a)
  }

  /** Cuts every link between members of different groups; links within a group heal. */
  partition(groups: readonly (readonly MemberId[])[]): void {
    for (const [at, group] of groups.entries()) {
      for (const [otherAt, other] of groups.entries()) {
        for (const from of group) {
          for (const to of other) {
            if (from === to) continue
            if (at === otherAt) this.#mend(from, to)
            else this.cutOneWay(from, to)
          }
        }
      }
    }
  }

  /** What waited goes on, as TCP would send it again. */
  mendOneWay(from: MemberId, to: MemberId): void {
    this.#mend(from, to)
  }

  /** Mends both directions between two members. */
  mend(a: MemberId, b: MemberId): void {
    this.#mend(a, b)
    this.#mend(b, a)
  }

  /** Mends every link. */
  heal(): void {
    for (const lanes of this.#lanes.values()) {
      for (const lane of lanes.values()) {
        lane.cutSinceMs = null
        this.#schedule(lane)
      }
    }
  }

  /** Ends a member's process without its doing; its machine closes the connections. */
  kill(member: MemberId): void {
    const host = this.#host(member)
    host.transport?.die(true)
    host.transport = null
    host.state = 'down'
  }

  /** Takes a member's power: nobody is told anything. */
  powerOff(member: MemberId): void {
    const host = this.#host(member)
    host.transport?.die(false)
    host.transport = null
    host.state = 'dark'
  }

  /** Suspends a member's process: nothing reaches it until `thaw`. Stopping its timers is the simulator's part. */
  freeze(member: MemberId): void {
    const host = this.#host(member)
    if (host.state === 'on') host.state = 'frozen'
  }

  thaw(member: MemberId): void {
    const host = this.#host(member)
    if (host.state !== 'frozen') return
    host.state = 'on'
    for (const lanes of this.#lanes.values()) {
      const lane = lanes.get(member)
      if (lane !== undefined) this.#schedule(lane)
    }
  }

  // ------------------------------------------------------------------------------------------------------- for the ends

  processAt(
    address: string,
  ): { readonly member: MemberId; readonly transport: SimulatedTransport | null } | undefined {
    const member = this.#byAddress.get(address.replace(/\/p2p\/[^/]*$/, ''))
    if (member === undefined) return undefined
    const { state, transport } = this.#host(member)
    return state === 'dark' ? undefined : { member, transport }
  }

  /** Where a member's machine is. */
  addressOf(member: MemberId): string {
    return this.#host(member).address
  }

  processOf(member: MemberId): SimulatedTransport | null {
    const host = this.#hosts.get(member)
    return host === undefined || host.state === 'dark' ? null : host.transport
  }

  carry(from: MemberId, to: MemberId, deliver: () => void): void {
    const lane = this.#lane(from, to)
    const { delayMinMs, delayMaxMs } = lane.conditions
    const delayMs = delayMinMs + lane.random.next() * (delayMaxMs - delayMinMs)
    const before = lane.parcels.at(-1)?.dueMs ?? 0
    lane.parcels.push({ dueMs: Math.max(before, this.clock.now() + delayMs), deliver })
    if (lane.parcels.length === 1) this.#schedule(lane)
  }

  copies(from: MemberId, to: MemberId, repeatable: boolean): number {
    const lane = this.#lane(from, to)
    if (lane.random.next() < lane.conditions.lossRate) return 0
    return repeatable && lane.random.next() < lane.conditions.duplicateRate ? 2 : 1
  }

  lateness(from: MemberId, to: MemberId): number {
    const { conditions, random } = this.#lane(from, to)
    return random.next() < conditions.reorderRate ? random.next() * REORDER_MAX_MS : 0
  }

  altered(from: MemberId, to: MemberId, bytes: Uint8Array): Uint8Array {
    const { conditions, random } = this.#lane(from, to)
    if (conditions.flipRate === 0 || bytes.length === 0 || random.next() >= conditions.flipRate) return bytes
    const flipped = bytes.slice()
    const at = random.below(bytes.length)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8))
    return flipped
  }

  delivered(from: MemberId, to: MemberId): void {
    this.#options.delivered?.(from, to)
  }

  carried(from: MemberId, to: MemberId, bytes: number): void {
    this.#options.carried?.(from, to, bytes)
  }

  forwarded(by: MemberId, bytes: Uint8Array): void {
    this.#options.forwarded?.(by, bytes)
  }

  get wiring(): number {
    return this.#wiring
  }

  rewired(): void {
    this.#wiring += 1
  }

  stopped(transport: SimulatedTransport): void {
    const host = this.#hosts.get(transport.self)
    if (host?.transport !== transport) return
    host.transport = null
    host.state = 'down'
  }

  // ------------------------------------------------------------------------------------------------------------- joining

  /** What `requestJoin` of the production transport does. */
  async requestJoin(request: {
    readonly ticketSeed: Uint8Array
    readonly addresses: readonly string[]
    readonly body: Uint8Array
  }): Promise<Uint8Array> {
    const invite = signerFromSeed(request.ticketSeed).member
    let failure = new TuttiError('unreachable', 'nobody could be reached: the ticket names no address')
    for (const address of request.addresses) {
      try {
        return await this.#joinAt(invite, address, request.body)
      } catch (thrown) {
        if (!(thrown instanceof TuttiError)) throw thrown
        if (failure.code !== 'refused') failure = thrown
      }
    }
    throw failure
  }

  #joinAt(invite: MemberId, address: string, body: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const unreached = (): void =>
        reject(new TuttiError('unreachable', `nobody could be reached at ${address}`))
      const cancel = this.clock.after(JOIN_TIMEOUT_MS, unreached)
      const member = this.processAt(address)?.member
      if (member === undefined) return
      const reply = (act: () => void): void =>
        this.carry(member, invite, () => {
          cancel()
          act()
        })
      this.carry(invite, member, () => {
        const { transport } = this.processAt(address) ?? {}
        if (!transport) reply(unreached)
        else {
          transport.admitNewcomer(invite, body).then(
            (answer) => reply(() => resolve(answer)),
            (thrown: unknown) =>
              reply(() => reject(thrown instanceof Error ? thrown : new Error(String(thrown)))),
          )
        }
      })
    })
  }

  // --------------------------------------------------------------------------------------------------------------- lanes

  #lane(from: MemberId, to: MemberId): Lane {
    // A message asks several times in a row.
    if (from === this.#last?.from && to === this.#last.lane.to) return this.#last.lane
    const lane = this.#laneOf(from, to)
    this.#last = { from, lane }
    return lane
  }

  #laneOf(from: MemberId, to: MemberId): Lane {
    let lanes = this.#lanes.get(from)
    if (lanes === undefined) this.#lanes.set(from, (lanes = new Map()))
    let lane = lanes.get(to)
    if (lane === undefined) {
      lane = {
        to,
        parcels: [],
        random: this.#random.fork(`${from}>${to}`),
        conditions: { ...this.#link, ...this.#options.linkOf?.(from, to) },
        cutSinceMs: null,
        cancel: null,
      }
      lanes.set(to, lane)
    }
    return lane
  }

  #schedule(lane: Lane): void {
    lane.cancel?.()
    lane.cancel = null
    const next = lane.parcels[0]
    if (next === undefined || lane.cutSinceMs !== null) return
    lane.cancel = this.clock.after(Math.max(0, next.dueMs - this.clock.now()), () => {
      lane.cancel = null
      this.#arrive(lane)
    })
  }

  /** Delivers the first parcel, if it may arrive now. One at a time: a delivery may cut the lane. */
  #arrive(lane: Lane): void {
    const state = this.#hosts.get(lane.to)?.state
    if (lane.cutSinceMs !== null || state === 'frozen') return
    const parcel = lane.parcels.shift()
    // A newcomer has no host here and is always reached.
    if (parcel !== undefined && state !== 'dark') parcel.deliver()
    this.#schedule(lane)
  }

  #mend(from: MemberId, to: MemberId): void {
    const lane = this.#lane(from, to)
    lane.cutSinceMs = null
    this.#schedule(lane)
  }

  #host(member: MemberId): Host {
    const host = this.#hosts.get(member)
    assert(host !== undefined, `${member} is not on this network`)
    return host
  }
}

const addressAt = (number: number): string => `/ip4/10.0.${number >> 8}.${number & 0xff}/tcp/4100`

// A member's end of the simulated network: a Transport whose connections, streams and gossip are messages on the lanes of
// network.ts. It keeps the production transport's promises and no better ones: a connection is known to each end on its
// own, what is under way when it ends is lost, gossip takes the hops of a mesh (mesh.ts) and forwards only what was accepted.

import { messageOf, TuttiError } from '../lib/errors.ts'
import { sha256Hex } from '../lib/hash.ts'
import type { MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { compareStrings } from '../lib/order.ts'
import type { Channel, RequestOptions, Transport, TransportEvents } from '../net/transport.ts'
import type { Lanes } from './lanes.ts'
import { Mesh } from './mesh.ts'
import { Answering, broke, fail, tooLate, type Asked, type Input, type Wire } from './network-questions.ts'

/** As the production transport's dial. */
const DIAL_TIMEOUT_MS = 3000
/** Undelivered bytes of one channel of one connection; as the production transport's queue. */
const UNDELIVERED_BYTES_MAX: Readonly<Record<Channel, number>> = {
  beat: 64 * 1024,
  sync: 2 * LIMITS.messageBytesMax,
}
const MESSAGE_BYTES_MAX: Readonly<Record<Channel, number>> = { beat: 4096, sync: LIMITS.messageBytesMax }
/** Hashes of gossip heard, to drop repetitions: so many, and as many before them. */
const SEEN_MAX = 10_000

export class SimulatedTransport implements Transport {
  readonly self: MemberId
  readonly #network: Lanes
  readonly #address: string
  readonly #mesh: Mesh
  readonly #wires = new Map<MemberId, Wire[]>()
  /** Who is at their other ends, sorted; null: to be worked out anew. */
  #connected: readonly MemberId[] | null = null
  readonly #undelivered: Readonly<Record<Channel, Map<MemberId, number>>> = {
    beat: new Map(),
    sync: new Map(),
  }
  #seen = new Set<string>()
  #seenBefore: ReadonlySet<string> = new Set()
  readonly #asked = new Set<Asked>()
  readonly #answering = new Map<Asked, Answering>()
  #members: ReadonlySet<MemberId> = new Set()
  #invites: ReadonlySet<MemberId> = new Set()
  #events: TransportEvents | null = null

  constructor(network: Lanes, self: MemberId, address: string) {
    this.#network = network
    this.self = self
    this.#address = address
    this.#mesh = new Mesh(self)
  }

  async start(events: TransportEvents): Promise<void> {
    this.#events = events
  }

  async stop(): Promise<void> {
    this.#network.stopped(this)
    this.die(true)
  }

  addresses(): readonly string[] {
    return [`${this.#address}/p2p/${this.self}`]
  }

  setMembers(members: ReadonlySet<MemberId>): void {
    this.#members = new Set(members)
    for (const member of this.#peers()) if (!members.has(member)) this.disconnect(member)
  }

  setInvites(invites: ReadonlySet<MemberId>): void {
    this.#invites = new Set(invites)
  }

  dial(member: MemberId, addresses: readonly string[]): Promise<boolean> {
    if (this.#events === null || member === this.self || !this.#members.has(member))
      return Promise.resolve(false)
    if (this.#wires.has(member)) return Promise.resolve(true)
    const fitting = addresses.find(
      (address) => !address.includes('/p2p/') || address.endsWith(`/p2p/${member}`),
    )
    if (fitting === undefined) return Promise.resolve(false)
    return new Promise((resolve) => {
      let late = false
      const cancel = this.#network.clock.after(DIAL_TIMEOUT_MS, () => {
        late = true
        resolve(this.#wires.has(member))
      })
      const there = this.#network.processAt(fitting)?.member
      if (there === undefined) return
      const reply = (wire: Wire | null): void =>
        this.#network.carry(there, this.self, () => {
          cancel()
          if (wire !== null && (late || !this.#accept(member, wire))) this.#sayClosed(member, wire)
          if (!late) resolve(this.#wires.has(member))
        })
      this.#network.carry(this.self, there, () => {
        const other = this.#network.processAt(fitting)?.transport
        const wire: Wire = { ends: [this.self, member] }
        // The answer leaves before anything that the other end sends on its new connection.
        const accepted = other?.self === member && other.#accept(this.self, wire, () => reply(wire))
        if (!accepted) reply(null)
      })
    })
  }

  disconnect(member: MemberId): void {
    for (const wire of this.#wiresOf(member)) {
      this.#sayClosed(member, wire)
      this.#drop(member, wire, true)
    }
  }

  connections(): ReadonlySet<MemberId> {
    return new Set(this.#wires.keys())
  }

  send(to: MemberId, channel: Channel, bytes: Uint8Array): boolean {
    const wire = this.#wires.get(to)?.at(-1)
    if (wire === undefined || bytes.length > MESSAGE_BYTES_MAX[channel]) return false
    const undelivered = this.#undelivered[channel]
    const waiting = undelivered.get(to) ?? 0
    if (waiting > 0 && waiting + bytes.length > UNDELIVERED_BYTES_MAX[channel]) return false
    if (this.#network.copies(this.self, to, false) === 0) return true
    undelivered.set(to, waiting + bytes.length)
    const sent = this.#network.altered(this.self, to, bytes)
    this.#carry(to, wire, (other) => {
      undelivered.set(to, Math.max(0, (undelivered.get(to) ?? 0) - bytes.length))
      this.#network.delivered(this.self, to)
      this.#network.carried(this.self, to, sent.length)
      other.#events?.message(this.self, channel, sent)
    })
    return true
  }

  publish(bytes: Uint8Array): void {
    if (this.#events === null || bytes.length > LIMITS.gossipBytesMax) return
    if (this.#isNew(bytes)) this.#spread(bytes, null)
  }

  async *request(
    to: MemberId,
    method: string,
    body: Uint8Array,
    options: RequestOptions,
  ): AsyncGenerator<Uint8Array, void, void> {
    if (!this.#wires.has(to)) await this.dial(to, options.addresses ?? [])
    const wire = this.#wires.get(to)?.at(-1)
    if (options.signal.aborted) throw tooLate(method)
    if (wire === undefined) throw new TuttiError('unreachable', `there is no connection to ${to}`)
    const source = options.input?.[Symbol.asyncIterator]() ?? null
    const input: Input = { source, parts: [], ended: false, wake: () => undefined }
    const asked: Asked = { wire, parts: [], failure: null, done: false, wake: () => undefined, input }
    const leave = (): void => {
      asked.failure = tooLate(method)
      asked.wake()
    }
    options.signal.addEventListener('abort', leave, { once: true })
    this.#asked.add(asked)
    this.#carry(to, wire, (other) => void other.#answer(this.self, asked, method, body))
    try {
      for (;;) {
        const part = asked.parts.shift()
        if (part !== undefined && !options.signal.aborted) yield part
        else if (asked.failure !== null) throw asked.failure
        else if (asked.done) return
        else await new Promise<void>((resolve) => (asked.wake = resolve))
      }
    } finally {
      options.signal.removeEventListener('abort', leave)
      this.#asked.delete(asked)
      if (!asked.done) this.#carry(to, wire, (other) => other.#answering.get(asked)?.giveUp())
    }
  }

  // ---------------------------------------------------------------------------------------- called by the network

  /** Ends this end: `told` when its machine closes the connections. Nothing is reported here any more. */
  die(told: boolean): void {
    this.#events = null
    for (const [member, wires] of this.#wires) {
      if (told) for (const wire of wires) this.#sayClosed(member, wire)
    }
    this.#wires.clear()
    this.#rewired()
    for (const answering of this.#answering.values()) answering.giveUp()
    for (const asked of this.#asked) fail(asked, broke(asked))
  }

  /** To whom this end chooses to pass gossip on. */
  chosen(): ReadonlySet<MemberId> {
    return this.#mesh.choose(this.#peers())
  }

  /** The connections to a member timed out. */
  lose(member: MemberId): void {
    for (const wire of this.#wiresOf(member)) this.#drop(member, wire, true)
  }

  async admitNewcomer(invite: MemberId, body: Uint8Array): Promise<Uint8Array> {
    if (this.#events === null || !this.#invites.has(invite) || this.#members.has(invite)) {
      throw new TuttiError(
        'refused',
        `the peer at ${this.#address} does not know this ticket: it is forged, was made for another cluster, or has been used up long ago; ask a member for a new one with \`tutti invite\``,
      )
    }
    try {
      return await this.#events.join(invite, body)
    } catch (thrown) {
      throw new TuttiError('refused', messageOf(thrown))
    }
  }

  // ------------------------------------------------------------------------------------------------------ connections

  #peers(): readonly MemberId[] {
    this.#connected ??= [...this.#wires.keys()].sort(compareStrings)
    return this.#connected
  }

  /** Somebody is connected now who was not, or the other way round. */
  #rewired(): void {
    this.#connected = null
    this.#mesh.changed()
    this.#network.rewired()
  }

  /** Runs at the other end, if it still holds the connection by then; else its machine answers with a reset. */
  #carry(to: MemberId, wire: Wire, run: (other: SimulatedTransport) => void): void {
    this.#network.carry(this.self, to, () => {
      const other = this.#network.processOf(to)
      if (other !== null && other.#holds(this.self, wire)) run(other)
      else if (this.#holds(to, wire)) this.#network.carry(to, this.self, () => this.#drop(to, wire, false))
    })
  }

  /** A copy: ending one takes it out of the list. */
  #wiresOf(member: MemberId): readonly Wire[] {
    return (this.#wires.get(member) ?? []).slice()
  }

  #holds(member: MemberId, wire: Wire): boolean {
    return this.#wires.get(member)?.includes(wire) === true
  }

  #accept(member: MemberId, wire: Wire, answer: () => void = () => undefined): boolean {
    if (this.#events === null || !this.#members.has(member)) return false
    answer()
    const others = this.#wires.get(member)
    if (others !== undefined) {
      // As the production transport probes: an older connection may be one that its other end does not know any more.
      for (const older of others) this.#carry(member, older, () => undefined)
      others.push(wire)
    } else {
      this.#wires.set(member, [wire])
      this.#rewired()
      this.#events.connected(member)
    }
    return true
  }

  #sayClosed(member: MemberId, wire: Wire): void {
    this.#carry(member, wire, (other) => other.#drop(this.self, wire, false))
  }

  #drop(member: MemberId, wire: Wire, silent: boolean): void {
    const wires = this.#wires.get(member)
    const at = wires?.indexOf(wire) ?? -1
    if (wires === undefined || at < 0) return
    wires.splice(at, 1)
    for (const asked of this.#asked) if (asked.wire === wire) fail(asked, broke(asked))
    for (const [asked, answering] of this.#answering) if (asked.wire === wire) answering.giveUp()
    if (wires.length > 0) return
    this.#wires.delete(member)
    this.#rewired()
    for (const channel of ['beat', 'sync'] as const) this.#undelivered[channel].delete(member)
    this.#events?.disconnected(member, silent)
  }

  // ----------------------------------------------------------------------------------------------------------- gossip

  #isNew(bytes: Uint8Array): boolean {
    const hash = hashOf(bytes)
    if (this.#seen.has(hash) || this.#seenBefore.has(hash)) return false
    if (this.#seen.size >= SEEN_MAX) {
      // All at once: a set that loses its first entry each time is slow to find the next one.
      this.#seenBefore = this.#seen
      this.#seen = new Set()
    }
    this.#seen.add(hash)
    return true
  }

  #spread(bytes: Uint8Array, source: MemberId | null): void {
    const chosen = (other: MemberId): ReadonlySet<MemberId> | undefined =>
      this.#network.processOf(other)?.chosen()
    for (const member of this.#mesh.among(this.#peers(), chosen, this.#network.wiring)) {
      const wire = this.#wires.get(member)?.at(-1)
      if (member === source || wire === undefined) continue
      for (let left = this.#network.copies(this.self, member, true); left > 0; left -= 1) {
        const sent = this.#network.altered(this.self, member, bytes)
        const carry = (): void => this.#carry(member, wire, (other) => void other.#hear(this.self, sent))
        const lateMs = this.#network.lateness(this.self, member)
        if (lateMs === 0) carry()
        else this.#network.clock.after(lateMs, carry)
      }
    }
  }

  async #hear(from: MemberId, bytes: Uint8Array): Promise<void> {
    const events = this.#events
    if (events === null) return
    this.#network.carried(from, this.self, bytes.length)
    if (!this.#isNew(bytes)) return
    this.#network.delivered(from, this.self)
    const verdict = await events.gossip(from, bytes)
    if (verdict !== 'accept' || this.#events !== events) return
    this.#network.forwarded(this.self, bytes)
    this.#spread(bytes, from)
  }

  // -------------------------------------------------------------------------------------------------------- questions

  /** Fetches an asker's input part by part, each when the one before was taken. */
  async *#inputOf(from: MemberId, asked: Asked, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { input, wire } = asked
    const wake = (): void => input.wake()
    signal.addEventListener('abort', wake, { once: true })
    try {
      for (;;) {
        this.#carry(from, wire, (asker) => void asker.#sendInput(this.self, asked))
        while (input.parts.length === 0 && !input.ended && !signal.aborted)
          await new Promise<void>((resolve) => (input.wake = resolve))
        const part = input.parts.shift()
        if (signal.aborted) throw new TuttiError('unreachable', 'the asker left before its input ended')
        if (part === undefined) return
        yield part
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  /** Takes one part of the input and sends it over. Never rejects. */
  async #sendInput(to: MemberId, asked: Asked): Promise<void> {
    const { input, wire } = asked
    if (input.source === null || !this.#asked.has(asked)) return
    try {
      const { value, done } = await input.source.next()
      this.#carry(to, wire, () => {
        if (done === true) input.ended = true
        else input.parts.push(value)
        input.wake()
      })
    } catch {
      // The other side must not take a broken input for a whole one.
      this.#carry(to, wire, (other) => other.#answering.get(asked)?.giveUp())
      fail(asked, broke(asked))
    }
  }

  /** Answers part by part: the next one leaves when the one before has arrived. Never rejects. */
  async #answer(from: MemberId, asked: Asked, method: string, body: Uint8Array): Promise<void> {
    const events = this.#events
    if (events === null) return
    const answering = new Answering()
    const { signal } = answering
    this.#answering.set(asked, answering)
    const arrived = (effect: () => void): Promise<void> =>
      new Promise((resolve) => {
        if (signal.aborted) resolve()
        answering.wake = resolve
        this.#carry(from, asked.wire, () => {
          effect()
          asked.wake()
          resolve()
        })
      })
    const input = this.#inputOf(from, asked, signal)
    const parts = events.request(from, method, body, signal, input)[Symbol.asyncIterator]()
    try {
      let next = await parts.next()
      while (next.done !== true) {
        const part = next.value
        const following = parts.next()
        const isLast = await endsAtOnce(following)
        await arrived(() => {
          asked.parts.push(part)
          asked.done = isLast
        })
        if (isLast || signal.aborted) return
        next = await following
      }
      await arrived(() => (asked.done = true))
    } catch (thrown) {
      await arrived(() => {
        asked.done = true
        asked.failure = new TuttiError('refused', messageOf(thrown))
      })
    } finally {
      this.#answering.delete(asked)
      // Nobody asks it for more; it has heard by its signal where it was left early.
      Promise.resolve(parts.return?.()).catch(() => undefined)
    }
  }
}

/** Turns of the queue of promises in which a generator that has nothing left to do comes to its end, through a few others. */
const LAST_TURNS = 12

/** Whether no part follows, as far as is known at once: then the end travels with the last part, as in one segment of a stream. */
const endsAtOnce = (following: Promise<IteratorResult<Uint8Array>>): Promise<boolean> =>
  Promise.race([
    following.then(
      ({ done }) => done === true,
      () => false,
    ),
    notWithin(LAST_TURNS),
  ])

const notWithin = async (turns: number): Promise<false> => {
  for (let left = turns; left > 0; left -= 1) await Promise.resolve()
  return false
}

/** One array travels to all members, so its hash is worked out once. */
const hashes = new WeakMap<Uint8Array, string>()

const hashOf = (bytes: Uint8Array): string => {
  const known = hashes.get(bytes)
  if (known !== undefined) return known
  const hash = sha256Hex(bytes)
  hashes.set(bytes, hash)
  return hash
}

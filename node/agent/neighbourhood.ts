// Who is here, as this peer acts on it: feeds the failure detector and the dialler from the transport, the view and the
// statuses, and carries out what they ask for. It decides nothing itself; both are sans-IO machines of net/.

import type { Alert, MemberStatus } from '../../crdt/schema/status.ts'
import type { View } from '../../crdt/schema/view.ts'
import type { MemberId } from '../../lib/ids.ts'
import { compareStrings } from '../../lib/order.ts'
import type { Clock } from '../../lib/time.ts'
import { mergeAddresses } from '../../net/addresses.ts'
import type { DetectorEffect } from '../../net/detector-options.ts'
import type { Dialler } from '../../net/dialler.ts'
import type { FailureDetector } from '../../net/failure-detector.ts'
import type { Membership } from '../../net/membership.ts'
import type { Transport } from '../../net/transport.ts'
import { Wake } from './wake.ts'

/** Bounds of the wait between two ticks: no busy loop when something is overdue; the beats are due sooner than the other one. */
const TICK_MIN_MS = 5
const TICK_MAX_MS = 1000

/** An address to reach the cluster by, from the command line or from what a join was answered. */
export interface KnownPeer {
  readonly id: MemberId
  readonly addresses: readonly string[]
}

export interface NeighbourhoodOptions {
  readonly transport: Transport
  readonly detector: FailureDetector
  readonly dialler: Dialler
  readonly clock: Clock
  /** How long this process has stood in line for a core so far, milliseconds; 0 where the system does not say. */
  readonly coreWaitMs: () => number
  /** Known before the document is: who may connect, and where, until the view says. */
  readonly bootstrap: readonly KnownPeer[]
  /** What this peer says of another one it has lost; null: nothing any more. Others hear of it with `tellAlerts`. */
  readonly setAlert: (member: MemberId, alert: Alert | null) => void
  readonly tellAlerts: () => void
  readonly refute: (above: number) => void
  /** A member's state, or the brake, changed. */
  readonly changed: () => void
}

/** What the members are said to be, and what they say of themselves. */
export interface WordOfMembers {
  view(): View
  statusOf(member: MemberId): MemberStatus | null
  /** Whose status may be another one than when this was last asked, sorted. */
  takeChanged(): readonly MemberId[]
}

export class Neighbourhood {
  readonly #options: NeighbourhoodOptions
  readonly #wake: Wake
  /** Where members were when they were admitted. */
  #admitted: ReadonlyMap<MemberId, readonly string[]> = new Map()
  #view: View | null = null
  #addresses = new Map<MemberId, readonly string[]>()
  /** Where members say that they are reached. */
  #said = new Map<MemberId, readonly string[]>()
  #judged: Membership = { members: [], brakedUntilMs: null }
  #neighbours: readonly MemberId[] = []

  constructor(options: NeighbourhoodOptions) {
    this.#options = options
    const { clock, detector, dialler } = options
    this.#wake = new Wake({
      clock,
      minMs: TICK_MIN_MS,
      maxMs: TICK_MAX_MS,
      dueMs: () => Math.min(detector.nextTickMs, dialler.nextTickMs),
      act: () => this.#tick(),
    })
  }

  /** The view or a status may have changed: who is a member, and where they are reached. Cuts whoever is one no longer. */
  update(source: WordOfMembers): void {
    const { transport } = this.#options
    const known = this.#view
    const view = source.view()
    this.#view = view
    // Most edits are of services; a view keeps its members and invites by identity until they change.
    const membersChanged = known?.members !== view.members
    if (membersChanged) this.#admit(view)
    if (known?.invites !== view.invites) transport.setInvites(new Set(view.invites.map(({ id }) => id)))
    const changed = source.takeChanged()
    // Whoever is a member now may have said before where it is, and whom it accuses.
    const members = membersChanged ? view.members.map(({ id }) => id) : []
    const moved = this.#hear(source, [...new Set([...changed, ...members])].sort(compareStrings))
    if (membersChanged) {
      this.#locate(view)
      this.#target(true)
    } else for (const id of moved) this.#relocate(id)
    this.#wake.arm()
  }

  #admit(view: View): void {
    const { transport, detector, clock, bootstrap } = this.#options
    const ids = view.members.map(({ id }) => id)
    // A peer that has not synced yet knows no members: it trusts whom its join named.
    const admitted = ids.length > 0 ? ids : bootstrap.map(({ id }) => id)
    // First the detector, since it ignores whatever it hears of members that it does not know.
    detector.setMembers(admitted, clock.now())
    transport.setMembers(new Set(admitted.filter((id) => id !== transport.self)))
  }

  /** Passes on what these say of themselves; answers with those that are reached elsewhere than before. */
  #hear(source: WordOfMembers, members: readonly MemberId[]): readonly MemberId[] {
    const nowMs = this.#options.clock.now()
    const moved: MemberId[] = []
    for (const member of members) {
      const status = source.statusOf(member)
      if (status === null) {
        this.#said.delete(member)
        continue
      }
      const { incarnation, alerts, facts } = status
      const addresses = facts?.addresses ?? []
      const before = this.#said.get(member)
      if (before !== addresses && before?.join() !== addresses.join()) moved.push(member)
      this.#said.set(member, addresses)
      this.#options.detector.setStatus(
        member,
        { incarnation, alerts, running: facts?.running ?? true, startedAt: facts?.startedAt ?? null },
        nowMs,
      )
    }
    return moved
  }

  addressesOf(member: MemberId): readonly string[] {
    return this.#addresses.get(member) ?? []
  }

  /** Every member of the view, this peer included, and where each is reached. */
  known(): readonly KnownPeer[] {
    const { transport } = this.#options
    return (this.#view?.members ?? []).map(({ id }) => ({
      id,
      addresses: id === transport.self ? transport.addresses() : this.addressesOf(id),
    }))
  }

  connected(member: MemberId): void {
    const nowMs = this.#options.clock.now()
    this.#options.detector.connected(member, nowMs)
    this.#options.dialler.connected(member, nowMs)
    this.#wake.arm()
  }

  disconnected(member: MemberId, silent: boolean): void {
    const nowMs = this.#options.clock.now()
    this.#options.detector.disconnected(member, silent, nowMs)
    this.#options.dialler.disconnected(member, nowMs)
    this.#wake.arm()
  }

  beat(from: MemberId, bytes: Uint8Array): void {
    this.#options.detector.beat(from, bytes, this.#options.clock.now())
    this.#wake.arm()
  }

  membership(): Membership {
    return this.#options.detector.membership(this.#options.clock.now())
  }

  stop(): void {
    this.#wake.stop()
  }

  #tick(): void {
    const { transport, detector, dialler, clock, coreWaitMs } = this.#options
    const effects = detector.tick(clock.now(), coreWaitMs())
    for (const effect of effects) this.#perform(effect)
    // Whoever is cut off loses many at once, and says so in one word.
    if (effects.some(({ kind }) => kind === 'alert' || kind === 'retract')) this.#options.tellAlerts()
    const changed = this.#statesChanged(this.membership())
    this.#target(changed)
    for (const effect of clock.now() < dialler.nextTickMs ? [] : dialler.tick(clock.now())) {
      if (effect.kind === 'disconnect') transport.disconnect(effect.member)
      else void this.#dial(effect.member, effect.addresses)
    }
    if (changed) this.#options.changed()
  }

  /** Whether anybody's state, or the brake, is another than at the last tick. */
  #statesChanged(membership: Membership): boolean {
    const { members, brakedUntilMs } = membership
    const before = this.#judged
    this.#judged = membership
    return (
      (before.brakedUntilMs !== null) !== (brakedUntilMs !== null) ||
      (before.members !== members &&
        (before.members.length !== members.length ||
          before.members.some(({ id, state }, at) => id !== members[at]?.id || state !== members[at]?.state)))
    )
  }

  #perform(effect: DetectorEffect): void {
    const { transport } = this.#options
    switch (effect.kind) {
      case 'beat':
        transport.send(effect.to, 'beat', effect.bytes)
        break
      case 'alert':
        this.#options.setAlert(effect.member, { incarnation: effect.incarnation, silent: effect.silent })
        break
      case 'retract':
        this.#options.setAlert(effect.member, null)
        break
      case 'refute':
        this.#options.refute(effect.above)
        break
      case 'reconnect':
        transport.disconnect(effect.member)
        break
    }
  }

  /** Who is to be connected to, and where each is reached. */
  #locate({ members }: View): void {
    const { transport, bootstrap } = this.#options
    this.#addresses = new Map(
      members.length === 0 ? bootstrap.map(({ id, addresses }) => [id, addresses]) : [],
    )
    this.#admitted = new Map(members.map(({ id, addresses }) => [id, addresses]))
    for (const id of this.#admitted.keys()) this.#addresses.set(id, this.#mergedAddresses(id))
    this.#addresses.delete(transport.self)
  }

  /** A member is reached elsewhere, and nothing else is new: of a thousand that start at once each says so. */
  #relocate(id: MemberId): void {
    const { transport, dialler, clock } = this.#options
    if (id === transport.self || !this.#admitted.has(id)) return
    const addresses = this.#mergedAddresses(id)
    this.#addresses.set(id, addresses)
    dialler.setAddresses(id, addresses, clock.now())
  }

  #mergedAddresses(id: MemberId): readonly string[] {
    const named = this.#options.bootstrap.find((peer) => peer.id === id)?.addresses ?? []
    return mergeAddresses(this.#said.get(id) ?? [], this.#admitted.get(id) ?? [], named)
  }

  /** Tells the dialler whom to reach; `moved`: a state or an address changed. */
  #target(moved: boolean): void {
    const { detector, dialler, clock } = this.#options
    const nowMs = clock.now()
    if (moved) {
      const states = new Map(this.membership().members.map(({ id, state }) => [id, state]))
      const targets = [...this.#addresses].filter(([id]) => states.get(id) !== 'left')
      dialler.setMembers(
        targets.map(([id, addresses]) => ({ id, addresses, lost: states.get(id) === 'dead' })),
        nowMs,
      )
    }
    const neighbours = detector.neighbours()
    if (neighbours === this.#neighbours) return
    this.#neighbours = neighbours
    dialler.setNeighbours(neighbours, nowMs)
  }

  async #dial(member: MemberId, addresses: readonly string[]): Promise<void> {
    const reached = await this.#options.transport.dial(member, addresses)
    this.#options.dialler.dialled(member, reached, this.#options.clock.now())
    this.#wake.arm()
  }
}

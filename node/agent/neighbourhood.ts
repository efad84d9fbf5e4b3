// Who is here, as this peer acts on it: feeds the failure detector and the dialler from the transport, the view and the
// statuses, and carries out what they ask for. It decides nothing itself; both are sans-IO machines of net/.

import type { MemberStatus } from '../../crdt/schema/status.ts'
import type { View } from '../../crdt/schema/view.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Clock } from '../../lib/time.ts'
import { mergeAddresses } from '../../net/addresses.ts'
import type { DetectorEffect } from '../../net/detector-options.ts'
import type { Dialler } from '../../net/dialler.ts'
import type { FailureDetector } from '../../net/failure-detector.ts'
import type { Membership } from '../../net/membership.ts'
import type { Transport } from '../../net/transport.ts'
import { Wake } from './wake.ts'

/** Bounds of the wait between two ticks: no busy loop when something is overdue, no day-dream when nothing is. */
const TICK_MIN_MS = 5
const TICK_MAX_MS = 500

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
  readonly raiseAlert: (member: MemberId, incarnation: number, silent: boolean) => void
  readonly retractAlert: (member: MemberId) => void
  readonly refute: (above: number) => void
  /** A member's state, or the brake, changed. */
  readonly changed: () => void
}

export class Neighbourhood {
  readonly #options: NeighbourhoodOptions
  readonly #wake: Wake
  #view: View | null = null
  #addresses: ReadonlyMap<MemberId, readonly string[]> = new Map()
  #statuses: ReadonlyMap<MemberId, MemberStatus> = new Map()
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

  /** The view or a status changed: who is a member, and where they are reached. Cuts whoever is one no longer. */
  update(view: View, statuses: ReadonlyMap<MemberId, MemberStatus>): void {
    const { transport } = this.#options
    const known = this.#view
    this.#view = view
    // Most edits are of services; a view keeps its members and invites by identity until they change.
    const membersChanged = known?.members !== view.members
    if (membersChanged) this.#admit(view)
    if (known?.invites !== view.invites) transport.setInvites(new Set(view.invites.map(({ id }) => id)))
    const moved = this.#hear(statuses, membersChanged)
    if (membersChanged || moved) {
      this.#locate(view, statuses)
      this.#target(true)
    }
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

  /** Passes on what members newly say of themselves (`all`: whatever they say); true when one is reached elsewhere. */
  #hear(statuses: ReadonlyMap<MemberId, MemberStatus>, all: boolean): boolean {
    const heard = this.#statuses
    this.#statuses = statuses
    if (heard === statuses && !all) return false
    const nowMs = this.#options.clock.now()
    let moved = false
    // In the order of ids, as a status map lists them.
    for (const [member, status] of statuses) {
      const before = heard.get(member)
      if (before === status && !all) continue
      const { incarnation, alerts, facts } = status
      moved ||= before?.facts?.addresses.join() !== facts?.addresses.join()
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
    for (const effect of detector.tick(clock.now(), coreWaitMs())) this.#perform(effect)
    const changed = this.#statesChanged(this.membership())
    this.#target(changed)
    for (const effect of dialler.tick(clock.now())) {
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
        this.#options.raiseAlert(effect.member, effect.incarnation, effect.silent)
        break
      case 'retract':
        this.#options.retractAlert(effect.member)
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
  #locate(view: View, statuses: ReadonlyMap<MemberId, MemberStatus>): void {
    const { transport, bootstrap } = this.#options
    const known = new Map<MemberId, readonly string[]>()
    const named = new Map(bootstrap.map(({ id, addresses }) => [id, addresses]))
    if (view.members.length === 0) for (const { id, addresses } of bootstrap) known.set(id, addresses)
    for (const { id, addresses } of view.members) {
      known.set(id, mergeAddresses(statuses.get(id)?.facts?.addresses ?? [], addresses, named.get(id) ?? []))
    }
    known.delete(transport.self)
    this.#addresses = known
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

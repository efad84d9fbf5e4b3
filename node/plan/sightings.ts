// Sightings: what this peer sees of slots across the cluster, from the members' statuses and, for itself, from its own
// facts, which are a pass fresher. One question a method; decides nothing.

import type { InstanceId, MemberId, ReleaseId, ServiceId, SlotId } from '../../lib/ids.ts'
import { instanceIdOf, slotIdOf } from '../../lib/ids.ts'
import type { InstanceState } from '../../crdt/schema/status.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { MemberLiveness } from '../../net/membership.ts'
import type { Claim } from './claims.ts'
import { isMerelyWanted, isPresent, keepsUntilMs } from './eligibility.ts'
import { healthOf } from './health.ts'
import type { LocalInstance } from './local.ts'
import type { PlanInput } from './plan.ts'
import { restartOf } from './restart.ts'
import { SightingsMemo, type Sighting } from './sightings-memo.ts'

/** As this peer reports it: one that has done what it was for is `stopped`, not `crashed`. */
const localState = (
  instance: LocalInstance,
  service: ServiceView | undefined,
  nowMs: number,
): InstanceState =>
  instance.phase === 'exited' &&
  service !== undefined &&
  restartOf(instance, service.restart, nowMs).kind === 'done'
    ? 'stopped'
    : healthOf(instance, nowMs).state

export class Sightings {
  readonly #input: PlanInput
  readonly #liveness: ReadonlyMap<MemberId, MemberLiveness>
  readonly #names: ReadonlyMap<MemberId, string>
  readonly #localStates: ReadonlyMap<InstanceId, InstanceState>
  #askedReports = false
  readonly #memo: SightingsMemo
  #bySlot: ReadonlyMap<string, readonly Sighting[]> | null = null
  #byService: ReadonlyMap<ServiceId, readonly InstanceState[]> | null = null

  /** @param memo of the last pass. */
  constructor(input: PlanInput, memo: SightingsMemo = new SightingsMemo()) {
    this.#input = input
    this.#memo = memo
    this.#liveness = memo.liveness(input.membership)
    this.#names = memo.names(input.view)
    const services = new Map(input.view.services.map((service) => [service.id, service]))
    this.#localStates = new Map(
      input.local.map((instance) => [
        instance.id,
        localState(instance, services.get(instance.service), input.nowMs),
      ]),
    )
  }

  /** A member's name for people; its id where the view has none. */
  nameOf(member: MemberId): string {
    return this.#names.get(member) ?? member
  }

  isPresent(member: MemberId): boolean {
    return this.#names.has(member) && isPresent(this.#liveness.get(member)?.state)
  }

  /** The state of a slot at a release on a member; undefined: none there. */
  stateOf(member: MemberId, slot: SlotId, release: ReleaseId): InstanceState | undefined {
    const id = instanceIdOf(slot, release)
    if (member === this.#input.self) return this.#localStates.get(id)
    return this.#input.statuses.get(member)?.instances.get(id)?.state
  }

  /** True when a member has last planned for the same view as this peer. It may have another one by now. */
  agrees(member: MemberId): boolean {
    this.#askedReports = true
    const report = this.#input.statuses.get(member)?.report ?? null
    return report === null || report.digest === this.#input.view.digest
  }

  /** Whether anything so far depended on a report. */
  get askedReports(): boolean {
    return this.#askedReports
  }

  /** Present members other than this one that have the slot ready, at any release, in order of their ids. */
  servers(slot: SlotId): readonly Claim[] {
    return (this.#slots().get(slot) ?? []).flatMap(({ member, status }) =>
      status.state === 'ready' && this.isPresent(member) ? [{ member, claim: status.claim ?? 0 }] : [],
    )
  }

  /**
   * Instances of a slot on other members that may still run: on members that are present, and on dead ones for as long
   * as those keep their slots. What a status only wants, or says has ended for good, does not run.
   */
  holders(slot: SlotId, service: ServiceView): readonly Sighting[] {
    const { nowMs, membership } = this.#input
    return (this.#slots().get(slot) ?? []).filter(({ member, status }) => {
      if (status.state === 'stopped' || isMerelyWanted(status)) return false
      const liveness = this.#liveness.get(member)
      if (liveness === undefined || liveness.state === 'left') return false
      return liveness.state !== 'dead' || keepsUntilMs(liveness, service, membership.brakedUntilMs) > nowMs
    })
  }

  /** The first slot of a service that has not run to its good end at the wanted release; null: all have. */
  incomplete(service: ServiceView): SlotId | null {
    if (service.mode === 'global') {
      // Who may hold a slot is the election's to say; whatever runs must have ended, and something must have run.
      const states = this.statesOf(service.id)
      return states.length > 0 && states.every((state) => state === 'stopped')
        ? null
        : slotIdOf(service.id, 'all')
    }
    for (let seat = 0; seat < service.replicas; seat += 1) {
      const slot = slotIdOf(service.id, seat)
      if (this.completedBy(slot, service.release) === null) return slot
    }
    return null
  }

  /**
   * Who has run a slot to its good end at a release, this peer first; null: nobody. It stays done when that member is
   * gone: a migration is not run again because a machine died.
   */
  completedBy(slot: SlotId, release: ReleaseId): MemberId | null {
    if (this.#localStates.get(instanceIdOf(slot, release)) === 'stopped') return this.#input.self
    const seen = (this.#slots().get(slot) ?? []).find(
      ({ status }) => status.state === 'stopped' && status.release === release,
    )
    if (seen !== undefined) return seen.member
    // What this peer said of a slot that another has completed.
    const own = this.#input.statuses.get(this.#input.self)?.instances.get(instanceIdOf(slot, release))
    return own?.state === 'stopped' ? this.#input.self : null
  }

  /** States of all instances of a service on members that are present, this one included. */
  statesOf(service: ServiceId): readonly InstanceState[] {
    if (this.#byService === null) {
      const states = new Map<ServiceId, InstanceState[]>()
      const note = (id: ServiceId, state: InstanceState): void => {
        const known = states.get(id)
        if (known === undefined) states.set(id, [state])
        else known.push(state)
      }
      for (const { id, service } of this.#input.local) note(service, this.#localStates.get(id) ?? 'stopped')
      for (const [slot, sightings] of this.#slots()) {
        const of = slot.slice(0, slot.lastIndexOf('/')) as ServiceId
        for (const { member, status } of sightings) if (this.isPresent(member)) note(of, status.state)
      }
      this.#byService = states
    }
    return this.#byService.get(service) ?? []
  }

  /** Whether another present member says that a slot of the service is overdue at its wanted release. */
  isOverdue({ id, release }: ServiceView): boolean {
    return this.#input.view.members.some(
      ({ id: member }) =>
        member !== this.#input.self &&
        this.isPresent(member) &&
        [...(this.#input.statuses.get(member)?.instances.values() ?? [])].some(
          (status) =>
            status.release === release &&
            status.unfulfilledSince !== undefined &&
            status.slot.startsWith(`${id}/`),
        ),
    )
  }

  /** Built on first use: a pass in which nothing waits needs none of it. */
  #slots(): ReadonlyMap<string, readonly Sighting[]> {
    this.#bySlot ??= this.#memo.slots(this.#input)
    return this.#bySlot
  }
}

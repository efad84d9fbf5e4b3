// Endpoints: where the ready instances of services are reached, from statuses and membership. Links and gateways send
// traffic there and nowhere else: what drains, fails, or sits on a member that is not present is left out.

import { compareStrings, sortedEntries } from '../../lib/order.ts'
import type { InstanceId, MemberId, ServiceId, SlotId } from '../../lib/ids.ts'
import type { InstanceStatus } from '../../crdt/schema/status.ts'
import { isPresent } from './eligibility.ts'
import { firstPort } from './health.ts'
import type { PlanInput } from './plan.ts'
import { holdsSwitch } from './rollout/words.ts'

export interface Endpoint {
  readonly service: ServiceId
  readonly slot: SlotId
  readonly instance: InstanceId
  readonly member: MemberId
  /** IP address or host name of its member. */
  readonly host: string
  /** By name. */
  readonly ports: Readonly<Record<string, number>>
  /** Of the first named port; null: it has none. */
  readonly port: number | null
}

/** What endpoints are computed from; an agent's snapshot is one. */
export type EndpointInput = Pick<PlanInput, 'view' | 'statuses' | 'membership'>

/**
 * The ready instances of every service that the view still wants, sorted by member, then instance. Old and new releases
 * both count while they are ready: a rollout's traffic shifts as old ones drain. Of a blue-green service it shifts at once.
 */
export const endpointsOf = (input: EndpointInput): ReadonlyMap<ServiceId, readonly Endpoint[]> => {
  const services = new Map(input.view.services.map((service) => [service.id, service]))
  const admitted = new Set(input.view.members.map((member) => member.id))
  const found = new Map<ServiceId, Endpoint[]>()
  const present = input.membership.members.filter(({ id, state }) => admitted.has(id) && isPresent(state))
  for (const { id: member } of present.toSorted((a, b) => compareStrings(a.id, b.id))) {
    const status = input.statuses.get(member)
    if (status === undefined || status.facts === null || !status.facts.running) continue
    for (const [id, entry] of sortedEntries(status.instances)) {
      if (entry.state !== 'ready') continue
      const service = services.get(serviceOf(entry))
      if (service === undefined || service.stopped) continue
      const endpoint = endpointOf(service.id, id, entry, member, status.facts.host)
      const known = found.get(service.id)
      if (known === undefined) found.set(service.id, [endpoint])
      else known.push(endpoint)
    }
  }
  const here = new Set(present.map(({ id }) => id))
  for (const [id, endpoints] of found) {
    const service = services.get(id)
    if (service === undefined || !holdsSwitch(input, service, (member) => here.has(member))) continue
    const old = endpoints.filter(({ instance }) => !instance.endsWith(`@${service.release}`))
    // Better the new release before its time than none.
    if (old.length > 0) found.set(id, old)
  }
  return found
}

const serviceOf = (status: InstanceStatus): ServiceId =>
  status.slot.slice(0, status.slot.lastIndexOf('/')) as ServiceId

const endpointOf = (
  service: ServiceId,
  id: string,
  status: InstanceStatus,
  member: MemberId,
  host: string,
): Endpoint => {
  const first = firstPort(status)
  return {
    service,
    slot: status.slot as SlotId,
    instance: id as InstanceId,
    member,
    host,
    ports: status.ports,
    port: first === null ? null : (status.ports[first] ?? null),
  }
}

// Edits in words: path, before, after. What `tutti plan` and `tutti apply` show, so it leaves out what would not change
// and, of a new service, what is as it is by default.

import {
  dutyOfEntity,
  memberOfEntity,
  formatPath,
  LIFE,
  packageOfEntity,
  parseLife,
  placeOf,
  serviceFieldOf,
  serviceOfEntity,
} from './fields.ts'
import { formatValue } from './conflicts.ts'
import type { Edit, EditDescription, Scalar } from './edit.ts'
import type { MemberId } from '../lib/ids.ts'
import { canonicalJson } from '../lib/order.ts'
import type { MemberView, View } from './schema/view.ts'
import { DEFAULT_FIELDS, fieldsOfView, type ServiceFields } from './service-fields.ts'

/** What edits would change of a view, in the order of the edits. */
export const describeEdits = (view: View, edits: readonly Edit[]): readonly EditDescription[] => {
  const members = new Map(view.members.map((member) => [member.id, member]))
  const services = new Map<string, ServiceFields>(
    view.services.map((service) => [`services/${service.id}`, fieldsOfView(service)]),
  )
  const named = new Map<MemberId, string>()
  for (const { container, key, value } of edits)
    if (container === 'members' && key.endsWith('/name'))
      named.set(key.slice(0, -'/name'.length) as MemberId, String(value))
  const nameOf = (id: MemberId): string => members.get(id)?.name ?? named.get(id) ?? id
  return edits.flatMap(({ container, key, value }): EditDescription[] => {
    const place = placeOf(container, key)
    if (place === null) return []
    const { entity, field } = place
    const path = formatPath(entity, field, nameOf)
    if (field === LIFE) return [describeLife(path, value)]
    const from = beforeOf(view, services, members, entity, field)
    if (from === value || (from === null && isDefault(services, entity, field, value))) return []
    return [{ path, from: shown(from), to: shown(value) }]
  })
}

const describeLife = (path: string, value: Scalar): EditDescription =>
  parseLife(value)?.gone === true ? { path, from: 'present', to: null } : { path, from: null, to: 'present' }

const shown = (value: Scalar): string | null => (value === null ? null : formatValue(value))

const isDefault = (
  services: ReadonlyMap<string, ServiceFields>,
  entity: string,
  field: string,
  value: Scalar,
): boolean => {
  if (entity.startsWith('services/') && !services.has(entity))
    return DEFAULT_FIELDS.get(serviceFieldOf(field)?.name ?? '') === value
  // A new member is neither cordoned nor draining.
  return value === false
}

const beforeOf = (
  view: View,
  services: ReadonlyMap<string, ServiceFields>,
  members: ReadonlyMap<MemberId, MemberView>,
  entity: string,
  field: string,
): Scalar => {
  if (entity.startsWith('services/')) {
    const place = serviceFieldOf(field)
    const service = view.services.find(({ id }) => id === serviceOfEntity(entity))
    // A field of another generation has nothing before it.
    if (place === null || service?.generation !== place.generation) return null
    return services.get(entity)?.get(place.name) ?? null
  }
  if (entity.startsWith('members/')) return memberField(members.get(memberOfEntity(entity)), field)
  const duty = view.buildDuties?.find(({ name }) => name === dutyOfEntity(entity))
  if (duty !== undefined) {
    const { repository, branch, file, everyMs, outcome } = duty
    if (field === 'duty') return canonicalJson({ repository, branch, file, everyMs })
    return outcome === null ? null : canonicalJson(outcome)
  }
  if (entity.startsWith('packages/')) return packageEntry(view, packageOfEntity(entity))
  if (!entity.startsWith('invites/')) return null
  const invite = view.invites.find(({ id }) => id === memberOfEntity(entity))
  if (invite === undefined) return null
  const { expiresAt, role, uses } = invite
  return canonicalJson({ expiresAt, role, uses })
}

const packageEntry = (view: View, ref: string): Scalar => {
  const present = view.packages?.find((each) => each.ref === ref)
  if (present === undefined) return null
  const { digest, bytes, files, source, removed } = present
  return canonicalJson({ digest, bytes, files, source, removed: removed ? true : undefined })
}

const memberField = (member: MemberView | undefined, field: string): Scalar => {
  if (member === undefined) return null
  switch (field) {
    case 'name':
      return member.name
    case 'role':
      return member.role
    case 'addresses':
      return canonicalJson(member.addresses)
    case 'cordoned':
      return member.cordoned
    case 'draining':
      return member.draining
    default:
      return null
  }
}

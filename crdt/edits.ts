// Edits of operators, as pure functions of the view: each returns what the change has to set, and throws for what does
// not exist. They write as little as possible, so that two operators who touch different fields both get their way.
// Deliberately absent: permission and durability; the replica judges, the store keeps.

import { TuttiError } from '../lib/errors.ts'
import type { MemberId, ServiceId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { canonicalJson } from '../lib/order.ts'
import type { Edit, Scalar } from './edit.ts'
import { formatPath, LIFE } from './fields.ts'
import { nearest } from './nearest.ts'
import type { CellSpec } from './schema/service.ts'
import { isUnset } from './schema/service-defaults.ts'
import type { InviteView, MemberView, Role, ServiceView, View } from './schema/view.ts'
import { pinned } from './edits-package.ts'
import { fieldsOfSpec, fieldsOfView } from './service-fields.ts'

/** Sets one field of a service in one generation. */
export const serviceEdit = (id: ServiceId, generation: number, field: string, value: Scalar): Edit => ({
  container: 'services',
  key: `${id}/${generation}/${field}`,
  value,
})

const serviceLife = (id: ServiceId, generation: number, state: 'live' | 'deleted'): Edit => ({
  container: 'services',
  key: `${id}/${LIFE}`,
  value: `${generation}:${state}`,
})

const memberEdit = (id: MemberId, field: string, value: Scalar): Edit => ({
  container: 'members',
  key: `${id}/${field}`,
  value,
})

/** Every field of a service in one generation that has something to say, its life included. */
export const serviceEdits = (
  id: ServiceId,
  generation: number,
  spec: CellSpec['services'][number],
): readonly Edit[] => [
  serviceLife(id, generation, 'live'),
  ...[...fieldsOfSpec(spec)]
    .filter(([field, value]) => !isUnset(field, value))
    .map(([field, value]) => serviceEdit(id, generation, field, value)),
]

/**
 * Makes a cell exactly what the spec says: new services are created, changed fields set, absent services removed.
 * `replicas: null` leaves what is there. @throws TuttiError `invalid` or `too-large`; `unknown` for a package.
 */
export const applyCell = (view: View, cell: CellSpec): { readonly edits: readonly Edit[] } => {
  checkCell(cell)
  const present = new Map(view.services.filter((service) => service.cell === cell.name).map((s) => [s.id, s]))
  const edits: Edit[] = []
  for (const written of cell.services) {
    const spec = written.package === null ? written : { ...written, package: pinned(view, written.package) }
    const id = `${cell.name}/${spec.name}` as ServiceId
    const service = present.get(id)
    present.delete(id)
    if (service === undefined) edits.push(...serviceEdits(id, nextGeneration(view, id), spec))
    else edits.push(...changedFields(service, spec))
  }
  for (const { id, generation } of present.values()) edits.push(serviceLife(id, generation, 'deleted'))
  return { edits }
}

const checkCell = (cell: CellSpec): void => {
  const names = new Set(cell.services.map(({ name }) => name))
  if (names.size < cell.services.length)
    throw new TuttiError('invalid', `cell '${cell.name}' names a service twice; give each its own name`)
  if (cell.services.length > LIMITS.servicesPerCellMax)
    throw new TuttiError(
      'too-large',
      `cell '${cell.name}' has ${cell.services.length} services, ${LIMITS.servicesPerCellMax} are allowed; split it`,
    )
  for (const { name, ports, environment, dependsOn, package: named, workingDir } of cell.services) {
    if (named !== null && workingDir !== null && !isInner(workingDir))
      throw new TuttiError(
        'invalid',
        `working_dir of service '${name}' lies outside of its package; write a directory in it`,
      )
    if (Object.keys(ports).length > LIMITS.portsPerServiceMax)
      throw new TuttiError(
        'too-large',
        `service '${name}' names more than ${LIMITS.portsPerServiceMax} ports`,
      )
    if (Object.keys(environment).length > LIMITS.environmentMax)
      throw new TuttiError('too-large', `service '${name}' sets more than ${LIMITS.environmentMax} variables`)
    for (const other of Object.keys(dependsOn)) {
      if (names.has(other) && other !== name) continue
      throw new TuttiError(
        'invalid',
        `service '${name}' depends on '${other}', which is no other service of cell '${cell.name}'`,
      )
    }
  }
}

/** Whether a directory is named relative to another one and lies in it. */
const isInner = (directory: string): boolean =>
  !directory.startsWith('/') && !directory.split('/').some((part) => part === '..' || part === '')

/** Fields that differ, and those in conflict: whoever applies a file says what shall hold. */
const changedFields = (service: ServiceView, spec: CellSpec['services'][number]): Edit[] => {
  const { id, generation } = service
  const disputed = new Set(service.conflicts.map(({ path }) => path))
  const before = fieldsOfView(service)
  const after = fieldsOfSpec(spec)
  const edits: Edit[] = []
  for (const [field, value] of after) {
    const path = formatPath(`services/${id}`, `${generation}/${field}`)
    if (before.get(field) !== value || disputed.has(path))
      edits.push(serviceEdit(id, generation, field, value))
  }
  for (const field of before.keys())
    if (!after.has(field) && field.includes('/')) edits.push(serviceEdit(id, generation, field, null))
  return edits
}

/** The generation in which something that is gone, or never was, is created. */
export const nextGeneration = (view: View, id: string): number => generationOf(view, id) + 1

const generationOf = (view: View, id: string): number => {
  const { generations = {} } = view
  return Object.hasOwn(generations, id) ? (generations[id] ?? 0) : 0
}

/** The service of that id. @throws TuttiError `unknown`. */
export const serviceOf = (view: View, id: ServiceId): ServiceView => {
  const service = view.services.find((candidate) => candidate.id === id)
  if (service !== undefined) return service
  throw new TuttiError(
    'unknown',
    `there is no service '${id}'${nearest(
      id,
      view.services.map((candidate) => candidate.id),
    )}`,
  )
}

/** The live member of that name or id. @throws TuttiError `unknown`. */
export const memberOf = (view: View, name: string): MemberView => {
  const member = view.members.find((candidate) => candidate.name === name || candidate.id === name)
  if (member !== undefined) return member
  throw new TuttiError(
    'unknown',
    `there is no peer '${name}'${nearest(
      name,
      view.members.map((candidate) => candidate.name),
    )}`,
  )
}

/** @throws TuttiError `unknown`, or `invalid` for a service in global mode or a count out of range. */
export const scale = (view: View, id: ServiceId, replicas: number): readonly Edit[] => {
  const { generation, mode } = serviceOf(view, id)
  if (mode === 'global')
    throw new TuttiError(
      'invalid',
      `'${id}' is global: it runs once on every eligible peer and has no replicas`,
    )
  if (!Number.isSafeInteger(replicas) || replicas < 0 || replicas > LIMITS.replicasMax)
    throw new TuttiError('invalid', `replicas must be a whole number from 0 to ${LIMITS.replicasMax}`)
  return [serviceEdit(id, generation, 'replicas', replicas)]
}

/** A restart is a new release with the same definition: `token` is anything that was not used before. */
export const restart = (view: View, id: ServiceId, token: string): readonly Edit[] => [
  serviceEdit(id, serviceOf(view, id).generation, 'restartToken', token),
]

export const stop = (view: View, id: ServiceId): readonly Edit[] => [
  serviceEdit(id, serviceOf(view, id).generation, 'stopped', true),
]

export const start = (view: View, id: ServiceId): readonly Edit[] => [
  serviceEdit(id, serviceOf(view, id).generation, 'stopped', false),
]

export const removeService = (view: View, id: ServiceId): readonly Edit[] => [
  serviceLife(id, serviceOf(view, id).generation, 'deleted'),
]

/** Removes all services of a cell. @throws TuttiError `unknown`. */
export const removeCell = (view: View, cell: string): readonly Edit[] => {
  const services = view.services.filter((service) => service.cell === cell)
  if (services.length > 0) return services.map(({ id, generation }) => serviceLife(id, generation, 'deleted'))
  const cells = [...new Set(view.services.map((service) => service.cell))]
  throw new TuttiError('unknown', `there is no cell '${cell}'${nearest(cell, cells)}`)
}

/** Accept no new slots. */
export const cordon = (view: View, name: string): readonly Edit[] => [
  memberEdit(memberOf(view, name).id, 'cordoned', true),
]

/** Accept slots again; ends a drain too. */
export const uncordon = (view: View, name: string): readonly Edit[] => {
  const { id } = memberOf(view, name)
  return [memberEdit(id, 'cordoned', false), memberEdit(id, 'draining', false)]
}

/** Accept no new slots and hand over the present ones. */
export const drain = (view: View, name: string): readonly Edit[] => {
  const { id } = memberOf(view, name)
  return [memberEdit(id, 'cordoned', true), memberEdit(id, 'draining', true)]
}

/** @throws TuttiError `unknown`, or `refused` for the last operator, without whom nobody could edit any more. */
export const removeMember = (view: View, name: string): readonly Edit[] => {
  const { id, role } = memberOf(view, name)
  if (role === 'operator' && view.members.filter((member) => member.role === 'operator').length === 1)
    throw new TuttiError('refused', `'${name}' is the last operator; invite another one before removing it`)
  return [memberEdit(id, LIFE, `${Math.max(1, generationOf(view, id))}:removed`)]
}

/** Admits a member; one that is admitted already only gets its addresses renewed. */
export const addMember = (
  view: View,
  member: {
    readonly id: MemberId
    readonly name: string
    readonly role: Role
    readonly addresses: readonly string[]
    /** Null: admitted without a ticket. */
    readonly invite: MemberId | null
  },
): readonly Edit[] => {
  const { id, name, role, invite } = member
  const addresses = memberEdit(id, 'addresses', canonicalJson(member.addresses))
  if (view.members.some((live) => live.id === id)) return [addresses]
  if (view.members.length + view.removed.length >= LIMITS.membersMax)
    throw new TuttiError(
      'refused',
      `the cluster has had ${LIMITS.membersMax} members, which is the most it can`,
    )
  return [
    memberEdit(id, LIFE, `${nextGeneration(view, id)}:live`),
    memberEdit(id, 'name', name),
    memberEdit(id, 'role', role),
    addresses,
    memberEdit(id, 'invite', invite),
    memberEdit(id, 'cordoned', false),
    memberEdit(id, 'draining', false),
  ]
}

/** Writes a ticket's public half. `used` is derived and not written. */
export const putInvite = (_view: View, invite: Omit<InviteView, 'used'>): readonly Edit[] => {
  const { id, expiresAt, role, uses } = invite
  return [{ container: 'invites', key: id, value: canonicalJson({ expiresAt, role, uses }) }]
}

/** Takes a ticket back. @throws TuttiError `unknown`. */
export const removeInvite = (view: View, id: MemberId): readonly Edit[] => {
  if (view.invites.some((invite) => invite.id === id)) return [{ container: 'invites', key: id, value: null }]
  throw new TuttiError('unknown', 'there is no such ticket; it may have been taken back already')
}

/** The first change of a cluster: it names the founder and the nonce that the cluster id is made of, and admits the founder. */
export const foundingEdits = (founding: {
  readonly member: MemberId
  readonly nonce: string
  /** The founder's own name. */
  readonly name: string
  readonly addresses: readonly string[]
}): readonly Edit[] => {
  const { member, nonce, name, addresses } = founding
  return [
    { container: 'cluster', key: 'founder', value: member },
    { container: 'cluster', key: 'nonce', value: nonce },
    memberEdit(member, LIFE, '1:live'),
    memberEdit(member, 'name', name),
    memberEdit(member, 'role', 'operator'),
    memberEdit(member, 'addresses', canonicalJson(addresses)),
    memberEdit(member, 'invite', null),
    memberEdit(member, 'cordoned', false),
    memberEdit(member, 'draining', false),
  ]
}

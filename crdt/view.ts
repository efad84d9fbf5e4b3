// The view out of the registers: one sorted, frozen value with a digest (S1). Incremental: a commit derives the entities
// it touched anew and nothing else. Nothing here depends on the order in which changes arrived.

import type { ClusterId, Digest, MemberId, ServiceId } from '../lib/ids.ts'
import { compareStrings, deepFreeze, sortedBy } from '../lib/order.ts'
import { conflictsOf, sortedConflicts } from './conflicts.ts'
import { dutyOfEntity, Invite, LIFE, memberOfEntity, packageOfEntity, serviceOfEntity } from './fields.ts'
import { winnerOf, type EntityFields } from './registers.ts'
import type { BuildDuty, BuildOutcome } from './schema/build-duty.ts'
import type {
  BuildDutyView,
  ConflictView,
  InviteView,
  MemberView,
  PackageView,
  Role,
  View,
} from './schema/view.ts'
import { derivePackage, settledPackage } from './view-package.ts'
import { deriveService, fingerprint, lifeOf, type DerivedService, type IsInPast } from './view-service.ts'

interface DerivedMember {
  readonly id: MemberId
  readonly generation: number
  readonly gone: boolean
  readonly view: MemberView
  readonly invite: string | null
  readonly conflicts: readonly ConflictView[]
}

interface DerivedInvite {
  readonly id: MemberId
  readonly value: Invite | null
  readonly conflicts: readonly ConflictView[]
}

interface DerivedDuty {
  /** Null: removed. */
  readonly view: BuildDutyView | null
  readonly conflicts: readonly ConflictView[]
}

interface DerivedPackage {
  readonly view: PackageView
  readonly conflicts: readonly ConflictView[]
}

/** What only an edit of members or invites changes: the same values until then, so that readers can tell by identity. */
interface People {
  /** Removed ones too. */
  readonly everyone: readonly DerivedMember[]
  readonly live: readonly DerivedMember[]
  readonly members: readonly MemberView[]
  readonly removed: readonly MemberId[]
  readonly invites: readonly InviteView[]
}

/** Room for a suffix within the 63 characters of a name. */
const NAME_BASE_LENGTH_MAX = 58

export class ViewBuilder {
  readonly #cluster: ClusterId
  readonly isInPast: IsInPast
  readonly #services = new Map<ServiceId, DerivedService>()
  readonly #members = new Map<MemberId, DerivedMember>()
  readonly #invites = new Map<MemberId, DerivedInvite>()
  readonly #duties = new Map<string, DerivedDuty>()
  readonly #packages = new Map<string, DerivedPackage>()
  #clusterConflicts: readonly ConflictView[] = []
  #people: People | null = null
  #view: View | null = null

  constructor(cluster: ClusterId, isInPast: IsInPast) {
    this.#cluster = cluster
    this.isInPast = isInPast
  }

  /** Derives one entity anew from its fields; without any it does not exist. */
  update(entity: string, fields: EntityFields): void {
    this.#view = null
    if (fields.size === 0) this.#drop(entity)
    else if (entity.startsWith('services/')) {
      const id = serviceOfEntity(entity)
      this.#services.set(id, deriveService(id, fields, this.isInPast))
    } else if (entity.startsWith('members/')) {
      this.#people = null
      this.#members.set(memberOfEntity(entity), deriveMember(entity, fields))
    } else if (entity.startsWith('invites/')) {
      this.#people = null
      this.#invites.set(memberOfEntity(entity), deriveInvite(entity, fields))
    } else if (dutyOfEntity(entity) !== null) {
      this.#duties.set(entity, deriveDuty(entity, fields))
    } else if (entity.startsWith('packages/')) {
      const register = settledPackage(fields.get('') ?? [])
      const view = derivePackage(entity, register)
      if (view !== null)
        this.#packages.set(packageOfEntity(entity), { view, conflicts: conflictsOf(entity, '', register) })
    } else {
      this.#clusterConflicts = entityConflicts(entity, fields)
    }
  }

  /** An entity that is not there yet at the moment looked at. */
  #drop(entity: string): void {
    this.#people = null
    if (entity.startsWith('services/')) this.#services.delete(serviceOfEntity(entity))
    else if (entity.startsWith('members/')) this.#members.delete(memberOfEntity(entity))
    else if (entity.startsWith('invites/')) this.#invites.delete(memberOfEntity(entity))
    else if (entity.startsWith('packages/')) this.#packages.delete(packageOfEntity(entity))
    else if (dutyOfEntity(entity) !== null) this.#duties.delete(entity)
    else this.#clusterConflicts = []
  }

  /** The same value until the next update. */
  view(): View {
    this.#view ??= this.#build()
    return this.#view
  }

  /** An independent builder that starts from here, and may know more of causality. */
  copy(isInPast: IsInPast = this.isInPast): ViewBuilder {
    const copy = new ViewBuilder(this.#cluster, isInPast)
    for (const [id, service] of this.#services) copy.#services.set(id, service)
    for (const [id, member] of this.#members) copy.#members.set(id, member)
    for (const [id, invite] of this.#invites) copy.#invites.set(id, invite)
    for (const [entity, duty] of this.#duties) copy.#duties.set(entity, duty)
    for (const [ref, pushed] of this.#packages) copy.#packages.set(ref, pushed)
    copy.#clusterConflicts = this.#clusterConflicts
    return copy
  }

  #build(): View {
    const { everyone, live, members, removed, invites } = (this.#people ??= this.#buildPeople())
    const derived = [...this.#services].sort(([a], [b]) => compareStrings(a, b))
    const services = derived.flatMap(([, { view }]) => view ?? [])
    const generations: [string, number][] = []
    for (const { id, generation, gone } of everyone)
      if (gone || generation > 1) generations.push([id, generation])
    for (const [id, { generation, view }] of derived) if (view === null) generations.push([id, generation])
    const duties = [...this.#duties].sort(([a], [b]) => compareStrings(a, b)).map(([, duty]) => duty)
    const buildDuties = duties.flatMap(({ view }) => view ?? [])
    const packages = [...this.#packages].sort(([a], [b]) => compareStrings(a, b))
    const whole = {
      cluster: this.#cluster,
      members,
      removed,
      invites,
      // Left out where there is none, so that clusters without one keep the digest they always had.
      ...(buildDuties.length === 0 ? {} : { buildDuties }),
      // Left out where there is none, so that such a view has the digest that it always had.
      ...(packages.length === 0 ? {} : { packages: packages.map(([, { view }]) => view) }),
      generations: Object.fromEntries(generations),
      conflicts: sortedConflicts([
        ...this.#clusterConflicts,
        ...live.flatMap(({ conflicts }) => conflicts),
        ...sortedBy(this.#invites.values(), ({ id }) => id).flatMap(({ conflicts }) => conflicts),
        ...duties.flatMap(({ conflicts }) => conflicts),
        ...packages.flatMap(([, { conflicts }]) => conflicts),
        ...derived.flatMap(([, { superseded }]) => superseded),
      ]),
    }
    // Services enter as their hashes, which are kept, so that a digest costs what changed and not what there is.
    const hashes = derived.flatMap(([id, { hash }]) => (hash === '' ? [] : [`${id} ${hash}`]))
    const digest = fingerprint({ ...whole, services: hashes }) as Digest
    return deepFreeze({ ...whole, services, digest })
  }

  #buildPeople(): People {
    const everyone = sortedBy(this.#members.values(), ({ id }) => id)
    const live = everyone.filter(({ generation, gone }) => generation > 0 && !gone)
    return {
      everyone,
      live,
      members: withUniqueNames(live.map(({ view }) => view)),
      removed: everyone.filter(({ gone }) => gone).map(({ id }) => id),
      invites: this.#inviteViews(everyone),
    }
  }

  #inviteViews(members: readonly DerivedMember[]): InviteView[] {
    const used = new Map<string, number>()
    // A removed member used its ticket all the same.
    for (const { invite } of members) if (invite !== null) used.set(invite, (used.get(invite) ?? 0) + 1)
    return sortedBy(this.#invites.values(), ({ id }) => id).flatMap(({ id, value }) =>
      value === null ? [] : [{ id, ...value, used: used.get(id) ?? 0 }],
    )
  }
}

const entityConflicts = (entity: string, fields: EntityFields): ConflictView[] =>
  [...fields].flatMap(([field, register]) => (field === LIFE ? [] : conflictsOf(entity, field, register)))

// The casts below are those of a parser: fields.ts has checked every value before it entered the document.
const deriveMember = (entity: string, fields: EntityFields): DerivedMember => {
  const id = memberOfEntity(entity)
  const life = lifeOf(fields.get(LIFE))?.life ?? { generation: 0, gone: false }
  const addresses = winnerOf(fields.get('addresses'))
  const invite = winnerOf(fields.get('invite'))
  return {
    id,
    ...life,
    invite: typeof invite === 'string' ? invite : null,
    conflicts: entityConflicts(entity, fields),
    view: {
      id,
      name: String(winnerOf(fields.get('name')) ?? `peer-${suffixOf(id, 4)}`),
      role: (winnerOf(fields.get('role')) ?? 'runner') as Role,
      addresses: typeof addresses === 'string' ? (JSON.parse(addresses) as string[]) : [],
      cordoned: winnerOf(fields.get('cordoned')) === true,
      draining: winnerOf(fields.get('draining')) === true,
    },
  }
}

const deriveInvite = (entity: string, fields: EntityFields): DerivedInvite => {
  const value = winnerOf(fields.get(''))
  return {
    id: memberOfEntity(entity),
    value: typeof value === 'string' ? (JSON.parse(value) as Invite) : null,
    conflicts: entityConflicts(entity, fields),
  }
}

const deriveDuty = (entity: string, fields: EntityFields): DerivedDuty => {
  const duty = winnerOf(fields.get('duty'))
  const outcome = winnerOf(fields.get('outcome'))
  const conflicts = entityConflicts(entity, fields)
  if (typeof duty !== 'string') return { view: null, conflicts }
  const view = {
    ...(JSON.parse(duty) as BuildDuty),
    name: dutyOfEntity(entity) ?? '',
    outcome: typeof outcome === 'string' ? (JSON.parse(outcome) as BuildOutcome) : null,
  }
  return { view, conflicts }
}

/** The end of a member id as part of a name: names are lower case. */
const suffixOf = (id: MemberId, length: number): string => id.slice(-length).toLowerCase()

/** In order of ids: whoever finds its name taken gets as much of its id appended as it takes. */
const withUniqueNames = (members: readonly MemberView[]): MemberView[] => {
  const taken = new Set<string>()
  return members.map((member) => {
    let name = member.name
    for (let length = 4; taken.has(name); length += 4)
      name = `${member.name.slice(0, Math.max(1, NAME_BASE_LENGTH_MAX + 4 - length))}-${suffixOf(member.id, length)}`
    taken.add(name)
    return name === member.name ? member : { ...member, name }
  })
}

// What differs between two views, field by field and as people read it: `tutti diff`. Of what exists on one side only it
// says so and names, of a new service, what is not as it is by default. Pure; knows nothing of changes.

import { canonicalJson, compareStrings } from '../lib/order.ts'
import { formatValue } from './conflicts.ts'
import type { EditDescription, Scalar } from './edit.ts'
import { formatPath, LIFE } from './fields.ts'
import { isUnder } from './history-changes.ts'
import type { BuildDutyView, InviteView, MemberView, PackageView, ServiceView, View } from './schema/view.ts'
import { DEFAULT_FIELDS, fieldsOfView } from './service-fields.ts'

/** By entity and by field; entities in code-unit order. `of` narrows to a cell or service. */
export const diffViews = (before: View, after: View, of?: string): readonly EditDescription[] => {
  const people = [
    ...pairs(before.members, after.members).flatMap(([from, to]) => diffMember(from, to)),
    ...pairs(before.invites, after.invites).flatMap(([from, to]) => diffInvite(from, to)),
    ...pairs(byRef(before), byRef(after)).flatMap(([from, to]) => diffPackage(from, to)),
    ...pairs(byName(before), byName(after)).flatMap(([from, to]) => diffDuty(from, to)),
  ]
  const services = pairs(before.services, after.services)
    .filter(([from, to]) => of === undefined || isUnder(`services/${(to ?? from)?.id ?? ''}`, of))
    .flatMap(([from, to]) => diffService(from, to))
  return of === undefined ? [...people, ...services] : services
}

type Pair<T> = readonly [T | undefined, T | undefined]

const pairs = <T extends { readonly id: string }>(before: readonly T[], after: readonly T[]): Pair<T>[] => {
  const from = new Map(before.map((one) => [one.id, one]))
  const to = new Map(after.map((one) => [one.id, one]))
  return [...new Set([...from.keys(), ...to.keys()])]
    .sort(compareStrings)
    .map((id) => [from.get(id), to.get(id)])
}

const APPEARED = { from: null, to: 'present' } as const
const VANISHED = { from: 'present', to: null } as const

const diffService = (from: ServiceView | undefined, to: ServiceView | undefined): EditDescription[] => {
  // What a reading kept from before needs no comparison, and most services are.
  if (from === to) return []
  if (from === undefined && to === undefined) return []
  const { id, generation } = to ?? from ?? { id: '', generation: 0 }
  const path = formatPath(`services/${id}`, LIFE)
  if (to === undefined) return [{ path, ...VANISHED }]
  const again = from !== undefined && from.generation !== to.generation
  return [
    ...(from === undefined ? [{ path, ...APPEARED }] : []),
    ...(again ? [{ path, from: 'removed', to: 'created again' }] : []),
    ...diffFields(from === undefined ? DEFAULT_FIELDS : fieldsOfView(from), fieldsOfView(to), (field) =>
      formatPath(`services/${id}`, `${generation}/${field}`),
    ).map((edit) => (from === undefined ? { ...edit, from: null } : edit)),
  ]
}

const diffFields = (
  before: ReadonlyMap<string, Scalar>,
  after: ReadonlyMap<string, Scalar>,
  pathOf: (field: string) => string,
): EditDescription[] =>
  [...new Set([...after.keys(), ...before.keys()])].flatMap((field) => {
    const from = before.get(field) ?? null
    const to = after.get(field) ?? null
    return from === to ? [] : [{ path: pathOf(field), from: shown(from), to: shown(to) }]
  })

const shown = (value: Scalar): string | null => (value === null ? null : formatValue(value))

const diffMember = (from: MemberView | undefined, to: MemberView | undefined): EditDescription[] => {
  const path = `peer ${(to ?? from)?.name ?? ''}`
  if (to === undefined) return [{ path, ...VANISHED }]
  return [
    ...(from === undefined ? [{ path, ...APPEARED }] : []),
    ...diffFields(fieldsOfMember(from), fieldsOfMember(to), (field) => `${path} ${field}`),
  ]
}

const fieldsOfMember = (member: MemberView | undefined): ReadonlyMap<string, Scalar> =>
  new Map<string, Scalar>([
    ...(member === undefined
      ? []
      : ([
          ['name', member.name],
          ['role', member.role],
          ['addresses', canonicalJson(member.addresses)],
        ] as const)),
    ['cordoned', member?.cordoned ?? false],
    ['draining', member?.draining ?? false],
  ])

interface Named<T> {
  readonly id: string
  readonly value: T
}

const byRef = ({ packages = [] }: View): readonly Named<PackageView>[] =>
  packages.map((value) => ({ id: value.ref, value }))

const byName = ({ buildDuties = [] }: View): readonly Named<BuildDutyView>[] =>
  buildDuties.map((value) => ({ id: value.name, value }))

/** A version of a package never changes but for its removal. */
const diffPackage = (
  from: Named<PackageView> | undefined,
  to: Named<PackageView> | undefined,
): EditDescription[] => {
  const was = from !== undefined && !from.value.removed
  const is = to !== undefined && !to.value.removed
  return was === is ? [] : [{ path: `package ${(to ?? from)?.id ?? ''}`, ...(is ? APPEARED : VANISHED) }]
}

const diffDuty = (
  from: Named<BuildDutyView> | undefined,
  to: Named<BuildDutyView> | undefined,
): EditDescription[] => {
  const path = `build duty ${(to ?? from)?.id ?? ''}`
  if (to === undefined) return [{ path, ...VANISHED }]
  const fields = (duty: BuildDutyView | undefined): ReadonlyMap<string, Scalar> =>
    new Map<string, Scalar>([
      ['repository', duty?.repository ?? null],
      ['branch', duty?.branch ?? null],
      ['file', duty?.file ?? null],
      ['everyMs', duty?.everyMs ?? null],
    ])
  return [
    ...(from === undefined ? [{ path, ...APPEARED }] : []),
    ...diffFields(fields(from?.value), fields(to.value), (field) => `${path} ${field}`),
  ]
}

const diffInvite = (from: InviteView | undefined, to: InviteView | undefined): EditDescription[] => {
  const path = `invite ${(to ?? from)?.id ?? ''}`
  if (to === undefined) return [{ path, ...VANISHED }]
  return from === undefined ? [{ path, ...APPEARED }] : []
}

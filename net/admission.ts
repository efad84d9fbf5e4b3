// Admission: whether a newcomer's request to join is granted. A pure judgement over the view's facts, so any member can
// give it; writing the member record is the agent's. A refusal is one sentence for the newcomer's terminal, with what
// to do next. Two members may judge two uses of a one-time ticket at the same instant and grant both: where
// nobody is in charge that cannot be excluded, only seen afterwards in the view.

import { NAME_PATTERN, type ClusterId, type MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { formatDuration } from '../lib/time.ts'
import { joinIsSigned, type JoinRequest } from './join-wire.ts'

/** As crdt's view names them; repeated here, since net knows no schema. */
export type JoinRole = 'operator' | 'runner'

export interface JoinFacts {
  readonly cluster: ClusterId
  /** The key that the newcomer connected with. */
  readonly invite: MemberId
  /** What the intent says of that invite; null: nothing, or that it was withdrawn. */
  readonly record: {
    /** Wall time. */
    readonly expiresAt: number
    readonly uses: number
    readonly used: number
    readonly role: JoinRole
  } | null
  readonly members: readonly { readonly id: MemberId; readonly name: string; readonly role: JoinRole }[]
  readonly removed: readonly MemberId[]
  /** Wall time of the judging peer. */
  readonly wallMs: number
}

export type JoinVerdict =
  /** `known`: it is a member already, its last answer got lost; nothing is to be written. */
  | {
      readonly kind: 'admit'
      readonly name: string
      readonly role: JoinRole
      readonly known: boolean
    }
  | { readonly kind: 'refuse'; readonly reason: string }

const NEW_TICKET = "ask for a new one with 'tutti invite'"
const NAME_LENGTH_MAX = 63
const NAME = new RegExp(NAME_PATTERN)

const refuse = (reason: string): JoinVerdict => ({ kind: 'refuse', reason })

/** Grants or refuses a request to join. */
export const judgeJoin = (facts: JoinFacts, request: JoinRequest): JoinVerdict => {
  if (request.cluster !== facts.cluster) {
    return refuse(`the ticket is for another cluster than the one at this address; ${NEW_TICKET} there`)
  }
  if (request.member === facts.invite || !joinIsSigned(request, facts.invite)) {
    return refuse('the request is not signed by the key that it names; start again with a fresh --data')
  }
  if (facts.removed.includes(request.member)) {
    return refuse('this key was removed from the cluster; start with a fresh --data')
  }
  const present = facts.members.find((member) => member.id === request.member)
  if (present !== undefined) {
    return { kind: 'admit', name: present.name, role: present.role, known: true }
  }
  const { record } = facts
  if (record === null) return refuse(`the ticket is unknown here or was withdrawn; ${NEW_TICKET}`)
  if (facts.wallMs >= record.expiresAt) {
    return refuse(`the ticket expired ${formatDuration(facts.wallMs - record.expiresAt)} ago; ${NEW_TICKET}`)
  }
  if (record.used >= record.uses) {
    return refuse(`the ticket is used up: it was good for ${machines(record.uses)}; ${NEW_TICKET}`)
  }
  if (facts.members.length >= LIMITS.membersMax) {
    return refuse(
      `the cluster is full with ${facts.members.length} members; remove one with 'tutti peers rm'`,
    )
  }
  return named(facts, request, record.role)
}

const machines = (uses: number): string => (uses === 1 ? 'one machine' : `${uses} machines`)

const named = (facts: JoinFacts, request: JoinRequest, role: JoinRole): JoinVerdict => {
  const taken = new Set(facts.members.map((member) => member.name))
  if (!request.nameChosen) {
    return { kind: 'admit', name: freeName(nameLike(request.name), taken), role, known: false }
  }
  if (!NAME.test(request.name)) {
    return refuse(
      'the name is not usable: give one of lower-case letters, digits and dashes, at most 63, with --name',
    )
  }
  if (taken.has(request.name)) {
    return refuse(`the name '${request.name}' is taken by another member; give another one with --name`)
  }
  return { kind: 'admit', name: request.name, role, known: false }
}

/** A usable name as near to `text` (a host name, mostly) as can be; `peer` when nothing of it is usable. */
export const nameLike = (text: string): string => {
  const [label = ''] = text.toLowerCase().split('.')
  const name = trimDashes(trimDashes(label.replaceAll(/[^a-z0-9]+/g, '-')).slice(0, NAME_LENGTH_MAX))
  return name === '' ? 'peer' : name
}

const trimDashes = (text: string): string => text.replaceAll(/^-+|-+$/g, '')

/** `name`, or the first of `name-2`, `name-3`, … that nobody has. */
const freeName = (name: string, taken: ReadonlySet<string>): string => {
  let free = name
  for (let number = 2; taken.has(free); number += 1) {
    const suffix = `-${number}`
    free = trimDashes(name.slice(0, NAME_LENGTH_MAX - suffix.length)) + suffix
  }
  return free
}

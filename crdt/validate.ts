// The judgement of one decoded change (S4): from the change and its causal past only, so that every correct peer judges
// alike, whatever else it knows. What passes is byte for byte what an honest peer would have written on top of those
// dependencies. Signature, size and canonical form have been checked before; the trial-apply comes after.

import type { ChangeHash, ClusterId, MemberId } from '../lib/ids.ts'
import { assert } from '../lib/assert.ts'
import type { AutomergeDocument, VisibleValue } from './automerge.ts'
import type { CausalMembership, MembershipPast } from './causal-membership.ts'
import { compareOps, type Change, type OpId, type SetOp } from './change-codec.ts'
import type { ContainerName } from './edit.ts'
import { fieldFault, LIFE, lifeRank, parseLife, placeOf, serviceFieldOf, type Life } from './fields.ts'
import { clusterIdOf, containerPathOf, isOwnActor, type Genesis } from './genesis.ts'
import type { History } from './history.ts'
import type { IntentRecord } from './record.ts'
import type { PlacedOp } from './registers.ts'
import { sharesStates, sharedStep } from './status-share.ts'
import { packageEntryOf } from './view-package.ts'

/** What a judgement may look at. The document holds every change that the history knows. */
export interface CausalContext {
  readonly cluster: ClusterId
  readonly genesis: Genesis
  readonly history: History
  readonly membership: CausalMembership
  readonly document: AutomergeDocument
}

export type Judgement =
  | { readonly kind: 'valid'; readonly ops: readonly PlacedOp[]; readonly membership: MembershipPast }
  | { readonly kind: 'orphan'; readonly waitsFor: ChangeHash }
  | { readonly kind: 'invalid'; readonly reason: string }

const invalid = (reason: string): Judgement => ({ kind: 'invalid', reason })

/** Judges a change whose hash is not known yet. Never throws on any input. */
export const judgeChange = (context: CausalContext, record: IntentRecord, change: Change): Judgement => {
  const { history, genesis, membership } = context
  const envelope = envelopeFault(context, record, change)
  if (envelope !== null) return invalid(envelope)
  const waitsFor = change.deps.find((dep) => !history.knows(dep))
  if (waitsFor !== undefined) return { kind: 'orphan', waitsFor }
  const chain = chainFault(context, change)
  if (chain !== null) return invalid(chain)
  const past = pastOf(context, change.deps)
  const founding = change.deps.length === 1 && change.deps[0] === genesis.hash
  if (!founding && !membership.operators(past).has(record.author))
    return invalid('its author was not an operator of this cluster when writing it')
  const placed = placeOps(context, change, record.author, founding)
  if (typeof placed === 'string') return invalid(placed)
  return { kind: 'valid', ops: placed, membership: past }
}

/** Membership in the causal past that ends in `deps`; all of them are known. */
export const pastOf = (context: CausalContext, deps: readonly ChangeHash[]): MembershipPast =>
  context.membership.union(
    deps.map((dep) => context.history.get(dep)?.membershipAfter ?? context.membership.nobody),
  )

/** What can be said of a change without its causal past. */
const envelopeFault = (
  { history }: CausalContext,
  { author, actor, seq }: IntentRecord,
  change: Change,
): string | null => {
  if (actor !== change.actor || seq !== change.seq) return 'its record names another actor or seq'
  if (!isOwnActor(author, actor)) return 'its actor id is not one of its author'
  if (change.deps.length === 0) return 'it depends on nothing, not even on the genesis of this cluster'
  if (seq < 1) return 'its seq is not positive'
  if (history.ofActor(actor, seq) !== undefined) return `another change of the same actor has seq ${seq} too`
  return null
}

/** The actor's own chain and the op counter continue the causal past without gap or overlap. */
const chainFault = ({ history, genesis }: CausalContext, change: Change): string | null => {
  if (change.seq > 1) {
    const previous = history.ofActor(change.actor, change.seq - 1)
    if (previous === undefined || !history.isInPast(previous, change.deps))
      return `it has seq ${change.seq} but not the actor's change before it in its causal past`
  }
  const startOp = history.opMaxOf(change.deps, genesis.opMax) + 1
  return change.startOp === startOp ? null : `its ops start at ${change.startOp} instead of ${startOp}`
}

/** What is visible under a key as of the dependencies of a change. */
const visibleAt = (context: CausalContext, change: Change, object: OpId, key: string): VisibleValue[] =>
  context.document.visible(object, key, context.history.areHeads(change.deps) ? undefined : change.deps)

export interface Located {
  readonly container: ContainerName
  readonly placed: PlacedOp
  readonly set: SetOp
}

/** Where the ops of a change belong; a sentence when one of them belongs nowhere. Needs no causal past. */
export const locateOps = (genesis: Genesis, change: Change): readonly Located[] | string =>
  sharesStates() ? sharedStep(change, genesis, () => locateAll(genesis, change)) : locateAll(genesis, change)

const locateAll = (genesis: Genesis, change: Change): readonly Located[] | string => {
  const located: Located[] = []
  const seen = new Set<string>()
  for (const [index, set] of change.ops.entries()) {
    const one = locate(genesis, change, set, index)
    if (typeof one === 'string') return one
    const name = `${one.placed.entity}/${one.placed.field}`
    if (seen.has(name)) return `it sets '${set.key}' twice`
    seen.add(name)
    located.push(one)
  }
  return located
}

const placeOps = (
  context: CausalContext,
  change: Change,
  author: MemberId,
  founding: boolean,
): readonly PlacedOp[] | string => {
  const located = locateOps(context.genesis, change)
  if (typeof located === 'string') return located
  const ops = located.map(({ placed }) => placed)
  const roots = founding ? foundingFault(context.cluster, author, ops) : refoundingFault(ops)
  if (roots !== null) return roots
  const visible = located.map(({ set }) => visibleAt(context, change, set.object, set.key))
  for (const [index, { set, placed }] of located.entries()) {
    const before = visible[index] ?? []
    if (!sameOps(set.replaces, before))
      return `it does not replace what its causal past shows at '${set.key}'`
    if (placed.entity.startsWith('packages/')) {
      const fault = packageFault(placed, before)
      if (fault !== null) return fault
    }
    if (placed.field === LIFE) {
      const fault = lifeFault(placed, before)
      if (fault !== null) return fault
    }
  }
  return deadFault(context, change, located) ?? ops
}

const locate = (genesis: Genesis, change: Change, set: SetOp, index: number): Located | string => {
  const path = genesis.pathOf(set.object)
  if (path === undefined) return 'it writes to a container that the genesis did not make'
  const container = (path.startsWith('services/') ? 'services' : path) as ContainerName
  const fault = fieldFault(container, set.key, set.value)
  if (fault !== null) return fault
  if (containerPathOf(container, set.key) !== path) return `'${set.key}' does not belong into ${path}`
  const place = placeOf(container, set.key)
  assert(place !== null, 'a field without fault has a place')
  const op = { counter: change.startOp + index, actor: change.actor }
  return { container, set, placed: { ...place, value: set.value, op, replaces: set.replaces } }
}

const sameOps = (replaces: readonly OpId[], visible: readonly VisibleValue[]): boolean =>
  replaces.length === visible.length &&
  replaces.every((op, at) => {
    const seen = visible[at]?.op
    return seen !== undefined && compareOps(op, seen) === 0
  })

const valueOf = (ops: readonly PlacedOp[], entity: string, field: string): PlacedOp['value'] | undefined =>
  ops.find((op) => op.entity === entity && op.field === field)?.value

/** The founding change proves itself: the cluster id is a hash of the founder and the nonce. */
const foundingFault = (cluster: ClusterId, author: MemberId, ops: readonly PlacedOp[]): string | null => {
  const nonce = valueOf(ops, 'cluster', 'nonce')
  const self = `members/${author}`
  const proven = typeof nonce === 'string' && clusterIdOf(author, nonce) === cluster
  if (!proven || valueOf(ops, 'cluster', 'founder') !== author)
    return 'it claims to found the cluster, but the cluster id is not made of its author and nonce'
  if (valueOf(ops, self, LIFE) !== '1:live' || valueOf(ops, self, 'role') !== 'operator')
    return 'it founds the cluster without making its author an operator'
  return null
}

const refoundingFault = (ops: readonly PlacedOp[]): string | null =>
  ops.some(({ entity, field }) => entity === 'cluster' && field !== 'name')
    ? 'the founder and the nonce of a cluster are written once, by its founding'
    : null

const highestLife = (visible: readonly VisibleValue[]): Life | null =>
  visible
    .flatMap(({ value }) => parseLife(value) ?? [])
    .reduce<Life | null>(
      (high, life) => (high === null || lifeRank(life) > lifeRank(high) ? life : high),
      null,
    )

/** A life only rises, one generation at a time: so deletion is final (S11) and no generation can be used up at once. */
const lifeFault = (placed: PlacedOp, visible: readonly VisibleValue[]): string | null => {
  const next = parseLife(placed.value)
  const last = highestLife(visible)
  if (next === null) return 'a life is malformed'
  const generation = last?.generation ?? 0
  const legal = next.gone
    ? last?.gone === false && next.generation === generation
    : next.generation === generation + 1
  return legal ? null : `'${String(placed.value)}' cannot follow what ${placed.entity} is`
}

/** A version means one content for good (S11): what its causal past shows is never given another one, removed or not. */
const packageFault = (placed: PlacedOp, visible: readonly VisibleValue[]): string | null => {
  const { digest } = packageEntryOf(placed.value)
  return visible.length === 0 || visible.some(({ value }) => packageEntryOf(value).digest === digest)
    ? null
    : `it gives ${placed.entity} another content`
}

/** Fields are written for what lives after the change: a field of something deleted would vanish without a trace (S2). */
const deadFault = (context: CausalContext, change: Change, located: readonly Located[]): string | null => {
  const lives = new Map<string, Life | null>()
  for (const { placed } of located)
    if (placed.field === LIFE) lives.set(placed.entity, parseLife(placed.value))
  for (const { container, placed, set } of located) {
    if (placed.field === LIFE || (container !== 'services' && container !== 'members')) continue
    let life = lives.get(placed.entity)
    if (life === undefined) {
      const key = `${set.key.slice(0, set.key.length - placed.field.length)}${LIFE}`
      life = highestLife(visibleAt(context, change, set.object, key))
      lives.set(placed.entity, life)
    }
    const generation = container === 'services' ? serviceFieldOf(placed.field)?.generation : life?.generation
    if (life === null || life.gone || life.generation !== generation)
      return `it sets '${set.key}' of something that does not exist, or not any more`
  }
  return null
}

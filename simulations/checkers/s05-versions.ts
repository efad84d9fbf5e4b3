// S5: two placement versions never act at once: in a calm cluster every peer acts on the lowest version that a running one
// speaks, and all of them place every slot alike. S4, for documents: nobody was given what its version cannot read.

import { demandOf } from '../../crdt/schema/format.ts'
import { fieldsOfView } from '../../crdt/service-fields.ts'
import { isUnset } from '../../crdt/schema/service-defaults.ts'
import type { ServiceView, View } from '../../crdt/schema/view.ts'
import { place } from '../../node/plan/placement.ts'
import { placementVersionOf } from '../../node/plan/placement-version.ts'
import type { AgentSnapshot } from '../../node/ports.ts'
import type { Scene } from '../scene.ts'
import { placementVersionMaxOf } from '../versions.ts'
import type { Checker } from './checker.ts'

/** After a restart everybody hears of the other version within a redial and a round of anti-entropy. */
const CALM_MS = 45_000
/** Placing once for each peer costs milliseconds. */
const EVERY_LOOKS = 30

export const versions = (): Checker => {
  let looks = 0
  return {
    invariant: 'S5',
    look: (scene) => {
      looks += 1
      return scene.calmMs < CALM_MS || looks % EVERY_LOOKS !== 0 ? [] : disagreeing(scene)
    },
    atRest: (scene) => disagreeing(scene),
  }
}

const disagreeing = ({ world }: Scene): readonly string[] => {
  const running = world.present().filter(({ agent }) => agent !== null)
  const spoken = running.map(({ version }) => placementVersionMaxOf(version))
  const lowest = Math.min(...spoken)
  const snapshots = world.snapshots()
  const [first] = snapshots
  if (first === undefined) return []
  const nameOf = ({ self }: AgentSnapshot): string => world.byMember(self)?.name ?? self
  const wrong = snapshots.flatMap((snapshot) => {
    const inForce = placementVersionOf(snapshot)
    return inForce <= lowest
      ? []
      : [`${nameOf(snapshot)} acts on placement version ${inForce}, which not every peer speaks`]
  })
  if (snapshots.some((other) => !knowsTheSame(first, other))) return wrong
  const places = placesOf(first)
  return [
    ...wrong,
    ...snapshots
      .filter((other) => placesOf(other) !== places)
      .map((other) => `${nameOf(other)} and ${nameOf(first)} know the same, and place slots differently`),
  ]
}

/** Alike in what a placement depends on; a cordoned or dead member keeps what it last said it holds, which may differ. */
const knowsTheSame = (one: AgentSnapshot, other: AgentSnapshot): boolean =>
  one.view.digest === other.view.digest &&
  one.view.members.every(({ cordoned }) => !cordoned) &&
  [one, other].every(({ membership }) => membership.members.every(({ state }) => state === 'alive')) &&
  one.view.members.every(({ id }) => {
    const [mine, theirs] = [one.statuses.get(id), other.statuses.get(id)]
    return mine !== undefined && theirs !== undefined && mine.incarnation === theirs.incarnation
  })

const placesOf = (snapshot: AgentSnapshot): string =>
  [...place(snapshot)].map(([slot, { member }]) => `${slot} ${member}`).join('\n')

/** Nobody holds a document that its version cannot read. */
export const readable = (): Checker => {
  /** Views never change. */
  const readBefore = new WeakSet<View>()
  return {
    invariant: 'S4',
    look: ({ world }) =>
      world.present().flatMap(({ version, agent, name }) => {
        if (version !== 'older' || agent === null) return []
        const view = agent.view()
        if (readBefore.has(view)) return []
        const unreadable = view.services.flatMap((service) => laterFieldsOf(service))
        if (unreadable.length === 0) readBefore.add(view)
        return unreadable.map((field) => `${name} runs an older version and was given ${field}`)
      }),
  }
}

const laterFieldsOf = (service: ServiceView): readonly string[] =>
  [...fieldsOfView(service)]
    .filter(([field, value]) => !isUnset(field, value))
    .filter(
      ([field, value]) =>
        demandOf({ container: 'services', key: `${service.id}/1/${field}`, value }) !== null,
    )
    .map(([field]) => `${field} of ${service.id}`)

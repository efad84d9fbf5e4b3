// L3: a member is dead for a peer by the word of two observers at least, while a third member lives. In a calm cluster a
// running member is alive for everybody; and where only machines are down and no link was ever in trouble lately, one that
// is down is dead for everybody within the bound.

import type { MemberId } from '../../lib/ids.ts'
import type { Agent } from '../../node/agent.ts'
import type { AgentSnapshot } from '../../node/ports.ts'
import type { Machine } from '../machine.ts'
import type { Scene } from '../scene.ts'
import type { World } from '../world.ts'
import { LOOK_MS, type Checker } from './checker.ts'

/** Detection takes seconds; what precedes it, a redial after a cut, a doubt and a refutation, may take half a minute. */
const CALM_MS = 45_000
/** Silence is found within four seconds, mass doubt and a strained observer included; a death among deaths takes its rings longer. */
const DEAD_MS = 15_000
/** For so long what an observer said before its restart may convict with the word of another, and stand without. */
const OUTLIVED_MS = 10_000

export const detection = (): Checker => {
  /** A life between two looks ends the time of being down as well: the others have heard of it. */
  const downSince = new Map<Machine, { readonly starts: number; readonly sinceMs: number }>()
  /** A restart between two looks is another run of the peer, which has nobody on its list of the living yet. */
  const upSince = new Map<Machine, { readonly agent: Agent; readonly sinceMs: number }>()
  let troubleMs = 0
  /** Deaths that two observers were heard to accuse: what is left of them when these start anew convicts nobody anew. */
  const sound = new Map<string, number>()
  /** When a peer last saw at most one other alive. */
  const aloneMs = new Map<string, number>()
  /** Found at the last look: a retraction that has just arrived is in the statuses a moment before the detector hears of it. */
  let hastyBefore: ReadonlySet<string> = new Set()
  return {
    invariant: 'L3',
    look: (scene) => {
      const { world } = scene
      const { nowMs } = world.simulator
      if (scene.links.active > 0) troubleMs = nowMs
      for (const machine of world.machines) {
        const { agent } = machine
        if (agent === null) upSince.delete(machine)
        else if (upSince.get(machine)?.agent !== agent || scene.isBroken(machine))
          upSince.set(machine, { agent, sinceMs: nowMs })
        if (machine.running || machine.retired) downSince.delete(machine)
        else if (downSince.get(machine)?.starts !== machine.starts)
          downSince.set(machine, { starts: machine.starts, sinceMs: nowMs })
      }
      const up = [...upSince].flatMap(([machine, { sinceMs }]) =>
        nowMs - sinceMs >= CALM_MS ? [machine] : [],
      )
      const down = [...downSince].flatMap(([machine, { sinceMs }]) =>
        nowMs - sinceMs >= DEAD_MS ? [machine] : [],
      )
      const restarted = [...upSince.values()].some(({ sinceMs }) => nowMs - sinceMs < OUTLIVED_MS)
      const hastyNow = new Set(
        world.machines.flatMap((machine) => hasty(world, machine, { sound, aloneMs, restarted, nowMs })),
      )
      const stillHasty = [...hastyNow].filter((one) => hastyBefore.has(one))
      hastyBefore = hastyNow
      return [
        ...stillHasty,
        ...(scene.calmMs < CALM_MS ? [] : lingering(scene)),
        ...(nowMs - troubleMs < CALM_MS ? [] : up.flatMap((machine) => overlooked(world, machine, down))),
      ]
    },
  }
}

/** Whom a peer holds for dead on the word of one. */
const hasty = (
  world: World,
  { agent, name }: Machine,
  {
    sound,
    aloneMs,
    restarted,
    nowMs,
  }: {
    readonly sound: Map<string, number>
    readonly aloneMs: Map<string, number>
    readonly restarted: boolean
    readonly nowMs: number
  },
): readonly string[] => {
  if (agent === null) return []
  const snapshot = world.sightOf(agent)
  const { members } = snapshot.membership
  // A suspect may be convicted already, and held back by a peer that is slow itself.
  const living = members.filter(({ state }) => state === 'alive').length
  if (living <= 2) aloneMs.set(name, nowMs)
  const lastAloneMs = aloneMs.get(name) ?? -Infinity
  return members.flatMap(({ id, state, sinceMs }) => {
    if (state !== 'dead') return []
    const key = `${name} ${id}`
    const accusers = accusersOf(snapshot, id)
    if (accusers > 1) sound.set(key, sinceMs)
    if (restarted || living <= 2 || accusers !== 1 || sound.get(key) === sinceMs) return []
    // A peer that was alone at one look may find a death, and then others alive, before the next one; and whoever comes back
    // to it from elsewhere may have begun anew there, and say nothing yet.
    if (sinceMs < lastAloneMs + LOOK_MS && nowMs - lastAloneMs < OUTLIVED_MS) return []
    return [`${name} holds ${nameOf(snapshot, id)} for dead on the word of one observer`]
  })
}

const accusersOf = ({ statuses, membership }: AgentSnapshot, accused: MemberId): number =>
  membership.members.filter(({ id }) => id !== accused && statuses.get(id)?.alerts.has(accused) === true)
    .length

const lingering = ({ world }: Scene): readonly string[] => {
  const running = world.present().filter(({ agent }) => agent !== null)
  const names = new Map<string, string>(running.map(({ signer, name }) => [signer.member, name]))
  return running.flatMap(({ agent, name }) =>
    (agent === null ? [] : world.sightOf(agent).membership.members)
      .filter(({ id, state }) => names.has(id) && state !== 'alive')
      .map(({ id, state }) => `${name} sees ${names.get(id)} ${state} after ${CALM_MS / 1000} calm seconds`),
  )
}

const overlooked = (world: World, { agent, name }: Machine, down: readonly Machine[]): readonly string[] =>
  down.flatMap((other) => {
    const members = agent === null ? [] : world.sightOf(agent).membership.members
    const seen = members.find(({ id }) => id === other.signer.member)
    if (seen === undefined || seen.state === 'dead' || seen.state === 'left') return []
    return [`${name} sees ${other.name} ${seen.state}, which has been down for ${DEAD_MS / 1000} s`]
  })

const nameOf = ({ view }: AgentSnapshot, member: MemberId): string =>
  view.members.find(({ id }) => id === member)?.name ?? member

// S8: a hook runs once for a release and before its first slot. In a cluster without faults a run of it is the only one for
// its release while that is wanted, no other run of its service lives beside it, and no slot begins the release before one
// has ended well. Judged from the programs that run, not from words; when one ends well is in its script.

import type { View } from '../../crdt/schema/view.ts'
import { isHookSlot } from '../../node/plan/rollout/hooks.ts'
import { isReturn } from '../../node/plan/rollout/policy.ts'
import type { ServiceId } from '../../lib/ids.ts'
import type { Scene } from '../scene.ts'
import { scriptOf } from '../processes.ts'
import type { Checker } from './checker.ts'

/** As s08-availability.ts: longer than any word of a peer is old. */
const CALM_MS = 20_000

/** Two clocks round one instant differently. */
const ROUNDING_MS = 1

interface Trial {
  runs: number
  /** When a run ends well, simulated time; Infinity: none does. */
  doneAtMs: number
  /** Faults were about, or the release was there before: nothing is judged. */
  free: boolean
}

const hooksOf = (scene: Scene, service: ServiceId) =>
  scene.world.machines.flatMap(({ processes }) =>
    processes.processes().filter(({ record }) => record.service === service && isHookSlot(record.slot)),
  )

const isWanted = (views: ReadonlySet<View>, name: string): boolean => {
  for (const { services } of views)
    if (services.some(({ id, release }) => `${id}@${release}` === name)) return true
  return false
}

const hasLiving = (scene: Scene, name: string): boolean =>
  scene.world.machines.some(({ processes }) =>
    processes
      .processes()
      .some(
        ({ record: { service, release, slot }, exit }) =>
          exit === null && isHookSlot(slot) && `${service}@${release}` === name,
      ),
  )

export const hooks = (): Checker => {
  const trials = new Map<string, Trial>()
  const trialOf = (scene: Scene, name: string): Trial => {
    const known = trials.get(name)
    const trial = known ?? { runs: 0, doneAtMs: Infinity, free: false }
    trial.free ||= scene.faultlessMs < CALM_MS
    trials.set(name, trial)
    return trial
  }
  return {
    invariant: 'S8',
    look: (scene) => {
      if (trials.size === 0) return []
      // Peers mostly have one view, and of those that differ each is read once.
      const views = new Set(scene.world.snapshots().map(({ view }) => view))
      for (const [name, trial] of trials) {
        if (scene.faultlessMs < CALM_MS) trial.free = true
        // Wanted again later it may run again, if nobody remembers; it need not.
        if (trial.runs > 0 && !isWanted(views, name) && !hasLiving(scene, name)) trial.runs = 0
      }
      return []
    },
    spawned: (scene, machine, { slot, service, release, instance, nonce, definition }) => {
      const wanted = machine.agent?.snapshot().view.services.find(({ id }) => id === service)
      if (wanted?.release !== release || (wanted.preDeploy ?? null) === null) return []
      const known = trials.has(`${service}@${release}`)
      const trial = trialOf(scene, `${service}@${release}`)
      const { nowMs } = scene.world.simulator
      if (isHookSlot(slot)) {
        const { exit } = scriptOf(definition.command)
        if (exit?.code === 0) trial.doneAtMs = Math.min(trial.doneAtMs, nowMs + exit.afterMs - ROUNDING_MS)
        trial.runs += 1
        if (trial.free) return []
        const beside = hooksOf(scene, service).find(
          ({ record, exit: end }) => end === null && record.nonce !== nonce,
        )
        return [
          ...(trial.runs > 1 ? [`${instance} runs for the ${trial.runs}th time`] : []),
          ...(beside === undefined ? [] : [`${instance} runs beside ${beside.record.instance}`]),
        ]
      }
      // What was there before this checker looked, or the hook was asked for, has had it.
      if (!known && isThere(scene, service, release, nonce)) trial.free = true
      if (trial.free || trial.doneAtMs <= nowMs || isReturn(wanted)) return []
      return [`${slot} begins release ${release} before its hook has ended well`]
    },
  }
}

const isThere = (scene: Scene, service: ServiceId, release: string, nonce: string): boolean =>
  scene.world.machines.some(({ processes }) =>
    processes
      .processes()
      .some(
        ({ record }) =>
          record.service === service &&
          record.release === release &&
          record.nonce !== nonce &&
          !isHookSlot(record.slot),
      ),
  )

// S8: a canary reaches no further slot before it has proven itself. In a cluster without faults, a release of a service with a
// canary runs in so many slots at most until one of them has been well for as long as the monitor window, whatever the
// stewards say of it. And a release that was rejected begins nowhere. Judged from the programs that run, not from words.

import { isHookSlot } from '../../node/plan/rollout/hooks.ts'
import type { ReleaseId, ServiceId } from '../../lib/ids.ts'
import type { Scene } from '../scene.ts'
import { LOOK_MS, type Checker } from './checker.ts'

/** As s08-availability.ts: longer than any word of a peer is old. */
const CALM_MS = 20_000

interface Trial {
  /** Slots that have begun the release. */
  readonly slots: Set<string>
  /** Since when an instance of it has been well, simulated time. */
  readonly wellSinceMs: Map<string, number>
  /** It may go anywhere: it has proven itself, nothing ran before it, or faults were about. */
  free: boolean
}

const nameOf = (service: ServiceId, release: ReleaseId): string => `${service}@${release}`

/** Processes of a service that live. */
const livingOf = (scene: Scene, service: ServiceId) =>
  scene.world.machines.flatMap(({ processes }) =>
    processes
      .processes()
      .filter(({ record, exit }) => record.service === service && exit === null && !isHookSlot(record.slot))
      .map(({ record }) => ({ record, processes })),
  )

export const canary = (): Checker => {
  const trials = new Map<string, Trial>()
  return {
    invariant: 'S8',
    look: (scene) => {
      const nowMs = scene.world.simulator.nowMs
      for (const trial of trials.values()) if (scene.faultlessMs < CALM_MS) trial.free = true
      for (const snapshot of scene.world.snapshots().slice(0, 1)) {
        for (const { id, release, update, healthcheck } of snapshot.view.services) {
          const trial = trials.get(nameOf(id, release))
          if (trial === undefined || trial.free) continue
          // Without a check nobody asks again once it was ready.
          const isAsked = healthcheck !== null
          const well = livingOf(scene, id).filter(
            ({ record: { release: own, instance }, processes }) =>
              own === release &&
              (processes.isWell(instance) || (!isAsked && trial.wellSinceMs.has(instance))),
          )
          const now = new Set(well.map(({ record }) => record.instance as string))
          for (const known of trial.wellSinceMs.keys()) if (!now.has(known)) trial.wellSinceMs.delete(known)
          for (const one of now) if (!trial.wellSinceMs.has(one)) trial.wellSinceMs.set(one, nowMs)
          // Looks are half a second apart, and the release may have been well since just after the last one. What became unwell
          // counts as well until it is asked next.
          const blindMs = isAsked ? healthcheck.intervalMs : 0
          const neededMs = Math.max(LOOK_MS, (update.monitorMs ?? 0) - LOOK_MS - blindMs)
          trial.free = [...trial.wellSinceMs.values()].some((sinceMs) => nowMs - sinceMs >= neededMs)
        }
      }
      return []
    },
    spawned: (scene, machine, { service, slot, release }) => {
      if (machine.agent === null || isHookSlot(slot)) return []
      const wanted = machine.agent.snapshot().view.services.find(({ id }) => id === service)
      const most = wanted?.update.canary ?? 0
      if (wanted?.release !== release || wanted.mode === 'global' || most === 0) return []
      const returns = Object.values(wanted.rejected ?? {}).some(({ to }) => to === release)
      const others = livingOf(scene, service).some(({ record }) => record.release !== release)
      const name = nameOf(service, release)
      const known = trials.get(name)
      const trial = known ?? {
        slots: new Set<string>(),
        wellSinceMs: new Map<string, number>(),
        free: !others,
      }
      trials.set(name, trial)
      trial.slots.add(slot)
      if (returns || scene.faultlessMs < CALM_MS) trial.free = true
      // It may be well by now, and nobody has looked yet.
      const isWell = livingOf(scene, service).some(
        ({ record, processes }) => record.release === release && processes.isWell(record.instance),
      )
      const mayBeProven = isWell && (wanted.update.monitorMs ?? 0) <= LOOK_MS
      if (trial.free || trial.slots.size <= most) return []
      // Remembered, since all of them may have failed by the time that one is started again.
      trial.free = mayBeProven
      if (trial.free) return []
      return [
        `${slot} begins release ${release} beyond ${most} canaries, none of which has proven itself yet`,
      ]
    },
  }
}

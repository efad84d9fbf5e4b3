// S8: at most the surge allowed runs above the replicas. In a cluster without faults, a start-first service changes at most
// `parallelism` slots at once: so many run a new release that was never ready yet beside an old one.

import { isHookSlot } from '../../node/plan/rollout/hooks.ts'
import type { Checker } from './checker.ts'

/** As s08-availability.ts: longer than any word of a peer is old. */
const CALM_MS = 20_000
/** A turn may end and the next one begin at one instant, which two clocks round differently. */
const ROUNDING_MS = 1

export const surge = (): Checker => ({
  invariant: 'S8',
  spawned: (scene, machine, { slot, service, release, runs }) => {
    // A restart begins no change: what began beside it, it may have done while that machine was out of sight.
    if (runs > 1) return []
    if (scene.faultlessMs < CALM_MS || machine.agent === null || isHookSlot(slot)) return []
    const wanted = machine.agent.snapshot().view.services.find(({ id }) => id === service)
    if (wanted?.release !== release || wanted.mode === 'global' || wanted.update.parallelism === 0) return []
    if (wanted.update.order !== 'start-first') return []
    const living = scene.world.machines.flatMap(({ processes }) =>
      processes
        .processes()
        .filter(({ record, exit }) => record.service === service && exit === null && !isHookSlot(record.slot))
        .map(({ record, startedAtMs, script }) => ({
          record,
          // Once it was ready, its turn was over, whatever came after it.
          begins:
            script.readyAfterMs === null ||
            processes.clock.now() - startedAtMs < script.readyAfterMs - ROUNDING_MS,
        })),
    )
    const old = new Set(
      living.filter(({ record }) => record.release !== release).map(({ record }) => record.slot),
    )
    const present = living.filter(({ record }) => record.release === release)
    // A slot that has changed already may move on to another machine while what it had before still drains.
    const changed = new Set(present.filter(({ begins }) => !begins).map(({ record }) => record.slot))
    const changing = new Set(
      present
        .filter(({ record, begins }) => begins && old.has(record.slot) && !changed.has(record.slot))
        .map(({ record }) => record.slot),
    )
    if (!changing.has(slot) || changing.size <= wanted.update.parallelism) return []
    return [`${changing.size} slots of ${service} change at once, and ${wanted.update.parallelism} may`]
  },
})

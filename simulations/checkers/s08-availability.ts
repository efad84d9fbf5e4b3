// S8: in a cluster without faults, a peer ends the ready instance of a wanted start-first slot only when another ready one
// of the slot runs somewhere. Under faults a peer may act on what was true a moment ago; check-plan.ts holds it to what it
// knows then, and this checker waits until the cluster has been calm for longer than any word of a peer is old.

import { isHookSlot } from '../../node/plan/rollout/hooks.ts'
import type { Checker } from './checker.ts'

/** Longer than the detection of a death, a report's coalescing and an anti-entropy round together. */
const CALM_MS = 20_000

export const availability = (): Checker => ({
  invariant: 'S8',
  ending: (scene, machine, { slot, service, instance, draining }, how) => {
    // A rollout that an edit began is calm: nobody but the orchestrator does anything in it.
    if (isHookSlot(slot)) return []
    if (scene.faultlessMs < CALM_MS || !machine.processes.isWell(instance) || (how === 'stop' && draining))
      return []
    const wanted = machine.agent?.snapshot().view.services.find(({ id }) => id === service)
    if (wanted === undefined || wanted.stopped || wanted.update.order !== 'start-first') return []
    // Seats of a global service go with their members.
    if (wanted.mode === 'global' || Number(slot.slice(service.length + 1)) >= wanted.replicas) return []
    const other = scene.world.machines.some(({ processes }) =>
      processes.processes().some(({ record, script }) => {
        if (record.slot !== slot || (processes === machine.processes && record.instance === instance))
          return false
        // A program that fails by itself may have been ready when the peer looked.
        return processes.isWell(record.instance) || script.exit !== null || script.unwell !== null
      }),
    )
    return other ? [] : [`${machine.name}: ${how} of ${instance}, the only ready instance of its slot`]
  },
})

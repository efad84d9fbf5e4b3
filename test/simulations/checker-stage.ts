// A calm cluster for violations to be made in, behind the peers’ backs, and a look of one checker at it.

import assert from 'node:assert/strict'
import type { Checker } from '../../simulations/checkers/checker.ts'
import { FAULTS } from '../../simulations/faults/registry.ts'
import type { Machine } from '../../simulations/machine.ts'
import { Referee } from '../../simulations/referee.ts'
import { Scene } from '../../simulations/scene.ts'
import { CELL, specOf } from '../../simulations/services.ts'
import { applyCell } from '../../crdt/edits.ts'
import { World } from '../../simulations/world.ts'

export interface Stage {
  readonly scene: Scene
  readonly first: Machine
  readonly second: Machine
}

/** Two peers at rest that run three instances of shop/web. */
export const stage = async (): Promise<Stage> => {
  const world = new World({ seed: 'checkers' })
  const [first, second] = await world.cluster(2)
  assert.ok(first && second)
  const spec = { ...specOf(world.random, 'web', 'ready=50ms'), mode: 'replicated' as const, constraints: [] }
  const update = { order: 'start-first', parallelism: 1 } as const
  const policy = { onPartition: 'run', rescheduleAfterMs: 5000 } as const
  const services = [{ ...spec, ...policy, replicas: 3, update }]
  const scene = new Scene({
    world,
    referee: new Referee([], () => undefined),
    faults: FAULTS,
    say: () => undefined,
  })
  await world.finish(scene.edit(first, 'apply', (view) => applyCell(view, { name: CELL, services }).edits))
  await world.settle()
  return { scene, first, second }
}

export const looks = (checker: Checker, scene: Scene) => checker.look?.(scene) ?? []
export const holding = ({ first, second }: Stage) => {
  const machine = first.processes.processes().length > 0 ? first : second
  const [process] = machine.processes.processes()
  assert.ok(process)
  return { machine, process }
}

// How the trouble ends for the operators: every machine is back, whoever was taken away is out of the document, nobody is
// cordoned, and every service is one that can run. What must hold then is verdict.ts's to say.

import { applyCell, removeMember, uncordon } from '../crdt/edits.ts'
import { defined } from '../lib/assert.ts'
import type { Scene } from './scene.ts'
import { CELL, specOf } from './services.ts'
import type { World } from './world.ts'

/** How long the operator waits for the peers to agree; whether they ever do is the verdict's to say. */
const AGREE_MAX_MS = 30_000
const LOOK_MS = 250

/** Makes of the cell what can run. Edits are waited for. */
export const closeTrouble = async (scene: Scene): Promise<void> => {
  const { world } = scene
  // An operator who edits what others edited meanwhile may lose to them, by the document's rules; this one looks first.
  for (let waitedMs = 0; waitedMs < AGREE_MAX_MS && !agree(world); waitedMs += LOOK_MS)
    await world.run(LOOK_MS)
  const operator = defined(world.present()[0], 'the first machine')
  const gone = new Set<string>(
    world.machines.filter(({ retired }) => retired).map(({ signer }) => signer.member),
  )
  const edited = scene.edit(operator, 'withdraw what cannot run', (view) => {
    const present = view.services.filter(({ cell }) => cell === CELL).map(({ name }) => name)
    const services = present.map((name) => ({
      ...specOf(world.random, name, 'ready=100ms'),
      // A start-first rollout on full machines waits for room for ever, and says so: that cannot run either.
      reservedCpusMilli: 0,
      // Nor does a hook that fails let anything run.
      preDeploy: null,
    }))
    return [
      ...(services.length === 0 ? [] : applyCell(view, { name: CELL, services }).edits),
      ...view.members.flatMap(({ id, name, cordoned, draining }) => {
        if (gone.has(id)) return removeMember(view, name)
        return cordoned || draining ? uncordon(view, name) : []
      }),
    ]
  })
  await world.finish(edited)
}

const agree = (world: World): boolean => new Set(world.snapshots().map(({ view }) => view.digest)).size === 1

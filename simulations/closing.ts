// How the trouble ends for the operators: every machine is back, whoever was taken away is out of the document, nobody is
// cordoned, every service is one that can run, and voters that are lost have been replaced. What must hold then is
// verdict.ts's to say.

import { applyCell, removeMember, uncordon } from '../crdt/edits.ts'
import type { VoterSet } from '../crdt/schema/lease.ts'
import { defined } from '../lib/assert.ts'
import { asTuttiError } from '../lib/errors.ts'
import { areLost } from '../node/plan/lease/terms.ts'
import type { Machine } from './machine.ts'
import type { Scene } from './scene.ts'
import { CELL, hasQuorum, specOf } from './services.ts'
import type { World } from './world.ts'

/** How long the operator waits for the peers to agree; whether they ever do is the verdict's to say. */
const AGREE_MAX_MS = 30_000
const LOOK_MS = 250
/** Steps by which voters may be lost. After any others, voters that nobody knows are a bug that no operator is to hide. */
const LOSING = ['disk-wiped', 'disk-old', 'disk-cloned', 'remove'] as const
/** An operator tries again after this. */
const RETRY_MS = 1000

/** Makes of the cell what can run. Edits are waited for. */
export const closeTrouble = async (scene: Scene): Promise<void> => {
  const { world } = scene
  // An operator who edits what others edited meanwhile may lose to them, by the document's rules; this one looks first.
  for (let waitedMs = 0; waitedMs < AGREE_MAX_MS && !isQuiet(scene); waitedMs += LOOK_MS)
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
  if (hasQuorum(world.random) && LOSING.some((kind) => scene.performed.has(kind)))
    await replaceLostVoters(scene, operator)
}

/**
 * Disks are destroyed here as they are in no fleet, also all that held the voters. Whoever was taken away is switched off,
 * which is what an operator vouches for.
 */
const replaceLostVoters = async (scene: Scene, operator: Machine): Promise<void> => {
  const { world } = scene
  for (let waitedMs = 0; waitedMs < AGREE_MAX_MS && areVotersLost(world); waitedMs += RETRY_MS) {
    const { agent } = operator
    const isOff = world.machines.every(({ retired, running }) => !retired || !running)
    if (agent !== null && isOff) {
      const replaced = agent.replaceVoters().then(
        () => 'the voters are replaced',
        (thrown: unknown) => `the voters are not replaced: ${asTuttiError(thrown).message}`,
      )
      scene.say(`${operator.name}: ${await world.finish(replaced)}`)
    }
    await world.run(RETRY_MS)
  }
}

/** As an operator sees it who asks every peer. */
const areVotersLost = (world: World): boolean => {
  const snapshots = world.snapshots()
  const newest = snapshots.reduce<VoterSet | null>(
    (best, { voters = null }) => ((voters?.epoch ?? -1) > (best?.epoch ?? -1) ? voters : best),
    null,
  )
  const operators = snapshots[0]?.view.members.map(({ id }) => id) ?? []
  return newest === null || areLost(newest, operators)
}

/** Nobody edits, and all peers have the same view. */
const isQuiet = ({ world, isEditing }: Scene): boolean =>
  !isEditing && new Set(world.snapshots().map(({ view }) => view.digest)).size === 1

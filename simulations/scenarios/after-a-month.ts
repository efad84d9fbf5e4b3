// A machine whose peer was off for a month, while its programs ran on, comes back to a cluster that has moved on. What a
// month is to a document is edits and wall clocks; the hours in which nothing happens are left out.

import { removeCell, removeMember, scale } from '../../crdt/edits.ts'
import { serviceIdOf } from '../../lib/ids.ts'
import { CELL, noteEdits } from '../services.ts'
import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

const MONTH_MS = 30 * 86_400_000
/** Some ten a day. */
const EDITS = 300

export const afterAMonth: Scenario = {
  name: 'after-a-month',
  fear: 'a machine that was away for a month brings back what has been deleted since, or starts what nobody wants any more',
  machines: 4,
  tell: async (stage) => {
    const [first, , gone, away] = [0, 1, 2, 3].map((number) => stage.machine(number))
    if (first === undefined || gone === undefined || away === undefined) return
    await stage.deployed(first, program('web', { replicas: 4 }), program('old', { replicas: 8 }))
    stage.expect('the machine runs something old', stage.nonces(away).length > 0)
    stage.say('m3: its peer is killed; what it runs runs on')
    stage.scene.disturb()
    away.kill()
    await stage.wait(20_000)
    stage.say(`a month passes, with ${EDITS} edits`)
    for (const machine of stage.machines) machine.local.setWallOff(MONTH_MS)
    for (let number = 0; number < EDITS; number += 1)
      await stage.world.finish(
        stage.scene.edit(first, `note ${number}`, (view) => noteEdits(view, `note-${number}`)),
      )
    for (let number = 0; number < EDITS; number += 2)
      await stage.world.finish(
        stage.scene.edit(first, `delete note ${number}`, (view) => removeCell(view, `note-${number}`)),
      )
    await stage.apply(first, program('web', { replicas: 2 }))
    await stage.edit(first, 'scale web to 3', (view) => scale(view, serviceIdOf(CELL, 'web'), 3))
    gone.kill()
    gone.retired = true
    await stage.edit(first, 'remove m2', (view) => removeMember(view, gone.name))
    for (const { record } of gone.processes.processes())
      void gone.processes.stop(record.instance, 'SIGKILL', 0)
    await stage.wait(20_000)
    const spawnedBefore = new Set(stage.nonces(away))
    stage.always('it starts nothing of what was deleted', () =>
      stage.living('old').every(({ record }) => spawnedBefore.has(record.nonce)),
    )
    stage.say('m3: its peer is started')
    stage.scene.start(away)
    await stage.until('it has what the others have', () => away.agent !== null && stage.agree(), 30_000)
    const view = stage.view(away)
    stage.expect(
      'what was deleted stays deleted',
      view.services.every(({ name }) => name !== 'old'),
    )
    stage.expect(
      'who was removed stays removed',
      view.members.every(({ name }) => name !== 'm2'),
    )
    stage.expect(
      'half of the notes are there',
      view.services.filter(({ cell }) => cell.startsWith('note-')).length === EDITS / 2,
    )
    await stage.until('nothing old runs any more', () => stage.living('old').length === 0)
  },
}

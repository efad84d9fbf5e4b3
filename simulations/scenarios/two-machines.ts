// The smallest cluster that is one: two machines, of which one dies in the night.

import { scale } from '../../crdt/edits.ts'
import { serviceIdOf } from '../../lib/ids.ts'
import { CELL } from '../services.ts'
import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

/** A death is seen within three seconds, and reschedule_after is five. */
const TAKEN_OVER_MS = 12_000

export const twoMachines: Scenario = {
  name: 'two-machines',
  fear: 'one of two machines dies, and the other waits for a majority that never comes',
  machines: 2,
  tell: async (stage) => {
    const [survivor, victim] = [stage.machine(0), stage.machine(1)]
    await stage.deployed(survivor, program('web', { replicas: 2 }))
    stage.power(victim, false)
    await stage.until('the survivor runs everything', () => stage.ready('web') === 2, TAKEN_OVER_MS)
    const before = stage.nonces(survivor).length
    stage.expect('both replicas are with the survivor', before === 2)
    await stage.edit(survivor, 'scale web to 3', (view) => scale(view, serviceIdOf(CELL, 'web'), 3))
    await stage.until('the edit has its effect', () => stage.ready('web') === 3)
    stage.always('every replica of web answers', () => stage.ready('web') === 3)
    await stage.wait(60_000)
    stage.power(victim, true)
    await stage.until('both agree', () => victim.agent !== null && stage.agree())
    await stage.until('the machine that came back has its share', () => stage.nonces(victim).length > 0)
  },
}

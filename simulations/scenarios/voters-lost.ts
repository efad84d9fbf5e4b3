// Two of three machines burn down, and with them the majority that leases need.

import { removeMember } from '../../crdt/edits.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { agentOf } from '../world.ts'
import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

/** As the cell file's reader has it for quorum services. */
const STOP_FIRST = { ...SERVICE_DEFAULTS.update, order: 'stop-first' } as const
/** A redial, a lease in which nobody is promised anything, a retry and a start. */
const BEGUN_MS = 30_000
/** Longer than a lease: by then what a lost voter has promised is over. */
const WAITS_MS = 20_000

export const votersLost: Scenario = {
  name: 'voters-lost',
  fear: 'two of three machines are lost for good, and what needs a majority never runs again',
  machines: 3,
  tell: async (stage) => {
    const [survivor, ...victims] = stage.machines
    if (survivor === undefined) return
    await stage.deployed(survivor, program('ledger', { onPartition: 'quorum', update: STOP_FIRST }))
    const voters = () => agentOf(survivor).snapshot().voters
    await stage.until('all three vote', () => voters()?.former === null && voters()?.present.length === 3)
    const fences = (): readonly number[] => stage.living('ledger').map(({ record }) => record.fence ?? 0)
    const [before = 0] = fences()
    for (const victim of victims) stage.power(victim, false)
    await stage.until('the ledger has stopped', () => stage.living('ledger').length === 0)
    for (const { name } of victims)
      await stage.edit(survivor, `rm ${name}`, (view) => removeMember(view, name))
    for (const victim of victims) victim.retired = true
    await stage.wait(WAITS_MS)
    stage.expect('nothing runs without a majority', stage.living('ledger').length === 0)
    stage.say(`${survivor.name}: replace the voters`)
    await stage.world.finish(agentOf(survivor).replaceVoters())
    await stage.until('the ledger runs again', () => stage.ready('ledger') === 1, BEGUN_MS)
    const [after = 0] = fences()
    stage.expect('its token is higher than the one before', after > before)
  },
}

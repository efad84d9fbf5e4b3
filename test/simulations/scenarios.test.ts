// The stories that operators fear, told again at every change, but for those of whole fleets, which CI tells by
// `npm run sim:scenarios`; and a stage that would notice if one went wrong.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SCENARIOS } from '../../simulations/scenarios/registry.ts'
import type { Scenario } from '../../simulations/scenarios/scenario.ts'
import { program } from '../../simulations/scenarios/stage.ts'
import { tell } from '../../simulations/scenarios/tell.ts'

/** Fifty peers take longer than a test may. */
const MACHINES_MAX = 10

const story = (told: Scenario['tell']): Scenario => ({
  name: 'test',
  fear: 'a stage that sees nothing',
  machines: 2,
  tell: told,
})

describe('scenarios', () => {
  for (const scenario of SCENARIOS.filter(({ machines }) => machines <= MACHINES_MAX)) {
    it(`${scenario.name}: no need to fear that ${scenario.fear}`, async () => {
      const { wrong, settledMs } = await tell(scenario)
      assert.deepEqual(wrong, [], `npm run sim:scenarios ${scenario.name}`)
      assert.notEqual(settledMs, null)
    })
  }
})

describe('the stage', () => {
  it('says what a story waits for in vain', async () => {
    const { wrong } = await tell(
      story(async (stage) => void (await stage.until('it rains', () => false, 1000))),
    )
    assert.deepEqual(wrong, ['not within 1s: it rains'])
  })

  it('says what does not hold all the while (S8)', async () => {
    const { wrong } = await tell(
      story(async (stage) => {
        await stage.deployed(stage.machine(0), program('web', { replicas: 2 }))
        stage.always('both answer', () => stage.ready('web') === 2)
        stage.power(stage.machine(1), false)
        await stage.wait(1000)
      }),
    )
    assert.deepEqual(wrong, ['it does not hold any more that both answer'])
  })

  it('passes on what a checker says, and a crash of the code under test', async () => {
    const { wrong } = await tell(
      story(async (stage) => {
        stage.scene.referee.note('S1: two views of one document')
        await stage.wait(100)
      }),
    )
    assert.deepEqual(wrong.slice(0, 1), ['S1: two views of one document'])
    const crashed = await tell(story(() => Promise.reject(new Error('no such machine'))))
    assert.deepEqual(crashed.wrong, ['no such machine'])
  })
})

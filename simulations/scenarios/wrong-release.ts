// A release that never answers is deployed to fifty machines; a minute later its author takes it back.

import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

const REPLICAS = 50
const PARALLELISM = 5
const sound = program('web', {
  replicas: REPLICAS,
  update: { ...program('web').update, order: 'start-first', parallelism: PARALLELISM },
})
const wrong = { ...sound, command: ['serve', 'ready=never'] }

export const wrongRelease: Scenario = {
  name: 'wrong-release',
  fear: 'a release that does not work replaces one that does on all machines before anybody notices',
  machines: 50,
  tell: async (stage) => {
    await stage.deployed(stage.machine(0), sound)
    const isWrong = (command: readonly string[]): boolean => command.includes('ready=never')
    const sick = (): number =>
      stage.living('web').filter(({ record }) => isWrong(record.definition.command)).length
    stage.always('every replica of web answers', () => stage.ready('web') === REPLICAS)
    stage.always(`the wrong release runs in ${PARALLELISM} slots at most`, () => sick() <= PARALLELISM)
    await stage.apply(stage.machine(7), wrong)
    await stage.until('the wrong release is tried', () => sick() > 0)
    await stage.wait(60_000)
    stage.expect(
      'somebody says that the rollout does not get on',
      stage.world.snapshots().some(({ plan }) => (plan?.waiting.length ?? 0) > 0),
    )
    await stage.apply(stage.machine(31), sound)
    await stage.until('the wrong release is gone', () => sick() === 0)
  },
}

// Tells one scenario: forms its cluster, lets the story happen, heals what it broke and judges the rest as every seed is
// judged. Prints nothing and never rejects for what the code under test does.

import { messageOf } from '../../lib/errors.ts'
import { keepVerdicts } from '../../lib/signature.ts'
import { allCheckers } from '../checkers/registry.ts'
import { FAULTS } from '../faults/registry.ts'
import { happeningsOf } from '../play.ts'
import { Referee } from '../referee.ts'
import { Scene } from '../scene.ts'
import { judge } from '../verdict.ts'
import { World } from '../world.ts'
import type { Scenario } from './scenario.ts'
import { Stage } from './stage.ts'

export interface Told {
  /** Empty: everything held. */
  readonly wrong: readonly string[]
  readonly simulatedMs: number
  /** From the last fault to rest; null: it never came, or was not waited for. */
  readonly settledMs: number | null
}

/** Every peer verifies every record; a story has few. */
const VERDICTS_MAX = 20_000

/** `say` receives what happens, with its simulated time. */
export const tell = async (
  scenario: Scenario,
  say: (atMs: number, line: string) => void = () => undefined,
): Promise<Told> => {
  keepVerdicts(VERDICTS_MAX)
  const line = (text: string): void => say(world.simulator.nowMs, text)
  const referee = new Referee(allCheckers(), line)
  const world = new World({ seed: scenario.name, happenings: happeningsOf(referee) })
  const scene = new Scene({ world, referee, faults: FAULTS, say: line })
  const crashed = (thrown: unknown): void => referee.note(`crash: ${messageOf(thrown)}`)
  process.on('unhandledRejection', crashed)
  let settledMs: number | null = null
  try {
    await world.cluster(scenario.machines)
    line(`${scenario.machines} peers have formed a cluster`)
    referee.scene = scene
    await scenario.tell(new Stage(world, scene, referee))
    await scene.heal()
    const verdict = await judge(world, () => referee.look())
    settledMs = verdict.settledMs
    for (const violation of verdict.violations) referee.note(violation)
    referee.ask('atRest', (check) => check(scene))
  } catch (thrown) {
    referee.note(messageOf(thrown))
  } finally {
    process.off('unhandledRejection', crashed)
  }
  return { wrong: referee.violations, simulatedMs: world.simulator.nowMs, settledMs }
}

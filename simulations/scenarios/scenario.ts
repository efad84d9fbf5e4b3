// A scenario: a story that operators fear, told on simulated machines under the real agent, with what must hold in it. Unlike
// a seed it is the same story every time, and its asserts are about this story; all checkers look on besides. Types only.

import type { Stage } from './stage.ts'

export interface Scenario {
  /** As `npm run sim:scenarios NAME` calls it. */
  readonly name: string
  /** What the operator is afraid of, in one sentence. */
  readonly fear: string
  /** Machines of the cluster when it begins. */
  readonly machines: number
  /** Tells it. @throws StoryError at the first thing that does not hold. */
  readonly tell: (stage: Stage) => Promise<void>
}

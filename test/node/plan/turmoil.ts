// Turmoil: a fleet on a stage that is edited, scaled, drained, cordoned, joined and split at any moment, while some
// members hear of it late. It watches each slot at every instant; which turmoil to make is the test's choice.

import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { defined } from '../../../lib/assert.ts'
import { slotIdOf, type SlotId } from '../../../lib/ids.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import { numbered, service, type MemberOptions } from './fleet.ts'
import { Stage } from './stage.ts'

/** What changes at once, and for how many turns nothing else does. Members are given by number. */
export interface Step {
  readonly turns: number
  readonly token: string
  readonly parallelism: number
  readonly replicas: number
  readonly draining: number
  readonly cordoned: number
  /** At least as many members; those that joined stay. */
  readonly members: number
  /** They hear of this step's edits a step late. */
  readonly late: readonly number[]
  /** It hears what others say of themselves a step late. */
  readonly deaf: number
  /** Nobody hears of it, nor it of anybody; what it runs, it runs on. */
  readonly lost: number
}

const NOBODY = 9
const START_REPLICAS = 5
const START_MEMBERS = 3

export const quietStep: Step = {
  turns: 1,
  token: '',
  parallelism: 1,
  replicas: START_REPLICAS,
  draining: NOBODY,
  cordoned: NOBODY,
  members: START_MEMBERS,
  late: [],
  deaf: NOBODY,
  lost: NOBODY,
}

const member = fc.integer({ min: 0, max: 4 })
const perhaps = fc.oneof(fc.constant(NOBODY), member)

/**
 * Steps between a few states of intent, so that edits are undone and digests recur: what crosses is then more likely to
 * look like agreement.
 */
export const steps = (kinds: { readonly scaled: boolean; readonly lost: boolean }): fc.Arbitrary<Step[]> => {
  const intent = fc.record({
    token: fc.constantFrom('', 'a', 'b'),
    parallelism: fc.constantFrom(0, 1, 2),
    replicas: kinds.scaled ? fc.integer({ min: 2, max: 7 }) : fc.constant(START_REPLICAS),
    draining: perhaps,
    cordoned: perhaps,
    lost: kinds.lost ? perhaps : fc.constant(NOBODY),
  })
  const hearing = fc.record({
    at: fc.nat({ max: 2 }),
    // Short steps cross with others' words on their way; long ones let a rollout end.
    turns: fc.oneof(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 6, max: 12 }),
    ),
    members: fc.constantFrom(START_MEMBERS, START_MEMBERS, START_MEMBERS, 4, 5),
    late: fc.uniqueArray(member, { maxLength: 2 }),
    deaf: perhaps,
  })
  return fc
    .tuple(
      fc.array(intent, { minLength: 3, maxLength: 3 }),
      fc.array(hearing, { minLength: 1, maxLength: 12 }),
    )
    .map(([intents, hearings]) =>
      hearings.map(({ at, ...rest }) => ({ ...defined(intents[at], 'an intent'), ...rest })),
    )
}

const web = ({
  token,
  parallelism,
  replicas,
}: Pick<Step, 'token' | 'parallelism' | 'replicas'>): ServiceView =>
  service('shop/web', {
    ports: { http: 0 },
    replicas,
    restartToken: token,
    update: { order: 'start-first', parallelism },
    rescheduleAfterMs: 1000,
  })

/**
 * A late member acts on the step before, and what a deaf one hears was said on the step before that. So a slot is
 * promised an instance only while none of these steps has scaled it away.
 */
const MEMORY_STEPS = 4

/**
 * Plays the steps, then lets the fleet settle. Fails where a slot that has been served is left without a ready
 * instance, where more than two instances a slot are ready (three, where somebody hears late), or where the end is not what is wanted.
 */
export const play = (steps: readonly Step[]): void => {
  const stage = new Stage(numbered(START_MEMBERS), [web(quietStep)])
  stage.settle()
  const recent: Step[] = [quietStep]
  const served = new Set<SlotId>()
  stage.watch = () => {
    watchSlots(stage, recent, served)
  }
  let count = START_MEMBERS
  let lostSinceMs = 0
  for (const step of steps) {
    const before = defined(recent.at(-1), 'a step')
    if (step.lost !== before.lost) lostSinceMs = stage.nowMs
    count = Math.max(count, step.members)
    const late = step.late.map((at) => `m${at}`)
    stage.late = new Map(late.map((name) => [name, stage.services]))
    stage.lateMembers = new Map(late.map((name) => [name, stage.members]))
    stage.lateWords = new Map([[`m${step.deaf}`, stage.words()]])
    stage.services = [web(step)]
    stage.members = numbered(count, (at) => membersOf(step, at, lostSinceMs))
    recent.push(step)
    if (recent.length > MEMORY_STEPS) recent.shift()
    for (let turn = 0; turn < step.turns; turn += 1) stage.turn()
  }
  const last = defined(recent.at(-1), 'a step')
  stage.members = numbered(count)
  stage.late = new Map()
  stage.lateMembers = new Map()
  stage.lateWords = new Map()
  stage.settle()
  assert.equal(stage.ready().get(web(last).id), last.replicas)
  assert.equal(stage.picture().length, last.replicas)
  assert.ok(stage.picture().every((line) => line.includes(web(last).release)))
}

const membersOf = (step: Step, at: number, lostSinceMs: number): MemberOptions => ({
  draining: at === step.draining,
  cordoned: at === step.cordoned,
  ...(at === step.lost ? { state: 'dead', sinceMs: lostSinceMs } : {}),
})

const watchSlots = (stage: Stage, recent: readonly Step[], served: Set<SlotId>): void => {
  const { id } = web(quietStep)
  const ready = stage.readyBySlot()
  const low = Math.min(...recent.map(({ replicas }) => replicas))
  const high = Math.max(...recent.map(({ replicas }) => replicas))
  for (let seat = 0; seat < high; seat += 1) {
    const slot = slotIdOf(id, seat)
    if (seat >= low) served.delete(slot)
    else if (ready.has(slot)) served.add(slot)
    else assert.ok(!served.has(slot), `nobody serves ${slot} at ${stage.nowMs}`)
  }
  if (recent.some(({ lost }) => lost !== NOBODY)) return
  const total = [...ready.values()].reduce((sum, more) => sum + more, 0)
  // One that hears late keeps what it is to hand over, while those who took it over hand it on already.
  const most = recent.some(({ deaf }) => deaf !== NOBODY) ? 3 : 2
  assert.ok(
    total <= most * high,
    `${total} ready at ${stage.nowMs}, more than ${most} for each of ${high} slots`,
  )
}

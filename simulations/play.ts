// One run from its seed to its verdict: a cluster is formed, the seed's schedule (or a part of it) befalls it while the
// checkers look on, everything heals, and what must hold then is judged. All that happened is folded into one hash: the
// same seed gives the same hash on every machine, so a hash that differs is a decision that depends on something it must
// not. A crash of the code under test is a violation too.

import { createHash } from 'node:crypto'
import { messageOf } from '../lib/errors.ts'
import type { ServiceSpec } from '../crdt/schema/service.ts'
import { shareDocuments } from '../crdt/automerge.ts'
import { shareStates, shareStatuses } from '../crdt/status-share.ts'
import { keepVerdicts } from '../lib/signature.ts'
import { allCheckers } from './checkers/registry.ts'
import { LOOK_MS, type Checker } from './checkers/checker.ts'
import { closeTrouble } from './closing.ts'
import type { Composition, Happenings } from './composition.ts'
import type { Fault } from './faults/fault.ts'
import { FAULTS } from './faults/registry.ts'
import { Referee } from './referee.ts'
import { Scene } from './scene.ts'
import { drawSchedule, partOf, WHOLE, type Part, type Step } from './schedule.ts'
import { CELL, SERVICES, specOf } from './services.ts'
import { applyCell } from '../crdt/edits.ts'
import { judge } from './verdict.ts'
import { invariantOf } from './violation.ts'
import { World } from './world.ts'

export interface PlayOptions {
  readonly seed: string
  readonly peers: number
  readonly minutes: number
  /** Kinds of steps to draw from. @default all */
  readonly faults?: readonly Fault[]
  /** What of the schedule happens. @default all of it */
  readonly part?: Part
  /** Planted bugs. @default none */
  readonly composition?: Composition
  /** @default all, made anew */
  readonly checkers?: readonly Checker[]
  /** Ends the run at the first violation; the verdict at rest is left out then. @default false */
  readonly hasty?: boolean
  /** Ends the run as soon as this invariant is broken, whatever else is. @default none */
  readonly seeks?: string
  /** Receives the story's events. */
  readonly say?: (atMs: number, line: string) => void
  /** Receives every machine's log lines. */
  readonly trace?: (atMs: number, line: string) => void
}

export interface Played {
  /** Simulated time from the last fault to rest; null: it never came, or was not waited for. */
  readonly settledMs: number | null
  /** What was wrong; empty: all is well. Each begins with the invariant that it breaks. */
  readonly violations: readonly string[]
  /** SHA-256 over all events and all log lines, hex. */
  readonly hash: string
  readonly simulatedMs: number
  /** Events of the simulator: a measure of work. */
  readonly fired: number
  readonly schedule: readonly Step[]
  /** Steps that took effect, by kind. */
  readonly performed: Readonly<Record<string, number>>
  /** How often each invariant was checked. */
  readonly checks: Readonly<Record<string, number>>
}

const MINUTE_MS = 60_000

/** Every peer verifies every record, at each of its starts again: the records of a long run, with room. */
keepVerdicts(20_000)
/** The same for what members say of themselves. */
shareStatuses(20_000)

/** The schedule that a seed has under these options. */
export const scheduleOf = ({ seed, peers, minutes, faults = FAULTS }: PlayOptions): readonly Step[] =>
  drawSchedule({ seed, peers, durationMs: minutes * MINUTE_MS, kinds: faults })

/** The run before in this process: what peers share is let go of when the next one begins. */
let before: Promise<unknown> = Promise.resolve()

/** Runs it, after those that were asked for before. Never rejects for what the code under test does. */
export const play = (options: PlayOptions): Promise<Played> => {
  const played = before.then(() => playAlone(options))
  before = played.catch(() => undefined)
  return played
}

const playAlone = async (options: PlayOptions): Promise<Played> => {
  // Peers that hold the same hold it once; each judges for itself what it is given.
  shareStates(true)
  shareDocuments(true)
  const { part = WHOLE, peers, minutes, faults = FAULTS } = options
  const hash = createHash('sha256')
  const say = (line: string): void => {
    const atMs = world.simulator.nowMs
    hash.update(`${atMs} ${line}\n`)
    options.say?.(atMs, line)
  }
  const referee = new Referee(options.checkers ?? allCheckers(), say)
  const world = new World({
    seed: options.seed,
    happenings: happeningsOf(referee),
    ...(options.composition === undefined ? {} : { composition: options.composition }),
    trace: (atMs, machine, line) => {
      hash.update(`${atMs} ${machine} ${line}\n`)
      options.trace?.(atMs, `${machine} ${line}`)
    },
  })
  const scene = new Scene({ world, referee, faults, say })
  const schedule = scheduleOf(options)
  let settledMs: number | null = null
  const crashed = (thrown: unknown): void => referee.note(`crash: ${messageOf(thrown)}`)
  process.on('unhandledRejection', crashed)
  try {
    await world.cluster(Math.min(peers, part.first ?? peers))
    say(`${world.machines.length} peers have formed a cluster`)
    referee.scene = scene
    await trouble(
      scene,
      partOf(schedule, part),
      Math.min(minutes * MINUTE_MS, part.untilMs ?? Infinity),
      options,
    )
    if (!isOver(referee, options)) settledMs = await recover(scene)
  } catch (thrown) {
    crashed(thrown)
  } finally {
    process.off('unhandledRejection', crashed)
  }
  const { nowMs, fired } = world.simulator
  return {
    settledMs,
    violations: referee.violations,
    hash: hash.digest('hex'),
    simulatedMs: nowMs,
    fired,
    schedule,
    performed: Object.fromEntries([...scene.performed].sort(([a], [b]) => (a < b ? -1 : 1))),
    checks: referee.checks,
  }
}

/** The safety phase. */
const trouble = async (
  scene: Scene,
  steps: readonly Step[],
  durationMs: number,
  options: PlayOptions,
): Promise<void> => {
  const { world, referee } = scene
  const [first] = world.machines
  if (first !== undefined) {
    const services = SERVICES.map((name) => specOf(world.random, name, 'ready=50ms'))
    // No older version can be put beside what its document cannot hold (faults/versions.ts).
    const isLater = ({ update, preDeploy }: ServiceSpec): boolean =>
      update.canary !== undefined || preDeploy !== undefined
    if (services.some(isLater)) scene.laterFields = true
    void scene.edit(first, 'apply the cell', (view) => applyCell(view, { name: CELL, services }).edits)
  }
  scene.schedule(steps)
  const untilMs = world.simulator.nowMs + durationMs
  while (world.simulator.nowMs < untilMs) {
    await world.run(Math.min(LOOK_MS, untilMs - world.simulator.nowMs))
    referee.look()
    if (isOver(referee, options)) return
  }
}

/** Whether nobody wants to know what follows. */
const isOver = ({ violations }: Referee, { hasty = false, seeks }: PlayOptions): boolean =>
  (hasty && violations.length > 0) ||
  (seeks !== undefined && violations.some((one) => invariantOf(one) === seeks))

/** The liveness phase. */
const recover = async (scene: Scene): Promise<number | null> => {
  const { referee, world } = scene
  await scene.heal()
  await closeTrouble(scene)
  const { settledMs, violations } = await judge(world, () => referee.look())
  for (const violation of violations) referee.note(violation)
  referee.ask('atRest', (check) => check(scene))
  return settledMs
}

/** What happens on machines, told to the checkers. */
export const happeningsOf = (referee: Referee): Happenings => ({
  spawned: (machine, record) => referee.ask('spawned', (check, scene) => check(scene, machine, record)),
  extended: (machine, record, token) =>
    referee.ask('extended', (check, scene) => check(scene, machine, record, token)),
  ending: (machine, record, how) =>
    referee.ask('ending', (check, scene) => check(scene, machine, record, how)),
  kept: (machine, frames) => referee.ask('kept', (check, scene) => check(scene, machine, frames)),
  delivered: (from, to) => referee.ask('delivered', (check, scene) => check(scene, from, to)),
  forwarded: (by, bytes) => referee.ask('forwarded', (check, scene) => check(scene, by, bytes)),
})

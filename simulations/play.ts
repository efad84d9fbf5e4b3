// One story from its seed to its verdict, with everything that happened in it folded into one hash: the same seed gives
// the same hash on every machine, so a hash that differs is a decision that depends on something it must not.

import { createHash } from 'node:crypto'
import { Story } from './story.ts'
import { judge, type Verdict } from './verdict.ts'
import { World } from './world.ts'

export interface PlayOptions {
  readonly seed: string
  readonly peers: number
  readonly minutes: number
  /** Receives the story's events. */
  readonly say?: (atMs: number, line: string) => void
  /** Receives every machine's log lines. */
  readonly trace?: (atMs: number, line: string) => void
}

export interface Played extends Verdict {
  /** SHA-256 over all events and all log lines, hex. */
  readonly hash: string
  readonly simulatedMs: number
  /** Events of the simulator: a measure of work. */
  readonly fired: number
}

const MINUTE_MS = 60_000

/** Tells the seed's story and judges how it ends. */
export const play = async (options: PlayOptions): Promise<Played> => {
  const { seed, peers, minutes } = options
  const hash = createHash('sha256')
  const world = new World({
    seed,
    trace: (atMs, machine, line) => {
      hash.update(`${atMs} ${machine} ${line}\n`)
      options.trace?.(atMs, `${machine} ${line}`)
    },
  })
  const say = (line: string): void => {
    const atMs = world.simulator.nowMs
    hash.update(`${atMs} ${line}\n`)
    options.say?.(atMs, line)
  }
  const machines = await world.cluster(peers)
  say(`${peers} peers have formed a cluster`)
  const story = new Story(world, machines, { durationMs: minutes * MINUTE_MS, say })
  await story.tell()
  await story.heal()
  const verdict = await judge(world, story.acknowledged)
  for (const violation of verdict.violations) say(`VIOLATION ${violation}`)
  const { nowMs, fired } = world.simulator
  return { ...verdict, hash: hash.digest('hex'), simulatedMs: nowMs, fired }
}

// A schedule: everything that befalls a simulated cluster, as a list of plain steps, drawn from the seed before the run
// begins. So a run can be replayed with fewer steps, and shrunk to those that matter. Each kind of fault is drawn from a
// Random of its own at a rate of its own, and many seeds have none of a kind at all: runs that differ in what is absent
// find more than runs that all have a little of everything (Groce et al., Swarm Testing, ISSTA 2012).
// Deliberately absent: what a step does (faults/), and whether it still applies when its turn comes (scene.ts).

import { seededRandom, type Random } from '../lib/random.ts'

/** What is drawn for one step, besides its time. Each kind gives the fields their meaning; what it does not use is empty. */
export interface Draw {
  /** Machines that it concerns, by number. */
  readonly machines: readonly number[]
  /** 0: it is over at once. Simulated milliseconds. */
  readonly lastsMs: number
  readonly amount: number
  readonly word: string
}

export interface Step extends Draw {
  /** Its place in the whole schedule, which it keeps when others are left out. */
  readonly id: number
  /** After the trouble began. */
  readonly atMs: number
  readonly kind: string
}

/** A kind of step, as far as drawing one goes. */
export interface StepKind {
  readonly kind: string
  /** How much of it a run gets at the density drawn, against other kinds. @default 1 */
  readonly weight?: number
  readonly draw: (random: Random, peers: number) => Partial<Draw>
}

export interface ScheduleOptions {
  readonly seed: string
  readonly peers: number
  readonly durationMs: number
  readonly kinds: readonly StepKind[]
}

/** Chance that a seed has none of a kind. */
const ABSENT = 0.45
/** How much more or less than its share a present kind gets. */
const SHARES = [0.4, 1, 2.5] as const
/**
 * Mean time between two steps of all kinds together: from steps that fall into each other's consequences, for a while
 * only, to ones that meet a cluster at rest.
 */
const GAPS_MS = [4000, 9000, 20_000, 40_000] as const
/** Bursts of steps at the dense rate, in seeds that have them: this many gaps long. */
const STEPS_MAX = 400

/** All steps of a seed, in the order of their times. */
export const drawSchedule = ({ seed, peers, durationMs, kinds }: ScheduleOptions): readonly Step[] => {
  const random = seededRandom(`${seed}/schedule`)
  const gapMs = GAPS_MS[random.fork('density').below(GAPS_MS.length)] ?? GAPS_MS[0]
  const shares = kinds.map(({ kind, weight = 1 }) => {
    const own = random.fork(`share ${kind}`)
    return own.next() < ABSENT ? 0 : weight * (SHARES[own.below(SHARES.length)] ?? 1)
  })
  const total = shares.reduce((sum, share) => sum + share, 0)
  const drawn = kinds.flatMap((kind, at) => {
    const share = shares[at] ?? 0
    if (share === 0 || total === 0) return []
    return drawKind(kind, random.fork(`steps ${kind.kind}`), {
      peers,
      durationMs,
      gapMs: (gapMs * total) / share,
    })
  })
  return drawn
    .sort((a, b) => a.atMs - b.atMs || (a.kind < b.kind ? -1 : 1))
    .slice(0, STEPS_MAX)
    .map((step, id) => ({ ...step, id }))
}

const drawKind = (
  { kind, draw }: StepKind,
  random: Random,
  {
    peers,
    durationMs,
    gapMs,
  }: { readonly peers: number; readonly durationMs: number; readonly gapMs: number },
): Omit<Step, 'id'>[] => {
  const steps: Omit<Step, 'id'>[] = []
  // Exponential gaps: a Poisson process, so steps also come in clusters.
  for (let atMs = gap(random, gapMs); atMs < durationMs; atMs += gap(random, gapMs)) {
    const { machines = [], lastsMs = 0, amount = 0, word = '' } = draw(random, peers)
    steps.push({ atMs: Math.floor(atMs), kind, machines, lastsMs: Math.floor(lastsMs), amount, word })
  }
  return steps
}

const gap = (random: Random, meanMs: number): number => -Math.log(1 - random.next()) * meanMs

/** A part of a schedule, as a replay names it. */
export interface Part {
  /** Null: all of them. */
  readonly steps: readonly number[] | null
  /** Machines that take part: the first so many. Null: all. */
  readonly first: number | null
  /** The trouble ends then, milliseconds after it began. Null: at its full length. */
  readonly untilMs: number | null
}

export const WHOLE: Part = { steps: null, first: null, untilMs: null }

/** The steps that are left: a step that concerns a machine that does not take part is left out. */
export const partOf = (schedule: readonly Step[], { steps, first, untilMs }: Part): readonly Step[] => {
  const kept = steps === null ? null : new Set(steps)
  return schedule.filter(
    ({ id, atMs, machines }) =>
      (kept === null || kept.has(id)) &&
      (untilMs === null || atMs < untilMs) &&
      (first === null || machines.every((machine) => machine < first)),
  )
}

// Shrinking: the fewest steps, machines and minutes that still break the same invariant. ddmin (Zeller & Hildebrandt,
// Simplifying and Isolating Failure-Inducing Input, IEEE TSE 28(2), 2002, figure 8) over the steps, then over the
// machines, then over the time. Every question is a whole run, so their number is bounded. It runs nothing itself.

import { WHOLE, type Part, type Step } from './schedule.ts'

export interface ShrinkOptions {
  readonly schedule: readonly Step[]
  readonly peers: number
  readonly durationMs: number
  /** Whether a run with this part breaks the same invariant. */
  readonly fails: (part: Part) => Promise<boolean>
  /** Runs at most. @default 80: a few minutes for a run of seconds */
  readonly runsMax?: number
}

export interface Shrunk {
  readonly part: Part
  readonly runs: number
  /** Nothing more can be left out alone. False: the runs were used up first. */
  readonly minimal: boolean
}

const RUNS_MAX = 80
/** Below this a shorter run tells nobody more. */
const DURATION_STEP_MS = 5000

/** Finds a small part that fails. The whole is known to. */
export const shrink = async (options: ShrinkOptions): Promise<Shrunk> => {
  const { schedule, peers, durationMs, fails, runsMax = RUNS_MAX } = options
  let runs = 0
  const exhausted = (): boolean => runs >= runsMax
  const holds = async (part: Part): Promise<boolean> => {
    if (exhausted()) return false
    runs += 1
    return await fails(part)
  }
  let part: Part = WHOLE
  // What comes after the failure, by time, is most of it: halves first, so that each later run is shorter.
  let untilMs = durationMs
  for (let less = untilMs / 2; less >= DURATION_STEP_MS; less /= 2) {
    const shorter = Math.ceil(untilMs - less)
    if (!(await holds({ ...part, untilMs: shorter }))) continue
    untilMs = shorter
    part = { ...part, untilMs }
  }
  const ids = schedule.filter(({ atMs }) => atMs < untilMs).map(({ id }) => id)
  const steps = await minimize(ids, (some) => holds({ ...part, steps: some }), exhausted)
  part = { ...part, steps }
  for (let first = 1; first < peers; first += 1) {
    if (!(await holds({ ...part, first }))) continue
    part = { ...part, first }
    break
  }
  return { part, runs, minimal: !exhausted() }
}

/** ddmin: a subset that fails although every subset of it that lacks one item does not, unless `exhausted` comes first. */
export const minimize = async <T>(
  items: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
  exhausted: () => boolean = () => false,
): Promise<readonly T[]> => {
  if (items.length > 0 && (await fails([]))) return []
  let left = items
  let parts = 2
  while (left.length >= 2 && !exhausted()) {
    const chunks = split(left, parts)
    const found = await firstFailing(chunks, left, parts, fails)
    if (found !== null) {
      left = found.items
      parts = found.complement ? Math.max(parts - 1, 2) : 2
    } else if (parts < left.length) parts = Math.min(left.length, parts * 2)
    else break
  }
  return left
}

const firstFailing = async <T>(
  chunks: readonly (readonly T[])[],
  all: readonly T[],
  parts: number,
  fails: (some: readonly T[]) => Promise<boolean>,
): Promise<{ readonly items: readonly T[]; readonly complement: boolean } | null> => {
  for (const chunk of chunks) if (await fails(chunk)) return { items: chunk, complement: false }
  // With two parts each complement is the other part.
  if (parts === 2) return null
  for (const chunk of chunks) {
    const gone = new Set(chunk)
    const rest = all.filter((item) => !gone.has(item))
    if (await fails(rest)) return { items: rest, complement: true }
  }
  return null
}

const split = <T>(items: readonly T[], parts: number): readonly (readonly T[])[] =>
  Array.from({ length: parts }, (_, at) =>
    items.slice(Math.floor((at * items.length) / parts), Math.floor(((at + 1) * items.length) / parts)),
  ).filter((chunk) => chunk.length > 0)

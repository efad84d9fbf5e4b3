// A real peer's incident, played again: each pass of a journal is planned anew from what went into it, and the decisions are
// compared byte by byte. They differ where a decision depends on something that is no input (S5), or where this is another
// version than the one that decided.

import { makePlan } from '../node/plan/make-plan.ts'
import { PLACEMENT_VERSION } from '../node/plan/placement-version.ts'
import { PlanMemo } from '../node/plan/plan-memo.ts'
import type { Plan } from '../node/plan/plan.ts'
import { readJournal, toText, type JournalHead } from '../node/agent/journal-text.ts'
import type { JournalEntry } from '../node/agent/journal.ts'

/** A decision that is not the recorded one. */
export interface Difference {
  /** Of the journal, from 1. */
  readonly pass: number
  readonly wall: number
  /** The part of the plan: `actions`, `reports`, … */
  readonly part: string
  readonly recorded: string
  readonly found: string
}

export interface Replayed {
  readonly head: JournalHead
  readonly passes: number
  /** Passes that decided to do something. */
  readonly acting: number
  readonly fromWall: number
  readonly toWall: number
  readonly differences: readonly Difference[]
}

/** Plans every pass of a journal again. @throws TuttiError `invalid` for what is no journal. */
export const replayJournal = (text: string): Replayed => {
  const { head, entries } = readJournal(text.split('\n'))
  const memo = new PlanMemo()
  const differences = entries.flatMap((entry, at) =>
    differencesOf(entry, makePlan(entry.input, memo), at + 1),
  )
  return {
    head,
    passes: entries.length,
    acting: entries.filter(({ plan }) => plan.actions.length > 0).length,
    fromWall: entries[0]?.wall ?? head.at,
    toWall: entries.at(-1)?.wall ?? head.at,
    differences,
  }
}

const differencesOf = ({ plan, wall }: JournalEntry, found: Plan, pass: number): readonly Difference[] => {
  if (toText(plan) === toText(found)) return []
  const parts = new Map<string, unknown>(Object.entries(plan))
  const others = new Map<string, unknown>(Object.entries(found))
  const differences: Difference[] = []
  for (const part of [...new Set([...parts.keys(), ...others.keys()])].sort()) {
    const recorded = toText(parts.get(part) ?? null)
    const now = toText(others.get(part) ?? null)
    if (recorded !== now) differences.push({ pass, wall, part, recorded, found: now })
  }
  // The same parts in another order are no difference in what was decided.
  return differences
}

/** Differences told in full: those that follow from the first are no news. */
const TOLD_MAX = 5
const TEXT_MAX = 300

/** What a replay found, for people. */
export const tellReplay = (replayed: Replayed): readonly string[] => {
  const { head, passes, acting, fromWall, toWall, differences } = replayed
  const time = (wall: number): string => new Date(wall).toISOString()
  const shortened = (text: string): string =>
    text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}… (${text.length} characters)` : text
  const versions =
    head.placementVersion === PLACEMENT_VERSION
      ? []
      : [`recorded with placement version ${head.placementVersion}; this is ${PLACEMENT_VERSION}`]
  return [
    `${passes} passes of ${head.self}, version ${head.version}, from ${time(fromWall)} to ${time(toWall)}; ${acting} of them acted`,
    ...versions,
    ...differences
      .slice(0, TOLD_MAX)
      .flatMap(({ pass, wall, part, recorded, found }) => [
        `pass ${pass} at ${time(wall)} decides otherwise: ${part}`,
        `  recorded: ${shortened(recorded)}`,
        `  now:      ${shortened(found)}`,
      ]),
    differences.length === 0
      ? 'every decision is the recorded one, byte by byte'
      : `${new Set(differences.map(({ pass }) => pass)).size} of ${passes} passes decide otherwise`,
  ]
}

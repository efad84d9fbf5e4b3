// The report of a swarm, as the text of a document: what was played at which commit, what befell the clusters, how often
// each invariant was looked at, and what broke. A function of its input; the swarm counts and writes.

import type { Fault } from './faults/fault.ts'

export interface SwarmCounts {
  /** The command that plays the same seeds again. */
  readonly command: string
  /** The tree that was played; `+` behind it: with changes that are in no commit. */
  readonly commit: string
  /** Of Node.js. */
  readonly runtime: string
  readonly date: string
  readonly seeds: number
  readonly failed: number
  readonly peers: string
  readonly minutes: string
  readonly simulatedMs: number
  readonly cpuMs: number
  readonly seconds: number
  readonly workers: number
  /** Steps that took effect, by kind. */
  readonly performed: ReadonlyMap<string, number>
  /** In how many runs a kind took effect at least once. */
  readonly befallen: ReadonlyMap<string, number>
  readonly checks: ReadonlyMap<string, number>
  /** What broke, by invariant, and the commands that play it again. */
  readonly failures: readonly string[]
}

const HOUR_MS = 3_600_000

/** The document. Kinds are listed in the order of `faults`, also those that never came. */
export const reportOf = (counts: SwarmCounts, faults: readonly Fault[]): string => {
  const { seeds, failed, simulatedMs, cpuMs, seconds, workers, performed, befallen, checks } = counts
  const perCore = simulatedMs / Math.max(1, cpuMs)
  const steps = [...performed.values()].reduce((sum, count) => sum + count, 0)
  const looks = [...checks.values()].reduce((sum, count) => sum + count, 0)
  return `${[
    '# A swarm',
    '',
    `Clusters of ${counts.peers} peers and ${counts.minutes} minutes of trouble each, every one from a seed of its own (SIMULATIONS.md). Written by`,
    '',
    `    ${counts.command}`,
    '',
    '| | |',
    '|---|---|',
    `| commit | ${counts.commit} |`,
    `| Node.js | ${counts.runtime} |`,
    `| date | ${counts.date} |`,
    `| seeds | ${number(seeds)} |`,
    `| violations | ${failed === 0 ? 'none' : `in ${number(failed)} seeds`} |`,
    `| simulated | ${(simulatedMs / HOUR_MS).toFixed(1)} hours |`,
    `| simulated seconds per second of CPU | ${perCore.toFixed(0)} |`,
    `| seeds an hour | ${number(Math.round((seeds * 3600) / Math.max(1, seconds)))}, with ${workers} at once |`,
    `| steps of trouble | ${number(steps)} |`,
    `| checks | ${number(looks)} |`,
    '',
    '## Faults and acts',
    '',
    '| Kind | Times | In seeds |',
    '|---|---|---|',
    ...faults.map(
      ({ kind }) => `| ${kind} | ${number(performed.get(kind) ?? 0)} | ${number(befallen.get(kind) ?? 0)} |`,
    ),
    '',
    '## Invariants',
    '',
    '| Invariant | Checked |',
    '|---|---|',
    ...[...checks]
      .sort(([a], [b]) => order(a) - order(b))
      .map(([invariant, count]) => `| ${invariant} | ${number(count)} |`),
    '',
    '## Violations',
    '',
    ...(counts.failures.length === 0
      ? ['None.']
      : counts.failures.flatMap((failure) => [...failure.split('\n').map((line) => `    ${line}`), ''])),
  ].join('\n')}\n`
}

/** S1 to S16, then L1 to L8. */
const order = (invariant: string): number =>
  (invariant.startsWith('S') ? 0 : 100) + Number(invariant.slice(1) || 0)

/** With a comma every three digits, whatever the locale. */
const number = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',')

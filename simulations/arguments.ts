// What `npm run sim` and its siblings are told on the command line, and the line that tells it again.

import { parseArgs } from 'node:util'
import { seededRandom } from '../lib/random.ts'
import { FAULTS } from './faults/registry.ts'
import type { Fault } from './faults/fault.ts'
import type { Part } from './schedule.ts'

export const USAGE =
  'usage: npm run sim -- [SEED] [--peers N] [--minutes M] [--faults KIND,…] [--steps ID,…] [--first N] [--until SECONDS] [--mutant NAME] [--trace]\n       npm run sim -- --journal FILE'

/** Enough for majorities and minorities of two. */
export const PEERS = 5
export const MINUTES = 3

export class UsageError extends Error {}

export interface SimulationOptions {
  readonly seed: string
  readonly peers: number
  readonly minutes: number
  readonly faults: readonly Fault[]
  readonly part: Part
  /** Null: sound code. */
  readonly mutant: string | null
  readonly trace: boolean
  /** A peer's journal to play again in place of a seed; null: none. */
  readonly journal: string | null
}

/** @param entropy for a seed where none is given. @throws UsageError */
export const parseArguments = (args: readonly string[], entropy: Uint8Array): SimulationOptions => {
  const { values, positionals } = parse(args)
  const number = (text: string, least: number, what: string): number => {
    const value = Number(text)
    if (!(value >= least)) throw new UsageError(`'${text}' is no number of ${what}`)
    return value
  }
  if (positionals.length > 1) throw new UsageError('one seed at a time')
  return {
    seed: positionals[0] ?? freshSeed(entropy),
    peers: Math.floor(number(values.peers, 1, 'peers')),
    minutes: number(values.minutes, 0.01, 'minutes'),
    faults: faultsOf(values.faults),
    part: {
      steps: values.steps === undefined ? null : values.steps.split(',').filter(Boolean).map(Number),
      first: values.first === undefined ? null : Math.floor(number(values.first, 1, 'machines')),
      untilMs: values.until === undefined ? null : number(values.until, 0, 'seconds') * 1000,
    },
    mutant: values.mutant ?? null,
    trace: values.trace,
    journal: values.journal ?? null,
  }
}

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        peers: { type: 'string', default: String(PEERS) },
        minutes: { type: 'string', default: String(MINUTES) },
        faults: { type: 'string' },
        steps: { type: 'string' },
        first: { type: 'string' },
        until: { type: 'string' },
        mutant: { type: 'string' },
        journal: { type: 'string' },
        trace: { type: 'boolean', default: false },
      },
    })
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown))
  }
}

const faultsOf = (list: string | undefined): readonly Fault[] => {
  if (list === undefined) return FAULTS
  const names = list.split(',').filter(Boolean)
  const unknown = names.find((name) => !FAULTS.some(({ kind }) => kind === name))
  if (unknown !== undefined)
    throw new UsageError(
      `there is no fault '${unknown}'; there are ${FAULTS.map(({ kind }) => kind).join(', ')}`,
    )
  return FAULTS.filter(({ kind }) => names.includes(kind))
}

/** The command that plays the same run again. */
export const replayOf = (options: Omit<SimulationOptions, 'trace' | 'journal'>): string => {
  const { seed, peers, minutes, faults, part, mutant } = options
  return [
    `npm run sim -- ${seed} --peers ${peers} --minutes ${minutes}`,
    ...(faults.length === FAULTS.length ? [] : [`--faults ${faults.map(({ kind }) => kind).join(',')}`]),
    ...(part.steps === null ? [] : [`--steps ${part.steps.length === 0 ? ',' : part.steps.join(',')}`]),
    ...(part.first === null ? [] : [`--first ${part.first}`]),
    ...(part.untilMs === null ? [] : [`--until ${part.untilMs / 1000}`]),
    ...(mutant === null ? [] : [`--mutant ${mutant}`]),
  ].join(' ')
}

/** A seed for whoever names none. */
export const freshSeed = (entropy: Uint8Array): string => {
  const random = seededRandom(entropy.join('.'))
  return Array.from({ length: 8 }, () => random.below(36).toString(36)).join('')
}

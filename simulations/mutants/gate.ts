// `npm run sim:mutants -- [NAME …] [--seeds N] [--workers N] [--peers N] [--minutes M]`: the mutation gate. Every planted bug
// is played, in processes of its own, seed after seed until the checker of its invariant fires. Prints a table; exits with
// 1 when a mutant survives or is caught by other checkers only. Deals out and prints; gate-worker.ts plays.

import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MINUTES, PEERS } from '../arguments.ts'
import { WORKER_FLAGS } from '../worker-flags.ts'
import { isGateReply, type GateAsk } from './gate-message.ts'
import { mutantOf, MUTANTS } from './registry.ts'
import { Trial } from './trial.ts'

const USAGE = 'usage: npm run sim:mutants -- [NAME …] [--seeds N] [--workers N] [--peers N] [--minutes M]'
/** What every mutant must be caught within. */
const SEEDS_MAX = 2000
/** A run takes a second or two; one that takes this long hangs, which is no catch. */
const RUN_MAX_MS = 120_000

interface Case {
  readonly trial: Trial
  workers: number
  beganMs: number | null
  endedMs: number | null
}

const options = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: String(SEEDS_MAX) },
      workers: { type: 'string', default: String(availableParallelism()) },
      peers: { type: 'string', default: String(PEERS) },
      minutes: { type: 'string', default: String(MINUTES) },
    },
  })
  return {
    mutants: positionals.length === 0 ? MUTANTS : positionals.map(mutantOf),
    seedsMax: Number(values.seeds),
    workers: Number(values.workers),
    run: ['--peers', values.peers, '--minutes', values.minutes],
  }
}

/** Plays one mutant's seeds in one process until none is left to deal. */
const work = ({ trial }: Case, run: readonly string[]): Promise<void> =>
  new Promise((resolve) => {
    const worker = fork(join(import.meta.dirname, 'gate-worker.ts'), [trial.mutant.name], {
      execArgv: [...process.execArgv, ...WORKER_FLAGS],
    })
    let seed: number | null = null
    let watchdog: NodeJS.Timeout | undefined
    const next = (): void => {
      clearTimeout(watchdog)
      seed = trial.deal()
      if (seed === null) worker.disconnect()
      else {
        worker.send({ run: [`mutant-${seed}`, ...run] } satisfies GateAsk)
        watchdog = setTimeout(() => worker.kill('SIGKILL'), RUN_MAX_MS)
      }
    }
    worker.on('message', (message: unknown) => {
      if (!isGateReply(message) || seed === null) return
      trial.hear(seed, message.violations)
      next()
    })
    worker.on('exit', () => {
      clearTimeout(watchdog)
      if (seed !== null) trial.hear(seed, ["crash: the simulator's process died"])
      resolve()
    })
    next()
  })

/** The mutant that has the fewest workers among those that can use one more. */
const neediest = (cases: readonly Case[]): Case | null =>
  cases
    .filter(({ endedMs, trial }) => endedMs === null && trial.hasMore)
    .reduce<Case | null>((least, one) => (least === null || one.workers < least.workers ? one : least), null)

/** One core: helps where it is needed most until nothing is left. */
const core = async (
  cases: readonly Case[],
  run: readonly string[],
  told: (one: Case) => void,
): Promise<void> => {
  for (let one = neediest(cases); one !== null; one = neediest(cases)) {
    one.beganMs ??= performance.now()
    one.workers += 1
    await work(one, run)
    one.workers -= 1
    if (!one.trial.isOver || one.endedMs !== null) continue
    one.endedMs = performance.now()
    told(one)
  }
}

const rowOf = ({ trial, beganMs, endedMs }: Case): string => {
  const { mutant, seeds, others } = trial
  const caught = seeds === null ? `NOT within ${trial.seedsMax}` : mutant.breaks
  const seconds = (((endedMs ?? 0) - (beganMs ?? 0)) / 1000).toFixed(1)
  const cells = [
    mutant.name,
    mutant.bug,
    mutant.breaks,
    caught,
    String(seeds ?? '-'),
    seconds,
    others.join(' ') || '-',
  ]
  return `| ${cells.join(' | ')} |`
}

const main = async (): Promise<number> => {
  const { mutants, seedsMax, workers, run } = options()
  const cases = mutants.map((mutant) => ({
    trial: new Trial(mutant, seedsMax),
    workers: 0,
    beganMs: null,
    endedMs: null,
  }))
  const told = ({ trial }: Case): void => {
    const { mutant, seeds, evidence, others } = trial
    const words =
      seeds === null ? `SURVIVES ${seedsMax} seeds; broken: ${others.join(' ')}` : `${seeds}: ${evidence}`
    process.stderr.write(`${mutant.name}: ${words}\n`)
  }
  await Promise.all(Array.from({ length: Math.max(1, workers) }, () => core(cases, run, told)))
  const survivors = cases.filter(({ trial }) => trial.seeds === null)
  process.stdout.write(
    '| Mutant | What is wrong | Breaks | Caught by | Seeds | Seconds | Also broken |\n|---|---|---|---|---|---|---|\n',
  )
  for (const one of cases) process.stdout.write(`${rowOf(one)}\n`)
  process.stdout.write(`${cases.length - survivors.length} of ${cases.length} mutants are caught\n`)
  return survivors.length === 0 ? 0 : 1
}

if (import.meta.main) {
  try {
    process.exitCode = await main()
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown
    process.stderr.write(`${thrown.message}\n${USAGE}\n`)
    process.exitCode = 2
  }
}

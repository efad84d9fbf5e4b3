// `npm run sim:swarm -- [COUNT | --seeds FILE] …`: many seeds over all cores, one process for each, with one line of
// progress; prints only failures, each with its seed, the shrunk story and the command that plays it again, and at the end
// how much was checked. Exits with 1 when any failed. Deals out seeds and prints; swarm-worker.ts plays them.

import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { freshSeed, MINUTES, PEERS } from './arguments.ts'
import { FAULTS } from './faults/registry.ts'
import { mutantFault } from './mutants/registry.ts'
import { isSwarmReply, type SwarmAsk, type SwarmReply } from './swarm-message.ts'
import { reportOf } from './swarm-report.ts'
import { WORKER_FLAGS } from './worker-flags.ts'

const USAGE =
  'usage: npm run sim:swarm -- [COUNT] [--seeds FILE] [--base SEED] [--peers N] [--minutes M] [--faults KIND,…] [--mutant NAME] [--workers N] [--json] [--report FILE]'
const COUNT = 100
/** A line that is rewritten more often than that is a flicker. */
const PROGRESS_MS = 500

interface Tally {
  readonly seeds: number
  failed: number
  done: number
  simulatedMs: number
  cpuMs: number
  readonly performed: Map<string, number>
  readonly befallen: Map<string, number>
  readonly failures: string[]
  readonly checks: Map<string, number>
}

const options = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string' },
      base: { type: 'string' },
      peers: { type: 'string', default: String(PEERS) },
      minutes: { type: 'string', default: String(MINUTES) },
      faults: { type: 'string' },
      mutant: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      json: { type: 'boolean', default: false },
      report: { type: 'string' },
    },
  })
  const fault = mutantFault(values.mutant ?? null)
  if (fault !== null) throw new TypeError(fault)
  const { seeds: file, base = freshSeed(randomBytes(16)) } = values
  const count = file === undefined || positionals.length > 0 ? Number(positionals[0] ?? COUNT) : 0
  const passed = (['faults', 'mutant'] as const).flatMap((name) => {
    const value = values[name]
    return value === undefined ? [] : [`--${name}`, value]
  })
  const common = ['--peers', values.peers, '--minutes', values.minutes, ...passed]
  const fresh = Array.from({ length: count }, (_, at) => [`${base}-${at}`, ...common])
  const kept = file === undefined ? [] : keptSeeds(readFileSync(file, 'utf8'))
  return {
    runs: [...kept, ...fresh],
    base,
    workers: Number(values.workers),
    json: values.json,
    mutant: values.mutant,
    report: values.report ?? null,
    peers: values.peers,
    minutes: values.minutes,
    command: commandOf(values, base, count),
  }
}

/** The command that plays the very same seeds. */
const commandOf = (
  values: Readonly<Record<string, string | boolean | undefined>>,
  base: string,
  count: number,
): string => {
  const named = ['seeds', 'peers', 'minutes', 'faults', 'mutant', 'report'].flatMap((name) =>
    values[name] === undefined ? [] : [`--${name} ${values[name]}`],
  )
  return ['npm run sim:swarm --', ...(count > 0 ? [String(count), `--base ${base}`] : []), ...named].join(' ')
}

/** The commit of this tree, with a plus where the tree differs from it; what is no repository has none. */
const commit = (): string => {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    return `${git('rev-parse', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+'}`
  } catch {
    return 'unknown'
  }
}

/** Lines of a seeds file: a seed with its options, and what it found behind a `#`. */
export const keptSeeds = (text: string): readonly (readonly string[])[] =>
  text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s+/).filter(Boolean))
    .filter((words) => words.length > 0)

const add = (into: Map<string, number>, counts: Readonly<Record<string, number>>): void => {
  for (const [name, count] of Object.entries(counts)) into.set(name, (into.get(name) ?? 0) + count)
}

const listed = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

const progressOf = ({ done, seeds, failed, simulatedMs, cpuMs }: Tally): string =>
  `${done}/${seeds} seeds, ${failed} failed, ${(simulatedMs / 3_600_000).toFixed(1)} h simulated, ${(simulatedMs / Math.max(1, cpuMs)).toFixed(0)} s per second and core`

/** One worker after another until no seed is left; a worker that dies has met a crash that no simulation survives. */
const work = (runs: (readonly string[])[], mutant: string | undefined, report: (reply: SwarmReply) => void) =>
  new Promise<void>((resolve) => {
    let run: readonly string[] | undefined
    const worker: ChildProcess = fork(
      join(import.meta.dirname, 'swarm-worker.ts'),
      mutant === undefined ? [] : ['--mutant', mutant],
      { execArgv: [...process.execArgv, ...WORKER_FLAGS] },
    )
    const next = (): void => {
      run = runs.shift()
      if (run === undefined) worker.disconnect()
      else worker.send({ run } satisfies SwarmAsk)
    }
    worker.on('message', (message: unknown) => {
      if (!isSwarmReply(message)) return
      run = undefined
      report(message)
      next()
    })
    worker.on('exit', () => {
      if (run !== undefined) {
        const text = `the simulator's process died: npm run sim -- ${run.join(' ')}`
        report({ failure: text, simulatedMs: 0, cpuMs: 0, performed: {}, checks: {} })
      }
      resolve()
    })
    next()
  })

const main = async (): Promise<number> => {
  const { runs, base, workers, json, mutant, report: file, peers, minutes, command } = options()
  const began = performance.now()
  const tally: Tally = {
    seeds: runs.length,
    failed: 0,
    done: 0,
    simulatedMs: 0,
    cpuMs: 0,
    performed: new Map(),
    befallen: new Map(),
    failures: [],
    checks: new Map(),
  }
  const tree = file === null ? '' : commit()
  const live = process.stderr.isTTY
  const clear = live ? '\r\u001b[K' : ''
  let saidMs = 0
  const report = ({ failure, simulatedMs, cpuMs, performed, checks }: SwarmReply): void => {
    tally.done += 1
    tally.simulatedMs += simulatedMs
    tally.cpuMs += cpuMs
    add(tally.performed, performed)
    add(tally.befallen, Object.fromEntries(Object.keys(performed).map((kind) => [kind, 1])))
    add(tally.checks, checks)
    if (failure !== null) {
      tally.failed += 1
      tally.failures.push(failure)
      process.stderr.write(clear)
      process.stdout.write(`${failure}\n\n`)
    }
    if (!live || performance.now() - saidMs < PROGRESS_MS) return
    saidMs = performance.now()
    process.stderr.write(`${clear}${progressOf(tally)}`)
  }
  const queue = [...runs]
  const crew = Math.max(1, Math.min(workers, runs.length))
  await Promise.all(Array.from({ length: crew }, () => work(queue, mutant, report)))
  process.stderr.write(clear)
  const seconds = (performance.now() - began) / 1000
  if (file !== null)
    writeFileSync(
      file,
      reportOf(
        {
          ...tally,
          command,
          commit: tree,
          runtime: process.version,
          date: new Date().toISOString().slice(0, 10),
          peers,
          minutes,
          seconds,
          workers: crew,
        },
        FAULTS,
      ),
    )
  if (json)
    process.stdout.write(
      `${JSON.stringify({ ...tally, befallen: Object.fromEntries(tally.befallen), base, seconds, performed: Object.fromEntries(tally.performed), checks: Object.fromEntries(tally.checks) })}\n`,
    )
  else {
    process.stdout.write(`${progressOf(tally)}, in ${seconds.toFixed(0)} s (base ${base})\n`)
    process.stdout.write(`faults ${listed(tally.performed)}\nchecked ${listed(tally.checks)}\n`)
  }
  return tally.failed === 0 ? 0 : 1
}

if (import.meta.main) {
  try {
    process.exitCode = await main()
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown
    process.stderr.write(`${thrown.message}\n${USAGE}\n`)
    process.exitCode = 2
  }
}

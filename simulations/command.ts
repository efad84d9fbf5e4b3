// One seed on the command line: plays it, prints its story, and gives 1 when an invariant broke, with the command that
// shows it again; or one peer's journal, and 1 when it decides otherwise now. Arguments and printing only.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf, TuttiError } from '../lib/errors.ts'
import { parseArguments, replayOf, USAGE, UsageError } from './arguments.ts'
import type { Composition } from './composition.ts'
import { replayJournal, tellReplay } from './journal.ts'
import { play } from './play.ts'

const clockOf = (atMs: number): string => `${(atMs / 1000).toFixed(3).padStart(9)}s`

const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** The exit code. @throws UsageError */
const run = async (composition: Composition | null): Promise<number> => {
  const { trace, journal, ...options } = parseArguments(process.argv.slice(2), randomBytes(16))
  if (journal !== null) return replay(journal)
  print(replayOf(options))
  const began = process.cpuUsage()
  const played = await play({
    ...options,
    ...(composition === null ? {} : { composition }),
    say: (atMs, line) => print(`${clockOf(atMs)}  ${line}`),
    ...(trace ? { trace: (atMs: number, line: string) => print(`${clockOf(atMs)}    ${line}`) } : {}),
  })
  const { user, system } = process.cpuUsage(began)
  const cpuSeconds = (user + system) / 1_000_000
  const { settledMs, hash, simulatedMs, fired, violations } = played
  if (settledMs !== null) print(`at rest ${(settledMs / 1000).toFixed(1)} s after the last fault`)
  print(
    `${(simulatedMs / 1000).toFixed(0)} s simulated with ${cpuSeconds.toFixed(1)} s of cpu (${(simulatedMs / 1000 / cpuSeconds).toFixed(0)} s per second, ${fired} events)`,
  )
  print(`checked ${listed(played.checks)}`)
  print(`trace ${hash}`)
  if (violations.length === 0) return 0
  for (const violation of violations) print(violation)
  print(`${violations.length} violations; again: ${replayOf(options)}`)
  return 1
}

/** Plays a peer's journal again. @throws UsageError, TuttiError */
const replay = (file: string): number => {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (thrown) {
    throw new UsageError(`the journal cannot be read: ${messageOf(thrown)}`)
  }
  const replayed = replayJournal(text)
  for (const line of tellReplay(replayed)) print(line)
  return replayed.differences.length === 0 ? 0 : 1
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

/** Runs what the command line says; `composition` is what a planted bug wraps. */
export const command = async (composition: Composition | null): Promise<number> => {
  try {
    return await run(composition)
  } catch (thrown) {
    if (!(thrown instanceof UsageError || thrown instanceof TuttiError)) throw thrown
    process.stderr.write(`${thrown.message}\n${USAGE}\n`)
    return 2
  }
}

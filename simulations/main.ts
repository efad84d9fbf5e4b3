// `npm run sim -- [SEED] [--peers N] [--minutes M] [--trace]`: tells one story, prints it, and exits with 1 when an
// invariant broke, with the command that shows it again. Arguments and printing only.

import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { play } from './play.ts'
import { freshSeed } from './story.ts'

const USAGE = 'usage: npm run sim -- [SEED] [--peers N] [--minutes M] [--trace]'
/** Enough for majorities and minorities of two. */
const PEERS = '5'
const MINUTES = '3'

const clockOf = (atMs: number): string => {
  const seconds = (atMs / 1000).toFixed(3).padStart(9)
  return `${seconds}s`
}

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      peers: { type: 'string', default: PEERS },
      minutes: { type: 'string', default: MINUTES },
      trace: { type: 'boolean', default: false },
    },
  })
  const peers = Number(values.peers)
  const minutes = Number(values.minutes)
  if (!Number.isInteger(peers) || peers < 1 || !(minutes > 0) || positionals.length > 1) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const seed = positionals[0] ?? freshSeed(randomBytes(16))
  const print = (line: string): void => void process.stdout.write(`${line}\n`)
  print(`seed ${seed}, ${peers} peers, ${minutes} min`)
  const began = performance.now()
  const played = await play({
    seed,
    peers,
    minutes,
    say: (atMs, line) => print(`${clockOf(atMs)}  ${line}`),
    ...(values.trace ? { trace: (atMs: number, line: string) => print(`${clockOf(atMs)}    ${line}`) } : {}),
  })
  const wallMs = performance.now() - began
  const { settledMs, hash, simulatedMs, fired, violations } = played
  if (settledMs !== null) print(`at rest ${(settledMs / 1000).toFixed(1)} s after the last fault`)
  print(
    `${(simulatedMs / 1000).toFixed(0)} s simulated in ${(wallMs / 1000).toFixed(1)} s (${(simulatedMs / wallMs).toFixed(0)} s per second, ${fired} events)`,
  )
  print(`trace ${hash}`)
  if (violations.length === 0) return 0
  print(
    `${violations.length} violations; again: npm run sim -- ${seed} --peers ${peers} --minutes ${minutes}`,
  )
  return 1
}

process.exitCode = await main()

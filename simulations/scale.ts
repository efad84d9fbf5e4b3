// `npm run sim:scale -- [PEERS…]`: measures clusters of growing size, each in a process of its own, and prints the table. With
// `--write` what was measured takes the place of its sizes in docs/scale.json, and table and plot in docs/ are made of all that
// is there: the largest takes a while. Stops before a size that this machine has no memory for, and says so. Deals out
// sizes, prints and writes; scale/measure.ts measures.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { messageOf } from '../lib/errors.ts'
import type { Measured } from './scale/measure.ts'
import { plotOf, type Panel } from './scale/plot.ts'

const USAGE = 'usage: npm run sim:scale -- [PEERS…] [--write]'
const SIZES = [10, 30, 100, 300, 1000]
const DOCS = join(import.meta.dirname, '../docs')
const ROWS = join(DOCS, 'scale.json')
const BEGIN = '<!-- measured by npm run sim:scale -- --write -->'
const END = '<!-- end -->'
/** Twice the heap that a thousand peers were seen to fill; V8's own limit is too low for them. */
const HEAP_MIB = 10_000
/** Most of what is made lives for one message: a young generation this large keeps it from growing old. */
const YOUNG_MIB = 64
/** What a machine keeps for itself and others. */
const MEMORY_SHARE = 0.8

/** A process that dies for want of memory says it in its first lines. */
const REASON_MAX = 500

const run = promisify(execFile)

const measureApart = async (peers: number): Promise<Measured> => {
  const worker = join(import.meta.dirname, 'scale/worker.ts')
  const { stdout } = await run(process.execPath, [
    `--max-old-space-size=${HEAP_MIB}`,
    `--max-semi-space-size=${YOUNG_MIB}`,
    worker,
    String(peers),
  ])
  return JSON.parse(stdout) as Measured
}

/**
 * A thousand peers took five times the memory of three hundred, which is a power of 1.3: every peer holds an entry of every
 * other, but entries are small and most values are shared. With room for what the next power of ten may bring.
 */
const MEMORY_POWER = 1.5

/** From what the last size took. */
const memoryFor = (peers: number, last: Measured | undefined): number =>
  last === undefined ? 0 : last.memoryBytes * (peers / last.peers) ** MEMORY_POWER

const COLUMNS: readonly (readonly [string, (measured: Measured) => string])[] = [
  ['peers', ({ peers }) => String(peers)],
  ['edit: half, all', ({ editHalfMs, editAllMs }) => `${editHalfMs}, ${editAllMs} ms`],
  [
    'death: half, all',
    ({ deathHalfMs, deathAllMs }) =>
      `${(deathHalfMs / 1000).toFixed(2)}, ${(deathAllMs / 1000).toFixed(2)} s`,
  ],
  [
    'at rest, a peer and second',
    ({ restMessages, restBytes }) => `${restMessages.toFixed(1)} messages, ${restBytes.toFixed(0)} B`,
  ],
  [
    'one edit, a peer',
    ({ editMessages, editBytes }) =>
      `${editMessages.toFixed(0)} messages, ${(editBytes / 1000).toFixed(0)} kB`,
  ],
  ['in its busiest second', ({ editSecondBytes }) => `${(editSecondBytes / 1000).toFixed(0)} kB`],
  [
    'the simulation',
    ({ simulatedMs, cpuMs, memoryBytes }) =>
      `${(simulatedMs / 1000).toFixed(0)} s in ${(cpuMs / 1000).toFixed(cpuMs < 10_000 ? 1 : 0)} s, ${(memoryBytes / 1e9).toFixed(1)} GB`,
  ],
]

const tableOf = (measured: readonly Measured[]): readonly string[] => [
  `| ${COLUMNS.map(([title]) => title).join(' | ')} |`,
  `|${COLUMNS.map(() => '---').join('|')}|`,
  ...measured.map((one) => `| ${COLUMNS.map(([, text]) => text(one)).join(' | ')} |`),
]

const panelsOf = (measured: readonly Measured[]): readonly Panel[] => {
  const line = (name: string, of: (one: Measured) => number) => ({
    name,
    points: measured.map((one) => [one.peers, of(one)] as const),
  })
  return [
    {
      title: 'An edit reaches',
      unit: 'ms',
      lines: [line('half', (one) => one.editHalfMs), line('all', (one) => one.editAllMs)],
    },
    {
      title: 'A death is seen by',
      unit: 's',
      lines: [line('half', (one) => one.deathHalfMs / 1000), line('all', (one) => one.deathAllMs / 1000)],
    },
    {
      title: 'At rest',
      unit: 'per peer and second',
      lines: [line('messages', (one) => one.restMessages), line('bytes', (one) => one.restBytes)],
    },
    {
      title: 'One edit',
      unit: 'kB per peer',
      lines: [
        line('in all', (one) => one.editBytes / 1000),
        line('in a second', (one) => one.editSecondBytes / 1000),
      ],
    },
  ]
}

/** What was measured now and before, in order of size. */
const withEarlier = (measured: readonly Measured[]): readonly Measured[] => {
  const now = new Set(measured.map(({ peers }) => peers))
  const earlier = existsSync(ROWS) ? (JSON.parse(readFileSync(ROWS, 'utf8')) as Measured[]) : []
  return [...earlier.filter(({ peers }) => !now.has(peers)), ...measured].sort((a, b) => a.peers - b.peers)
}

const write = (measured: readonly Measured[]): void => {
  writeFileSync(ROWS, `${JSON.stringify(measured, null, 2)}\n`)
  const page = join(DOCS, 'SCALE.md')
  const text = readFileSync(page, 'utf8')
  const from = text.indexOf(BEGIN)
  const to = text.indexOf(END)
  if (from < 0 || to < from) throw new TypeError(`${page} has no place for the table`)
  writeFileSync(
    page,
    `${text.slice(0, from)}${BEGIN}\n\n${tableOf(measured).join('\n')}\n\n${text.slice(to)}`,
  )
  writeFileSync(join(DOCS, 'scale.svg'), plotOf(panelsOf(measured)))
}

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { write: { type: 'boolean', default: false } },
  })
  const sizes = positionals.length === 0 ? SIZES : positionals.map(Number)
  if (sizes.some((size) => !Number.isInteger(size) || size < 2))
    throw new TypeError('a cluster has two peers or more')
  const measured: Measured[] = []
  for (const peers of sizes) {
    const needed = memoryFor(peers, measured.at(-1))
    if (needed > freemem() * MEMORY_SHARE) {
      process.stdout.write(
        `${peers} peers would take ${(needed / 1e9).toFixed(0)} GB, and ${(freemem() / 1e9).toFixed(0)} GB are free: not run\n`,
      )
      break
    }
    let one: Measured
    try {
      one = await measureApart(peers)
    } catch (thrown) {
      // Mostly V8's limit of memory; the sizes before it are measured all the same.
      process.stdout.write(`${peers} peers: not measured: ${messageOf(thrown).slice(0, REASON_MAX)}\n`)
      break
    }
    measured.push(one)
    process.stdout.write(`${JSON.stringify(one)}\n`)
  }
  process.stdout.write(`\n${tableOf(measured).join('\n')}\n`)
  if (values.write) write(withEarlier(measured))
  return 0
}

try {
  process.exitCode = await main()
} catch (thrown) {
  if (!(thrown instanceof TypeError)) throw thrown
  process.stderr.write(`${thrown.message}\n${USAGE}\n`)
  process.exitCode = 2
}

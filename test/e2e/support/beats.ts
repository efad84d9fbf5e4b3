// A program that writes down when it began and that it lives, in one file that all hosts share: what shows whether two of
// them ever ran at once.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { execPath } from 'node:process'

/** How often a run says that it lives. */
const BEAT_MS = 50

/** Says that it began, with its token, and then that it lives; ignores SIGTERM, as the worst of programs do. */
export const beater = (file: string): readonly string[] => [
  execPath,
  '-e',
  `
  const { appendFileSync } = require('node:fs')
  const say = (word) => appendFileSync(${JSON.stringify(file)}, [process.hrtime.bigint() / 1000000n, process.env.TUTTI_PEER, process.pid, process.env.TUTTI_FENCE, word].join(' ') + '\\n')
  process.on('SIGTERM', () => {})
  say('begin')
  setInterval(() => say('beat'), ${BEAT_MS})
  `,
]

/** A run of it, by the one clock of this machine. */
export interface Run {
  readonly peer: string
  readonly pid: number
  readonly token: number
  readonly fromMs: number
  toMs: number
}

/** The runs that a file tells of, in the order of their beginnings. */
export const runsIn = async (file: string): Promise<readonly Run[]> => {
  const text = await readFile(file, 'utf8').catch(() => '')
  const runs = new Map<string, Run>()
  for (const line of text.split('\n').slice(0, -1)) {
    const [at = '', peer = '', pid = '', token = ''] = line.split(' ')
    const known = runs.get(`${peer} ${pid}`)
    if (known !== undefined) known.toMs = Math.max(known.toMs, Number(at))
    else
      runs.set(`${peer} ${pid}`, {
        peer,
        pid: Number(pid),
        token: Number(token),
        fromMs: Number(at),
        toMs: Number(at),
      })
  }
  return [...runs.values()].toSorted((a, b) => a.fromMs - b.fromMs)
}

/** S9, as the machine's clock saw it. */
export const assertAlone = (runs: readonly Run[]): void => {
  runs.forEach((run, at) => {
    const before = runs[at - 1]
    if (before === undefined) return
    assert.ok(
      before.toMs < run.fromMs,
      `${before.peer} ran until ${before.toMs}, ${run.peer} began at ${run.fromMs} (S9)`,
    )
    assert.ok(before.token < run.token, `token ${run.token} follows ${before.token} (S9)`)
  })
}

// `npm run bench`: lists the benches; `npm run bench -- NAME…` runs them one after the other, each in a process of its own.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { WORKER_FLAGS } from '../simulations/worker-flags.ts'

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !['main.ts', 'support.ts'].includes(file))
  .map((file) => file.slice(0, -'.ts'.length))
  .sort()
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !names.includes(name))
if (wanted.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) process.stderr.write(`no bench is called ${unknown.join(', ')}\n`)
  process.stderr.write(`benches: ${names.join(', ')}; run one with: npm run bench -- ${names[0] ?? 'NAME'}\n`)
  process.exitCode = unknown.length > 0 ? 2 : 0
}
/** The simulator is measured as a worker of a swarm runs it. */
const flagsOf = (name: string): readonly string[] => (name === 'sim' ? WORKER_FLAGS : [])

for (const name of unknown.length > 0 ? [] : wanted) {
  const { status } = spawnSync(
    process.execPath,
    [...flagsOf(name), join(import.meta.dirname, `${name}.ts`)],
    { stdio: 'inherit' },
  )
  if (status !== 0) process.exitCode = 1
}

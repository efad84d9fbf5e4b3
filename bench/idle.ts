// What an idle peer costs: resident and proportional memory, and CPU, at 30 peers on one machine; beside it, in the same
// run, a bare Node.js process that does nothing, which no peer can go below.

import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { Fleet } from '../test/e2e/support/fleet.ts'
import { cpuSeconds, pause, print, summarize } from './support.ts'

const PEERS = 30
/** Start-up garbage is collected and connections are settled by then. */
const SETTLE_MS = 20_000
const MEASURE_MS = 30_000

const memoryMiB = async (pid: number): Promise<{ rss: number; pss: number }> => {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return { rss: kib('Rss') / 1024, pss: kib('Pss') / 1024 }
}

const fleet = await Fleet.create()
const bare = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
try {
  const peers = await fleet.grow(PEERS)
  await pause(SETTLE_MS)
  const before = await Promise.all(peers.map(({ pid }) => cpuSeconds(pid)))
  await pause(MEASURE_MS)
  const after = await Promise.all(peers.map(({ pid }) => cpuSeconds(pid)))
  const memory = await Promise.all(peers.map(({ pid }) => memoryMiB(pid)))
  const baseline = await memoryMiB(bare.pid ?? 0)
  const percent = after.map((seconds, at) => ((seconds - (before[at] ?? 0)) / (MEASURE_MS / 1000)) * 100)
  print('idle', [
    {
      what: `${PEERS} peers: RSS`,
      unit: 'MiB',
      aim: '<= 130',
      figures: summarize(memory.map(({ rss }) => rss)),
    },
    {
      what: `${PEERS} peers: PSS`,
      unit: 'MiB',
      aim: '<= 80',
      figures: summarize(memory.map(({ pss }) => pss)),
    },
    { what: `${PEERS} peers: CPU of one core`, unit: '%', aim: '<= 1', figures: summarize(percent) },
    { what: 'bare Node.js process: RSS', unit: 'MiB', aim: '', figures: baseline.rss },
    { what: 'bare Node.js process: PSS', unit: 'MiB', aim: '', figures: baseline.pss },
  ])
} finally {
  bare.kill()
  await fleet.close()
}

// What the benches share: statistics, the two forms of output, and a watcher that stamps what each peer says of itself.

import { request } from 'node:http'
import { readFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import type { WatchReply } from '../node/serve/api/contract-streams.ts'
import type { Peer } from '../test/e2e/support/fleet.ts'

export interface Summary {
  readonly count: number
  readonly min: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const rounded = (value: number): number => Math.round(value * 100) / 100

/** Nearest-rank percentiles; with few samples p99 is the maximum, and `count` says how few. */
export const summarize = (samples: readonly number[]): Summary => {
  const sorted = [...samples].sort((a, b) => a - b)
  const rank = (part: number): number =>
    rounded(sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN)
  return { count: sorted.length, min: rank(0), p50: rank(0.5), p99: rank(0.99), max: rank(1) }
}

export interface Row {
  readonly what: string
  readonly unit: string
  readonly aim: string
  readonly figures: Summary | number
}

/** A short table on stderr, and one JSON value on stdout. */
export const print = (bench: string, rows: readonly Row[], notes: readonly string[] = []): void => {
  const load = loadavg().map(rounded)
  process.stderr.write(`\n${bench} (${cpus().length} cores, load ${load.join(' ')})\n`)
  for (const { what, unit, aim, figures } of rows) {
    const text =
      typeof figures === 'number'
        ? `${rounded(figures)} ${unit}`
        : `p50 ${figures.p50}  p99 ${figures.p99}  min ${figures.min}  max ${figures.max} ${unit}  (n=${figures.count})`
    process.stderr.write(`  ${what.padEnd(58)} ${text}${aim === '' ? '' : `   aim ${aim}`}\n`)
  }
  for (const note of notes) process.stderr.write(`  ${note}\n`)
  process.stdout.write(`${JSON.stringify({ bench, cores: cpus().length, load, rows, notes }, null, 2)}\n`)
}

/** Follows one peer's `/v1/watch` and calls back with each reply and the time it arrived. */
export class Watcher {
  readonly peer: Peer
  last: WatchReply | null = null
  readonly #listeners = new Set<(reply: WatchReply, atMs: number) => void>()
  #close: () => void = () => undefined

  constructor(peer: Peer) {
    this.peer = peer
  }

  open(): Promise<void> {
    return new Promise((opened, failed) => {
      const call = request({ socketPath: this.peer.socket, path: '/v1/watch', agent: false }, (reply) => {
        let rest = ''
        reply.setEncoding('utf8')
        reply.on('data', (part: string) => {
          const atMs = performance.now()
          const events = (rest + part).split('\n\n')
          rest = events.pop() ?? ''
          for (const event of events) this.#take(event, atMs)
          opened()
        })
        reply.on('error', () => undefined)
      })
      call.on('error', failed)
      this.#close = () => call.destroy()
      call.end()
    })
  }

  close(): void {
    this.#close()
  }

  /** Resolves with the time of arrival of the first reply that `wanted` holds for. */
  when(what: string, wanted: (reply: WatchReply) => boolean, timeoutMs = 60_000): Promise<number> {
    if (this.last !== null && wanted(this.last)) return Promise.resolve(performance.now())
    return new Promise((seen, failed) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(listener)
        failed(new Error(`${this.peer.name}: not in ${timeoutMs} ms: ${what}`))
      }, timeoutMs)
      const listener = (reply: WatchReply, atMs: number): void => {
        if (!wanted(reply)) return
        clearTimeout(timer)
        this.#listeners.delete(listener)
        seen(atMs)
      }
      this.#listeners.add(listener)
    })
  }

  #take(event: string, atMs: number): void {
    const data = event
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5))
      .join('')
    if (data === '') return
    const reply: WatchReply = JSON.parse(data)
    this.last = reply
    for (const listener of this.#listeners) listener(reply, atMs)
  }
}

export const watchAll = async (peers: readonly Peer[]): Promise<readonly Watcher[]> => {
  const watchers = peers.map((peer) => new Watcher(peer))
  await Promise.all(watchers.map((watcher) => watcher.open()))
  return watchers
}

/** Waits, with nothing to wait for: a measurement of idleness or an interval between samples. */
export const pause = (durationMs: number): Promise<void> =>
  new Promise((done) => setTimeout(done, durationMs))

/** Linux accounts CPU time in hundredths of a second (USER_HZ). */
const TICKS_PER_SECOND = 100

/** CPU time that a process has used, user and system. */
export const cpuSeconds = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Memory of a process that is resident, shared pages included. */
export const residentMiB = async (pid: number): Promise<number> => {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024
}

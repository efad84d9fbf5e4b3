// What a flood of output costs: a program writes as fast as it is told to its stdout under a peer, and beside it, in the
// same run, the same program to a plain file that is emptied as often. Meanwhile a neighbour instance is probed ten times
// a second and writes down when it was asked; how much later than planned is the probe's delay, with and without the flood.

import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { applyOf, Fleet, ready, service, until, type Peer } from '../test/e2e/support/fleet.ts'
import { cpuSeconds, pause, print, residentMiB, summarize } from './support.ts'

/** What the flood is told to write, in bytes a second. */
const RATE = 200 * 1024 * 1024
const MEASURE_MS = 15_000
/** The start of an instance, and the first probes, are over by then. */
const SETTLE_MS = 3000
const PROBE_EVERY_MS = 100
/** The plain file is emptied when it is this large, as the peer bounds its own. */
const PLAIN_BYTES_MAX = 64 * 1024 * 1024
const CHUNK_BYTES = 1024 * 1024

/** Writes lines to stdout at RATE and its progress, `bytes milliseconds`, to the file named first. */
const FLOOD = `
  const { writeSync, writeFileSync } = require('node:fs')
  const line = 'x'.repeat(99) + '\\n'
  const chunk = Buffer.from(line.repeat(Math.floor(${CHUNK_BYTES} / line.length)))
  const begin = performance.now()
  let bytes = 0, told = begin
  const wait = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    bytes += writeSync(1, chunk)
    const now = performance.now()
    if (now - told > 250) { writeFileSync(process.argv[1], bytes + ' ' + (now - begin)); told = now }
    const ahead = bytes / ${RATE} * 1000 - (now - begin)
    if (ahead > 1) Atomics.wait(wait, 0, 0, ahead)
  }
`
/** Answers probes and keeps the time between them; GET /gaps takes what it has. */
const NEIGHBOUR = `
  const { createServer } = require('node:http')
  let last = null, gaps = []
  createServer((request, reply) => {
    reply.setHeader('connection', 'close')
    if (request.url === '/gaps') { reply.end(JSON.stringify(gaps)); gaps = []; last = null; return }
    const now = performance.now()
    if (last !== null) gaps.push(now - last)
    last = now
    reply.end('ok')
  }).listen(Number(process.env.PORT), '127.0.0.1')
`

const fetched = (port: number, path: string): Promise<string> =>
  new Promise((done, failed) => {
    const call = request({ host: '127.0.0.1', port, path, agent: false }, (reply) => {
      let text = ''
      reply.setEncoding('utf8')
      reply.on('data', (part: string) => (text += part))
      reply.on('end', () => done(text))
    })
    call.on('error', failed)
    call.end()
  })

/** What a probe came later than planned: the jitter of a tenth and the probe itself included. */
const delaysOf = async (port: number): Promise<readonly number[]> => {
  const gaps: readonly number[] = JSON.parse(await fetched(port, '/gaps'))
  return gaps.map((gap) => Math.max(0, gap - PROBE_EVERY_MS))
}

const progress = (path: string): { readonly bytes: number; readonly ms: number } => {
  const [bytes = 0, ms = 0] = readFileSync(path, 'latin1').split(' ').map(Number)
  return { bytes, ms }
}

const rateBetween = (
  from: { readonly bytes: number; readonly ms: number },
  to: { readonly bytes: number; readonly ms: number },
): number => (to.bytes - from.bytes) / 1024 / 1024 / ((to.ms - from.ms) / 1000)

/** The same program, its stdout a plain file; MiB/s. */
const plainRate = async (directory: string): Promise<number> => {
  const [path, told] = [join(directory, 'plain.out'), join(directory, 'plain.progress')]
  const out = openSync(path, 'a')
  const child = spawn(process.execPath, ['-e', FLOOD, told], { stdio: ['ignore', out, 'ignore'] })
  closeSync(out)
  const emptied = setInterval(() => {
    if (statSync(path).size > PLAIN_BYTES_MAX) truncateSync(path, 0)
  }, 100)
  try {
    await pause(SETTLE_MS)
    const from = progress(told)
    await pause(MEASURE_MS)
    return rateBetween(from, progress(told))
  } finally {
    clearInterval(emptied)
    child.kill('SIGKILL')
  }
}

/** Blocks on disk under the peer's output, in MiB. */
const diskMiB = (peer: Peer): number => {
  const root = join(peer.data, 'output')
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  const blocks = names.map((name) => statSync(join(root, name), { throwIfNoEntry: false })?.blocks ?? 0)
  return (blocks.reduce((sum, one) => sum + one, 0) * 512) / 1024 / 1024
}

interface Phase {
  readonly delays: readonly number[]
  readonly cpuPercent: number
  readonly rssMiB: number
  readonly diskMiBMax: number
}

const measured = async (peer: Peer, port: number): Promise<Phase> => {
  await delaysOf(port)
  const beforeSeconds = await cpuSeconds(peer.pid)
  const beganMs = performance.now()
  let diskMiBMax = 0
  while (performance.now() - beganMs < MEASURE_MS) {
    diskMiBMax = Math.max(diskMiBMax, diskMiB(peer))
    await pause(100)
  }
  const seconds = (performance.now() - beganMs) / 1000
  const cpuPercent = (((await cpuSeconds(peer.pid)) - beforeSeconds) / seconds) * 100
  return { delays: await delaysOf(port), cpuPercent, rssMiB: await residentMiB(peer.pid), diskMiBMax }
}

const fleet = await Fleet.create()
try {
  const [peer] = await fleet.grow(1)
  if (peer === undefined) throw new Error('a fleet of one has a peer')
  const told = join(fleet.directory, 'flood.progress')
  const neighbour = service('neighbour', [process.execPath, '-e', NEIGHBOUR], {
    ports: { http: 0 },
    healthcheck: {
      kind: 'http',
      path: '/healthz',
      intervalMs: PROBE_EVERY_MS,
      timeoutMs: 5000,
      retries: 3,
      startPeriodMs: 0,
    },
  })
  const flood = service('flood', [process.execPath, '-e', FLOOD, told])
  await peer.change(applyOf(neighbour))
  const [instance] = await ready(peer, 'neighbour', 1)
  const port = Object.values(instance?.ports ?? {})[0] ?? 0
  await pause(SETTLE_MS)
  const quiet = await measured(peer, port)
  const plain = await plainRate(fleet.directory)
  await peer.change(applyOf(neighbour, flood))
  await ready(peer, 'flood', 1)
  await until('the flood writes', () => statSync(told, { throwIfNoEntry: false }) !== undefined)
  await pause(SETTLE_MS)
  const from = progress(told)
  const flooded = await measured(peer, port)
  const reached = rateBetween(from, progress(told))
  const stop = new AbortController()
  let followedBytes = 0
  const call = request(
    { socketPath: peer.socket, path: '/v1/logs?of=e2e/flood&follow=true', agent: false, signal: stop.signal },
    (reply) => {
      reply.on('data', (part: Buffer) => (followedBytes += part.length))
      reply.on('error', () => undefined)
    },
  )
  call.on('error', () => undefined)
  call.end()
  const followed = await measured(peer, port)
  stop.abort()
  const aim = '<= 100 more'
  print('flood', [
    { what: 'program writes with tutti', unit: 'MiB/s', aim: '', figures: reached },
    { what: 'same program to a plain file', unit: 'MiB/s', aim: '', figures: plain },
    { what: 'ratio', unit: '', aim: '>= 0.9', figures: reached / plain },
    { what: 'probe delay, no flood', unit: 'ms', aim: '', figures: summarize(quiet.delays) },
    { what: 'probe delay, flood', unit: 'ms', aim, figures: summarize(flooded.delays) },
    { what: 'probe delay, flood and a follower', unit: 'ms', aim, figures: summarize(followed.delays) },
    { what: 'peer CPU of one core, no flood', unit: '%', aim: '', figures: quiet.cpuPercent },
    { what: 'peer CPU of one core, flood', unit: '%', aim: '', figures: flooded.cpuPercent },
    { what: 'peer CPU of one core, flood and a follower', unit: '%', aim: '', figures: followed.cpuPercent },
    { what: 'peer RSS, no flood', unit: 'MiB', aim: '', figures: quiet.rssMiB },
    { what: 'peer RSS, flood', unit: 'MiB', aim: '', figures: flooded.rssMiB },
    { what: 'peer RSS, flood and a follower', unit: 'MiB', aim: '', figures: followed.rssMiB },
    { what: 'output on disk at most, flood', unit: 'MiB', aim: '<= 64', figures: flooded.diskMiBMax },
    { what: 'sent to the follower', unit: 'MiB', aim: '', figures: followedBytes / 1024 / 1024 },
  ])
} finally {
  await fleet.close()
}

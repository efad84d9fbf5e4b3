// What probing costs a peer: the CPU of a process that probes a thousand services every five seconds, less that of the same
// process while it probes nothing; and beside it, in the same run, what as many bare connections cost that Node.js makes,
// with nothing of ours around them. The probed ports, a thousand of them, are another process's. Command probes are measured
// twice: forked by the small shell, as peers do it, and by the process itself, in a process grown to the size of a busy peer.

import { fork, spawn, type ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { execPath } from 'node:process'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { unreachable } from '../lib/assert.ts'
import { seededRandom } from '../lib/random.ts'
import { directForker, ShellForker } from '../node/act/forker.ts'
import type { ProbeSpec } from '../node/act/probe-spec.ts'
import { createProber } from '../node/act/prober.ts'
import { realProbe } from '../node/act/probes.ts'
import { systemClock } from '../node/clock.ts'
import { pause, print, type Row } from './support.ts'

const PROBES = 1000
const COMMANDS = 100
const INTERVAL_MS = 5000
/** First probes are in a hurry, and then spread over one interval. */
const SETTLE_MS = 8000
const MEASURE_MS = 15_000
/** Resident size at which a fork shows: a peer of a large cluster. */
const BALLAST_BYTES = 256 * 1024 ** 2

type Probed = 'http' | 'tcp' | 'command' | 'command-direct'
/** `bare-…`: net.connect and, for http, a request and its answer, at the same rate. */
type Kind = 'none' | 'bare-http' | 'bare-tcp' | Probed
interface Measured {
  readonly percent: number
  readonly probes: number
  readonly failures: number
  readonly delayMaxMs: number
}

/** Answers on a thousand ports: `ok` to whatever is asked. Prints the ports once it listens on all. */
const SERVER = `
const { createServer } = require('node:http')
const listen = () => new Promise((done) => {
  const server = createServer((request, reply) => reply.end('ok'))
  server.listen(0, '127.0.0.1', 1024, () => done(server.address().port))
})
Promise.all(Array.from({ length: ${PROBES} }, listen)).then((ports) => console.log(JSON.stringify(ports)))
`

const specOf = (kind: Probed, port: number): ProbeSpec => {
  const times = {
    intervalMs: INTERVAL_MS,
    countEveryMs: INTERVAL_MS,
    timeoutMs: 2000,
    startPeriodMs: 0,
    successes: 1,
    eager: true,
    once: false,
  }
  switch (kind) {
    case 'http':
      return { kind: 'http', port, path: '/healthz', ...times }
    case 'tcp':
      return { kind: 'tcp', ports: [{ name: 'http', number: port }], ...times }
    case 'command':
    case 'command-direct':
      return { kind: 'command', command: ['true'], ...times }
    default:
      return unreachable(kind)
  }
}

/** Connects to the ports in turn, each once an interval. Returns the one that stops it. */
const bare = (kind: 'bare-http' | 'bare-tcp', ports: readonly number[], ended: () => void): (() => void) => {
  const request = (port: number): string =>
    `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`
  let next = 0
  const timer = setInterval(() => {
    const port = ports[next % ports.length] ?? 0
    next += 1
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => (kind === 'bare-tcp' ? socket.end() : socket.write(request(port))))
    socket.on('data', () => undefined)
    socket.on('close', ended)
  }, INTERVAL_MS / ports.length)
  return () => clearInterval(timer)
}

/** In the measured process: probes for a while and says what it cost. */
const measure = async (kind: Kind, ports: readonly number[]): Promise<Measured> => {
  const ballast = Buffer.alloc(kind.startsWith('command') ? BALLAST_BYTES : 0, 1)
  const forker = new ShellForker({ log: () => undefined })
  let probes = 0
  let failures = 0
  const probe = realProbe(systemClock, kind === 'command-direct' ? directForker : forker)
  const prober = createProber({ clock: systemClock, random: seededRandom('bench'), probe })
  const place = { environment: { PATH: process.env['PATH'] ?? '' }, directory: tmpdir(), peer: 'bench' }
  const watch = (probed: Probed): (() => void) => {
    const probings = ports.slice(0, probed.startsWith('command') ? COMMANDS : PROBES).map((port) =>
      prober.watch({ spec: specOf(probed, port), place, ageMs: 0 }, (tally) => {
        probes += 1
        if (tally.okInARow === 0) failures += 1
      }),
    )
    return () => {
      for (const probing of probings) probing.stop()
    }
  }
  const begin = (): (() => void) => {
    if (kind === 'none') return () => undefined
    if (kind === 'bare-http' || kind === 'bare-tcp') return bare(kind, ports, () => (probes += 1))
    return watch(kind)
  }
  const stop = begin()
  await pause(SETTLE_MS)
  probes = 0
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const before = process.cpuUsage()
  await pause(MEASURE_MS)
  const { user, system } = process.cpuUsage(before)
  delay.disable()
  stop()
  forker.close()
  const percent = ((user + system) / 1000 / MEASURE_MS) * 100
  // Touched once more, so that it is there until the end.
  ballast.fill(2)
  return { percent, probes, failures, delayMaxMs: delay.max / 1e6 }
}

const measured = (kind: Kind, ports: readonly number[]): Promise<Measured> =>
  new Promise((done, failed) => {
    const child = fork(import.meta.filename, [kind], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child.once('message', (message) => done(message as Measured))
    child.once('exit', (code) => failed(new Error(`the measured process ended with ${code}`)))
    child.send(ports)
  })

const portsOf = (server: ChildProcess): Promise<readonly number[]> =>
  new Promise((done) => {
    let text = ''
    server.stdout?.on('data', (part: Buffer) => {
      text += part.toString()
      if (text.endsWith('\n')) done(JSON.parse(text) as number[])
    })
  })

const main = async (): Promise<void> => {
  const server = spawn(execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const ports = await portsOf(server)
    const idle = await measured('none', ports)
    const rows: Row[] = [
      { what: 'probing nothing: CPU of one core', unit: '%', aim: '', figures: idle.percent },
    ]
    const notes: string[] = []
    const bareOf = new Map<Probed, number>()
    for (const kind of ['http', 'tcp'] as const) {
      const { percent, probes } = await measured(`bare-${kind}`, ports)
      bareOf.set(kind, percent - idle.percent)
      rows.push({
        what: `${PROBES} bare ${kind} connections every ${INTERVAL_MS / 1000} s: CPU, less that`,
        unit: '%',
        aim: '',
        figures: percent - idle.percent,
      })
      notes.push(`bare ${kind}: ${Math.round(probes / (MEASURE_MS / 1000))} connections a second`)
    }
    for (const [kind, aim] of [
      ['http', '<= 5'],
      ['tcp', '<= 5'],
      ['command', ''],
      ['command-direct', ''],
    ] as const) {
      const { percent, probes, failures, delayMaxMs } = await measured(kind, ports)
      const count = kind.startsWith('command') ? COMMANDS : PROBES
      const what = `${count} ${kind} probes every ${INTERVAL_MS / 1000} s`
      rows.push({
        what: `${what}: CPU of one core, less that`,
        unit: '%',
        aim,
        figures: percent - idle.percent,
      })
      const base = bareOf.get(kind)
      if (base !== undefined)
        rows.push({
          what: `${what}: ratio to bare`,
          unit: '',
          aim: '',
          figures: (percent - idle.percent) / base,
        })
      rows.push({ what: `${what}: longest delay of the loop`, unit: 'ms', aim: '', figures: delayMaxMs })
      notes.push(`${kind}: ${Math.round(probes / (MEASURE_MS / 1000))} probes a second, ${failures} failed`)
    }
    print('probes', rows, notes)
  } finally {
    server.kill()
  }
}

const [role] = process.argv.slice(2)
if (process.send === undefined) await main()
else {
  process.once('message', (ports) => {
    void measure(role as Kind, ports as readonly number[]).then((result) => {
      process.send?.(result, () => process.exit(0))
    })
  })
}

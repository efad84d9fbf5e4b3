// One probe: asks once and says what was wrong, or nothing. Connections go to loopback and are closed at once; nothing is
// kept between probes, since a probe through a kept connection tells nothing about the next client's (Kubernetes and
// Consul turn keep-alive off for the same reason). Commands are run by the forker.

import { connect } from 'node:net'
import { unreachable } from '../../lib/assert.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Clock } from '../../lib/time.ts'
import { resolveCommand } from './drivers/process/command.ts'
import { Cut } from './cut.ts'
import type { Forker } from './forker.ts'
import type { ProbedPort, ProbeSpec } from './probe-spec.ts'

/** Where a command probe runs: like the instance itself. */
export interface ProbePlace {
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  /** The peer's name, for messages. */
  readonly peer: string
}

/** One line that says what failed; null: healthy. */
export type ProbeOutcome = string | null

/** Asks once. Never throws; resolves within the timeout, or as soon as it is cut. */
export type Probe = (spec: ProbeSpec, place: ProbePlace, cut: Cut) => Promise<ProbeOutcome>

const HOST = '127.0.0.1'
// A status line is some twenty bytes; an answer that has none by then is no HTTP.
const STATUS_LINE_BYTES_MAX = 4096

// An answer is read to its end, so that the server can finish; one that has no end is cut off.
const ANSWER_BYTES_MAX = 256 * 1024
const LINGER_MS = 1000
// One for all: what it holds is looked at before anything else is read into it. Without it each answer would take a fresh
// 64 kB from the heap.
const RECEIVED = Buffer.allocUnsafe(16 * 1024)

/** Called once with the verdict, unless the probe was broken off before. */
type Done = (outcome: ProbeOutcome) => void

/** Breaks a probe off; its verdict is that the time was up. After the verdict it does nothing. */
type BreakOff = () => void

interface Ask {
  readonly port: number
  /** Sent once connected; null: being accepted is enough. */
  readonly request: string | null
  /** The verdict on what has come so far; undefined: not enough yet. */
  readonly judge: (received: string) => ProbeOutcome | undefined
}

// Callbacks throughout, and each thing done once: with promises of promises around it a probe cost half as much again as
// the connection itself.
const askPort = (ask: Ask, done: Done): BreakOff => {
  const { port, request, judge } = ask
  let received = ''
  let bytes = 0
  let isSettled = false
  const settle = (outcome: ProbeOutcome): void => {
    if (isSettled) return
    isSettled = true
    // Ended politely: a reset in the middle of an answer is an error line in many a server's log.
    socket.end()
    socket.setTimeout(LINGER_MS, destroy)
    done(outcome)
  }
  const destroy = (): void => {
    socket.destroy()
  }
  const receive = (count: number): boolean => {
    bytes += count
    if (bytes > ANSWER_BYTES_MAX) socket.destroy()
    if (isSettled) return true
    received += RECEIVED.toString('latin1', 0, Math.min(count, STATUS_LINE_BYTES_MAX))
    const outcome = judge(received)
    if (outcome !== undefined) settle(outcome)
    return true
  }
  const socket = connect({ host: HOST, port, onread: { buffer: RECEIVED, callback: receive } })
  socket.on('connect', () => {
    if (request === null) settle(null)
    else socket.write(request, 'latin1')
  })
  socket.on('end', () => {
    if (!isSettled)
      settle(received === '' ? 'closed without an answer' : (judge(`${received}\n`) ?? 'no answer'))
  })
  socket.on('error', (error) => {
    settle('code' in error ? `connect ${String(error.code)}` : error.message)
  })
  return () => {
    if (isSettled) return
    isSettled = true
    socket.destroy()
    done('timed out')
  }
}

const ACCEPTED: Pick<Ask, 'request' | 'judge'> = { request: null, judge: () => undefined }

/** All of them at once; the first that fails is told, by its name where there are several. */
const askPorts = (ports: readonly ProbedPort[], done: Done): BreakOff => {
  const [only] = ports
  if (only !== undefined && ports.length === 1) return askPort({ port: only.number, ...ACCEPTED }, done)
  if (only === undefined) queueMicrotask(() => done(null))
  const outcomes: ProbeOutcome[] = ports.map(() => null)
  let open = ports.length
  const ends = ports.map(({ name, number }, at) =>
    askPort({ port: number, ...ACCEPTED }, (outcome) => {
      outcomes[at] = outcome === null ? null : `port ${name}: ${outcome}`
      open -= 1
      if (open === 0) done(outcomes.find((one) => one !== null) ?? null)
    }),
  )
  return () => {
    for (const end of ends) end()
  }
}

const judgeHttp = (received: string): ProbeOutcome | undefined => {
  if (!received.includes('\n')) return received.length > STATUS_LINE_BYTES_MAX ? 'not HTTP' : undefined
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(received)?.[1] ?? Number.NaN)
  if (Number.isNaN(status)) return 'not HTTP'
  return status >= 200 && status <= 399 ? null : String(status)
}

const askHttp = (port: number, path: string, done: Done): BreakOff =>
  askPort(
    {
      port,
      request: `GET ${path} HTTP/1.1\r\nHost: ${HOST}:${port}\r\nUser-Agent: tutti-probe\r\nConnection: close\r\n\r\n`,
      judge: judgeHttp,
    },
    (outcome) => done(outcome === null ? null : `GET ${path}: ${outcome}`),
  )

const runCommand = async (
  forker: Forker,
  command: readonly string[],
  place: ProbePlace,
  cut: Cut,
): Promise<ProbeOutcome> => {
  const [word = '', ...words] = command
  const { environment, directory, peer } = place
  try {
    const program = resolveCommand(word, { directory, path: environment['PATH'] ?? '', peer })
    const end = await forker.run({ program, words, directory, environment }, cut)
    if (end === 'cut') return `${word}: timed out`
    return end === 0 ? null : `${word}: exit status ${end}`
  } catch (error) {
    const message = messageOf(error)
    return message.includes(word) ? message : `${word}: ${message}`
  }
}

const ask = (forker: Forker, spec: ProbeSpec, place: ProbePlace, done: Done): BreakOff => {
  switch (spec.kind) {
    case 'http':
      return askHttp(spec.port, spec.path, done)
    case 'tcp':
      return askPorts(spec.ports, done)
    case 'command': {
      const cut = new Cut()
      const run = async (): Promise<void> => {
        done(await runCommand(forker, spec.command, place, cut))
      }
      void run()
      return () => cut.now()
    }
    default:
      return unreachable(spec)
  }
}

/** Probes by real connections and processes, each cut off at its timeout by the clock. */
export const realProbe =
  (clock: Clock, forker: Forker): Probe =>
  (spec, place, cut) =>
    new Promise((resolve) => {
      const breakOff = ask(forker, spec, place, (outcome) => {
        cancel()
        forget()
        resolve(outcome)
      })
      const cancel = clock.after(spec.timeoutMs, breakOff)
      const forget = cut.whenMade(breakOff)
    })

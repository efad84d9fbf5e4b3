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

interface Ask {
  readonly port: number
  /** Sent once connected; null: being accepted is enough. */
  readonly request: string | null
  /** The verdict on what has come so far; undefined: not enough yet. */
  readonly judge: (received: string) => ProbeOutcome | undefined
}

const askPort = async (ask: Ask, cut: Cut): Promise<ProbeOutcome> =>
  await new Promise((resolve) => {
    const receive = (count: number): boolean => {
      bytes += count
      if (bytes > ANSWER_BYTES_MAX) socket.destroy()
      if (received.length > STATUS_LINE_BYTES_MAX) return true
      received += RECEIVED.toString('latin1', 0, Math.min(count, STATUS_LINE_BYTES_MAX))
      const outcome = ask.judge(received)
      if (outcome !== undefined) settle(outcome)
      return true
    }
    const socket = connect({ host: HOST, port: ask.port, onread: { buffer: RECEIVED, callback: receive } })
    let received = ''
    let bytes = 0
    const settle = (outcome: ProbeOutcome): void => {
      forget()
      // Ended politely: a reset in the middle of an answer is an error line in many a server's log.
      socket.end()
      socket.setTimeout(LINGER_MS, () => {
        socket.destroy()
      })
      resolve(outcome)
    }
    const forget = cut.whenMade(() => {
      socket.destroy()
      resolve('timed out')
    })
    socket.on('connect', () => {
      if (ask.request === null) settle(null)
      else socket.write(ask.request)
    })
    socket.on('end', () => {
      settle(received === '' ? 'closed without an answer' : (ask.judge(`${received}\n`) ?? 'no answer'))
    })
    socket.on('error', (error) => {
      settle('code' in error ? `connect ${String(error.code)}` : error.message)
    })
  })

/** All of them at once; the first that fails is told, by its name where there are several. */
const askPorts = async (ports: readonly ProbedPort[], cut: Cut): Promise<ProbeOutcome> => {
  const outcomes = await Promise.all(
    ports.map(async ({ name, number }) => {
      const outcome = await askPort({ port: number, request: null, judge: () => undefined }, cut)
      return outcome !== null && ports.length > 1 ? `port ${name}: ${outcome}` : outcome
    }),
  )
  return outcomes.find((outcome) => outcome !== null) ?? null
}

const askHttp = async (port: number, path: string, cut: Cut): Promise<ProbeOutcome> => {
  const outcome = await askPort(
    {
      port,
      request: `GET ${path} HTTP/1.1\r\nHost: ${HOST}:${port}\r\nUser-Agent: tutti-probe\r\nConnection: close\r\n\r\n`,
      judge: (received) => {
        if (!received.includes('\n')) return received.length > STATUS_LINE_BYTES_MAX ? 'not HTTP' : undefined
        const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(received)?.[1] ?? Number.NaN)
        if (Number.isNaN(status)) return 'not HTTP'
        return status >= 200 && status <= 399 ? null : String(status)
      },
    },
    cut,
  )
  return outcome === null ? null : `GET ${path}: ${outcome}`
}

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

const ask = async (forker: Forker, spec: ProbeSpec, place: ProbePlace, cut: Cut): Promise<ProbeOutcome> => {
  switch (spec.kind) {
    case 'http':
      return await askHttp(spec.port, spec.path, cut)
    case 'tcp':
      return await askPorts(spec.ports, cut)
    case 'command':
      return await runCommand(forker, spec.command, place, cut)
    default:
      return unreachable(spec)
  }
}

/** Probes by real connections and processes, each cut off at its timeout by the clock. */
export const realProbe =
  (clock: Clock, forker: Forker): Probe =>
  async (spec, place, cut) => {
    const deadline = new Cut()
    const cancel = clock.after(spec.timeoutMs, () => {
      deadline.now()
    })
    const forget = cut.whenMade(() => {
      deadline.now()
    })
    try {
      return await ask(forker, spec, place, deadline)
    } finally {
      cancel()
      forget()
    }
  }

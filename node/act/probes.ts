// One probe: asks once and says what was wrong, or nothing. Connections go to loopback and are closed at once; nothing is
// kept between probes, since a probe through a kept connection tells nothing about the next client's.

import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { unreachable } from '../../lib/assert.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Clock } from '../../lib/time.ts'
import { resolveCommand } from './drivers/process/command.ts'
import type { ProbeSpec } from './probe-spec.ts'

/** Where a command probe runs: like the instance itself. */
export interface ProbePlace {
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  /** The peer's name, for messages. */
  readonly peer: string
}

/** One line that says what failed; null: healthy. */
export type ProbeOutcome = string | null

/** Asks once. Never throws; resolves within the timeout, or as soon as the signal is aborted. */
export type Probe = (spec: ProbeSpec, place: ProbePlace, signal: AbortSignal) => Promise<ProbeOutcome>

const HOST = '127.0.0.1'
// A status line is some twenty bytes; an answer that has none by then is no HTTP.
const STATUS_LINE_BYTES_MAX = 4096

// An answer is read to its end, so that the server can finish; one that has no end is cut off.
const ANSWER_BYTES_MAX = 256 * 1024
const LINGER_MS = 1000

interface Ask {
  readonly port: number
  /** Sent once connected; null: being accepted is enough. */
  readonly request: string | null
  /** The verdict on what has come so far; undefined: not enough yet. */
  readonly judge: (received: string) => ProbeOutcome | undefined
}

const askPort = async (ask: Ask, signal: AbortSignal): Promise<ProbeOutcome> =>
  await new Promise((resolve) => {
    const socket = connect({ host: HOST, port: ask.port })
    let received = ''
    let bytes = 0
    const settle = (outcome: ProbeOutcome): void => {
      signal.removeEventListener('abort', cut)
      // Ended politely: a reset in the middle of an answer is an error line in many a server's log.
      socket.end()
      socket.setTimeout(LINGER_MS, () => {
        socket.destroy()
      })
      resolve(outcome)
    }
    const cut = (): void => {
      socket.destroy()
      resolve('timed out')
    }
    socket.on('connect', () => {
      if (ask.request === null) settle(null)
      else socket.write(ask.request)
    })
    socket.on('data', (chunk) => {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) socket.destroy()
      if (received.length > STATUS_LINE_BYTES_MAX) return
      received += chunk.toString('latin1')
      const outcome = ask.judge(received)
      if (outcome !== undefined) settle(outcome)
    })
    socket.on('end', () => {
      settle(received === '' ? 'closed without an answer' : (ask.judge(`${received}\n`) ?? 'no answer'))
    })
    socket.on('error', (error) => {
      settle('code' in error ? `connect ${String(error.code)}` : error.message)
    })
    if (signal.aborted) cut()
    else signal.addEventListener('abort', cut, { once: true })
  })

const askHttp = async (port: number, path: string, signal: AbortSignal): Promise<ProbeOutcome> => {
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
    signal,
  )
  return outcome === null ? null : `GET ${path}: ${outcome}`
}

const runCommand = async (
  command: readonly string[],
  place: ProbePlace,
  signal: AbortSignal,
): Promise<ProbeOutcome> => {
  const [word = '', ...words] = command
  const { environment, directory, peer } = place
  let program: string
  try {
    program = resolveCommand(word, { directory, path: environment['PATH'] ?? '', peer })
  } catch (error) {
    return messageOf(error)
  }
  return await new Promise((resolve) => {
    // A group of its own, so that a probe that is late can be ended with all that it started. It carries the instance's
    // nonce: what this peer fails to end is ended with the instance.
    const child = spawn(program, words, { detached: true, stdio: 'ignore', cwd: directory, env: environment })
    const cut = (): void => {
      try {
        // The child is not reaped before its exit event, so its pid is still its own.
        if (child.pid !== undefined && child.pid > 1 && child.exitCode === null)
          process.kill(-child.pid, 'SIGKILL')
      } catch {
        // Gone in this very moment.
      }
      resolve(`${word}: timed out`)
    }
    child.once('error', (error) => {
      signal.removeEventListener('abort', cut)
      resolve(`${word}: ${error.message}`)
    })
    child.once('exit', (code, by) => {
      signal.removeEventListener('abort', cut)
      resolve(code === 0 ? null : `${word}: ${by === null ? `exit status ${code ?? '?'}` : `ended by ${by}`}`)
    })
    if (signal.aborted) cut()
    else signal.addEventListener('abort', cut, { once: true })
  })
}

const ask = async (spec: ProbeSpec, place: ProbePlace, signal: AbortSignal): Promise<ProbeOutcome> => {
  switch (spec.kind) {
    case 'http':
      return await askHttp(spec.port, spec.path, signal)
    case 'tcp':
      return await askPort({ port: spec.port, request: null, judge: () => undefined }, signal)
    case 'command':
      return await runCommand(spec.command, place, signal)
    default:
      return unreachable(spec)
  }
}

/** Probes by real connections and processes, each cut off at its timeout by the clock. */
export const realProbe =
  (clock: Clock): Probe =>
  async (spec, place, signal) => {
    const deadline = new AbortController()
    const cut = (): void => {
      deadline.abort()
    }
    const cancel = clock.after(spec.timeoutMs, cut)
    signal.addEventListener('abort', cut)
    if (signal.aborted) cut()
    try {
      return await ask(spec, place, deadline.signal)
    } finally {
      cancel()
      signal.removeEventListener('abort', cut)
    }
  }

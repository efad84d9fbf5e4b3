// Starts a peer as a process of its own, through the same launcher that started this command, and waits until it answers.
// `join` leaves it running behind; `demo` keeps and ends it.

import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { PeersReply } from '../node/serve/api/contract.ts'
import { Client } from './client.ts'
import { socketOf } from './default-data.ts'
import { EXIT, Failure } from './exit.ts'

/** The project's own folder: the same from source (`cli/`) and from the bundle (`dist/`). */
export const PROJECT = resolve(import.meta.dirname, '..')

/** The launcher; it finds the right Node.js. */
export const LAUNCHER = join(PROJECT, 'bin/tutti')

// A peer loads in half a second; its socket is asked often, since people wait for it.
const POLL_MS = 50
// A cold disk and four loaded cores still start a peer in this time.
export const START_TIMEOUT_MS = 30_000

export interface Launched {
  readonly child: ChildProcess
  readonly client: Client
  readonly socket: string
  readonly logFile: string
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>
}

export interface LaunchOptions {
  readonly data: string
  /** After `up --data DIR`. */
  readonly options: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** It outlives this command and its terminal. */
  readonly detached: boolean
  /** @default LAUNCHER */
  readonly launcher?: string | undefined
}

/** Starts `tutti up` with its output in `DATA/tutti.log`. */
export const launchPeer = (options: LaunchOptions): Launched => {
  mkdirSync(options.data, { recursive: true, mode: 0o700 })
  const logFile = join(options.data, 'tutti.log')
  const log = openSync(logFile, 'a', 0o600)
  const child = spawn(options.launcher ?? LAUNCHER, ['up', '--data', options.data, ...options.options], {
    cwd: dirname(options.data),
    env: { ...options.environment },
    detached: options.detached,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const socket = socketOf(options.data)
  return { child, client: new Client({ kind: 'socket', path: socket }, null), socket, logFile, gone }
}

/**
 * Waits until the peer answers and, by its own word, is in sync with `others` other living peers.
 * @throws Failure when it ends first, or takes too long; with the last line of its log.
 */
export const untilInSync = async (
  peer: Launched,
  others: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<PeersReply> => {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const reply = await peer.client.get<PeersReply>('/v1/peers').catch(() => null)
    if (reply !== null) {
      const living = reply.peers.filter(
        ({ self, state, digest }) => !self && state === 'alive' && digest === reply.asOf.digest,
      )
      if (living.length >= others) return reply
    }
    if (signal.aborted) throw new Failure(EXIT.interrupted, 'interrupted before the peer was ready')
    if (peer.child.exitCode !== null || peer.child.signalCode !== null || peer.child.pid === undefined) {
      throw new Failure(EXIT.failed, `the peer did not start: ${lastLine(peer.logFile)}`)
    }
    if (performance.now() > deadlineMs) {
      throw new Failure(
        EXIT.timeout,
        `the peer is not in sync yet; see ${peer.logFile}, or wait longer with --timeout`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

const lastLine = (file: string): string => {
  try {
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    return (lines.at(-1) ?? '').replace(/^tutti: /, '') || `see ${file}`
  } catch {
    return `see ${file}`
  }
}

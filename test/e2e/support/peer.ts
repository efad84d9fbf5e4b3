// One real peer: a `bin/tutti up` process with a data directory of its own, spoken to through its Unix socket and through
// the command line, as a user would. Everything it starts it ends, by pid.

import { spawn, type ChildProcess } from 'node:child_process'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import type {
  ChangeReply,
  InstancesReply,
  InviteReply,
  Operation,
  PeersReply,
  StatusReply,
} from '../../../node/serve/api/contract.ts'
import { Hopeless, until } from './wait.ts'

export const TUTTI = resolve(import.meta.dirname, '../../../bin/tutti')
/** A process that starts, on a machine that runs other tests too. */
const START_TIMEOUT_MS = 45_000
const ASK_TIMEOUT_MS = 10_000

export interface PeerOptions {
  readonly name: string
  /** Network namespace to run in. */
  readonly netns?: string
  /** Programs, by their files, that this peer is not to find. */
  readonly missing?: readonly string[]
  readonly listen?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Another data directory than the fleet gives. */
  readonly data?: string
}

export interface Output {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface TuttiOptions {
  readonly input?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs the command line to its end. */
export const tutti = (args: readonly string[], options: TuttiOptions = {}): Promise<Output> =>
  new Promise((done, failed) => {
    const { TUTTI_PEER: _, TUTTI_TICKET: __, ...environment } = process.env
    const child = spawn(TUTTI, args, {
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environment, ...options.env },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
    child.on('error', failed)
    child.on('close', (code) => done({ code, stdout, stderr }))
    child.stdin.end(options.input ?? '')
  })

/** Words of a shell that hides files in its own mount namespace, and becomes what its arguments are. */
const hiding = (files: readonly string[]): string =>
  [...files.map((file) => `mount --bind /dev/null '${file}'`), 'exec "$0" "$@"'].join(' && ')

/** The peer's process ended instead of getting ready. */
export class StoppedError extends Hopeless {
  readonly code: number
  readonly output: string

  constructor(name: string, code: number, output: string) {
    super(`${name} ended with ${code}: ${output}`)
    this.code = code
    this.output = output
  }
}

export class Peer {
  readonly name: string
  readonly data: string
  readonly #options: PeerOptions
  #child: ChildProcess | null = null
  #output = ''

  constructor(options: PeerOptions, data: string) {
    this.#options = options
    this.name = options.name
    this.data = data
  }

  get socket(): string {
    return join(this.data, 'tutti.sock')
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} does not run`)
    return pid
  }

  /** What the process printed since its last start, both streams. */
  get output(): string {
    return this.#output
  }

  /** Starts the process, of this build or another; resolves when its API says ready. @throws StoppedError when it ends before. */
  async up(extra: readonly string[] = [], program = TUTTI): Promise<void> {
    const { netns, missing = [], listen, args = [], env = {} } = this.#options
    const own = ['up', '--data', this.data, '--name', this.name]
    const argv = [...own, '--listen', listen ?? '/ip4/127.0.0.1/tcp/0', ...args, ...extra]
    // nsenter, unshare and the launcher all exec, so the child's pid is the peer's.
    const [command, all] =
      netns !== undefined
        ? ['nsenter', [`--net=/run/netns/${netns}`, program, ...argv]]
        : missing.length > 0
          ? [
              'unshare',
              ['--mount', '--propagation', 'private', 'sh', '-c', hiding(missing), program, ...argv],
            ]
          : [program, argv]
    const { TUTTI_PEER: _, TUTTI_TICKET: __, ...environment } = process.env
    const child = spawn(command, all, {
      // At the head of a session, as a service manager and `tutti join` start it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment, ...env },
    })
    this.#child = child
    this.#output = ''
    child.stdout.on('data', (data: Buffer) => (this.#output += data.toString()))
    child.stderr.on('data', (data: Buffer) => (this.#output += data.toString()))
    const closed = new Promise<void>((done) => child.once('close', () => done()))
    await until(
      `${this.name} ready`,
      async () => {
        if (child.exitCode !== null || child.signalCode !== null) {
          await closed
          throw new StoppedError(this.name, child.exitCode ?? -1, this.#output)
        }
        await this.get('/readyz')
        return true
      },
      START_TIMEOUT_MS,
    ).catch((thrown: unknown) => {
      if (thrown instanceof Hopeless) throw thrown
      throw new Error(`${String(thrown)}\n${this.#output}`)
    })
  }

  /** Starts a process that must not become a peer. @returns how it ended. */
  async refused(extra: readonly string[] = []): Promise<StoppedError> {
    try {
      await this.up(extra)
    } catch (thrown) {
      if (thrown instanceof StoppedError) return thrown
      throw thrown
    }
    throw new Error(`${this.name} became a peer:\n${this.#output}`)
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal)
  }

  /** Signals the process and waits for its end; its instances are not touched. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise<void>((done) => child.once('exit', () => done()))
    child.kill(signal)
    // A stopped process takes SIGKILL but no other signal until it continues.
    if (signal !== 'SIGKILL') child.kill('SIGCONT')
    await gone
    this.#child = null
  }

  async get<T = unknown>(path: string): Promise<T> {
    return await this.#ask<T>('GET', path)
  }

  async post<T = unknown>(path: string, body: unknown): Promise<T> {
    return await this.#ask<T>('POST', path, body)
  }

  peers(): Promise<PeersReply> {
    return this.get('/v1/peers')
  }

  status(): Promise<StatusReply> {
    return this.get('/v1/status')
  }

  instances(): Promise<InstancesReply> {
    return this.get('/v1/instances')
  }

  /** What this peer holds of the intent, in one word. */
  async digest(): Promise<string> {
    return (await this.status()).digest
  }

  /** How this peer sees another. */
  async sees(name: string): Promise<PeersReply['peers'][number]> {
    const found = (await this.peers()).peers.find((peer) => peer.name === name)
    if (found === undefined) throw new Error(`${this.name} knows no ${name}`)
    return found
  }

  change(...operations: readonly Operation[]): Promise<ChangeReply> {
    return this.post('/v1/changes', { operations })
  }

  async invite(uses = 1, expiresMs = 600_000): Promise<InviteReply> {
    return await this.post('/v1/invites', { uses, expiresMs })
  }

  cli(...args: readonly string[]): Promise<Output> {
    const [command = '', ...rest] = args
    // At once after the command: what is behind `--` is not tutti's.
    return tutti([command, '--peer', this.socket, ...rest])
  }

  #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    return new Promise((done, failed) => {
      const sent = body === undefined ? undefined : JSON.stringify(body)
      const call = request(
        {
          socketPath: this.socket,
          method,
          path,
          agent: false,
          timeout: ASK_TIMEOUT_MS,
          headers:
            sent === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) },
        },
        (reply) => {
          let text = ''
          reply.setEncoding('utf8')
          reply.on('data', (part: string) => (text += part))
          reply.on('end', () => {
            const ok = (reply.statusCode ?? 500) < 300
            if (!ok) failed(new Error(`${method} ${path}: ${reply.statusCode} ${text}`))
            else done((/^[[{]/.test(text) ? JSON.parse(text) : text) as T)
          })
          reply.on('error', failed)
        },
      )
      call.on('timeout', () => call.destroy(new Error(`no answer in ${ASK_TIMEOUT_MS} ms`)))
      call.on('error', failed)
      call.end(sent)
    })
  }
}

// A fleet of real peers for end-to-end tests and benches: each is a `bin/tutti up` process with a data directory of its
// own, on loopback or in a network namespace. Everything it starts it ends, by pid; every wait is on a condition.

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type {
  ChangeReply,
  InstancesReply,
  InviteReply,
  Operation,
  PeersReply,
  StatusReply,
} from '../../../node/serve/api/contract.ts'
import { SERVICE_DEFAULTS, type ServiceSpec } from '../../../crdt/schema/service.ts'

const TUTTI = resolve(import.meta.dirname, '../../../bin/tutti')
/** How often conditions are looked at; they are cheap reads of a Unix socket. */
const POLL_MS = 25

export const sleepUntilNextLook = (): Promise<void> => new Promise((done) => setTimeout(done, POLL_MS))

/** Waits until `look` gives a value. @throws with what was last seen when the deadline passes. */
export const until = async <T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs = 30_000,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await look()
      if (value !== null && value !== undefined && value !== false) return value
      last = value
    } catch (thrown) {
      last = thrown
    }
    if (performance.now() > deadline) {
      throw new Error(
        `not in ${timeoutMs} ms: ${what} (last: ${last instanceof Error ? last.message : String(last)})`,
      )
    }
    await sleepUntilNextLook()
  }
}

export interface PeerOptions {
  readonly name: string
  /** Network namespace to run in. */
  readonly netns?: string
  readonly listen?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Output {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line to its end. */
export const tutti = (
  args: readonly string[],
  options: { readonly input?: string; readonly cwd?: string } = {},
): Promise<Output> =>
  new Promise((done, failed) => {
    const child = spawn(TUTTI, args, { cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
    child.on('error', failed)
    child.on('close', (code) => done({ code, stdout, stderr }))
    child.stdin.end(options.input ?? '')
  })

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

  /** What the process printed, both streams. */
  get output(): string {
    return this.#output
  }

  /** Starts the process; resolves when its API says ready, throws with its output when it ends before. */
  async up(extra: readonly string[] = []): Promise<void> {
    const { netns, listen, args = [], env = {} } = this.#options
    const own = [
      'up',
      '--data',
      this.data,
      '--name',
      this.name,
      '--listen',
      listen ?? '/ip4/127.0.0.1/tcp/0',
      ...args,
      ...extra,
    ]
    const [command, argv] =
      netns === undefined ? [TUTTI, own] : ['nsenter', [`--net=/run/netns/${netns}`, TUTTI, ...own]]
    const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#child = child
    this.#output = ''
    child.stdout.on('data', (data: Buffer) => (this.#output += data.toString()))
    child.stderr.on('data', (data: Buffer) => (this.#output += data.toString()))
    await until(`${this.name} ready`, async () => {
      if (child.exitCode !== null) throw new StoppedError(this.name, child.exitCode, this.#output)
      return (await this.get('/readyz')) !== null
    }).catch((thrown: unknown) => {
      throw new Error(`${String(thrown)}\n${this.#output}`)
    })
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

  change(...operations: readonly Operation[]): Promise<ChangeReply> {
    return this.post('/v1/changes', { operations })
  }

  async invite(uses = 1): Promise<InviteReply> {
    return await this.post('/v1/invites', { uses })
  }

  cli(...args: readonly string[]): Promise<Output> {
    return tutti(['--peer', this.socket, ...args])
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
          timeout: 10_000,
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
      call.on('timeout', () => call.destroy(new Error('no answer in 10 s')))
      call.on('error', failed)
      call.end(sent)
    })
  }
}

export class StoppedError extends Error {
  constructor(name: string, code: number, output: string) {
    super(`${name} ended with ${code}: ${output}`)
  }
}

export class Fleet {
  readonly peers: Peer[] = []
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  static async create(): Promise<Fleet> {
    return new Fleet(await mkdtemp(join(tmpdir(), 'tutti-e2e-')))
  }

  /** A peer that does not run yet. */
  peer(options: PeerOptions): Peer {
    const peer = new Peer(options, join(this.directory, options.name))
    this.peers.push(peer)
    return peer
  }

  /** `count` running peers in one cluster, joined by ticket, all alive to each other. */
  async grow(
    count: number,
    make: (at: number) => PeerOptions = (at) => ({ name: `p${at}` }),
  ): Promise<readonly Peer[]> {
    const first = this.peer(make(this.peers.length))
    await first.up()
    const { ticket } = await first.invite(Math.max(1, count - 1))
    const rest = Array.from({ length: count - 1 }, (_, at) => this.peer(make(at + 1)))
    await Promise.all(rest.map((peer) => peer.up(['--join', ticket])))
    const all = [first, ...rest]
    await this.agree(all)
    return all
  }

  /** Waits until each of the peers sees each of them alive, with one digest and nothing left to do. */
  async agree(peers: readonly Peer[], timeoutMs = 30_000): Promise<void> {
    await until(
      `${peers.map(({ name }) => name).join(', ')} agree`,
      async () => {
        const names = new Set(peers.map(({ name }) => name))
        const seen = await Promise.all(peers.map((peer) => peer.peers()))
        const digest = seen[0]?.asOf.digest
        return seen.every(
          ({ asOf, peers: list }) =>
            asOf.digest === digest &&
            list.filter(({ name }) => names.has(name)).length === names.size &&
            list.every(
              (one) =>
                !names.has(one.name) || (one.state === 'alive' && one.digest === digest && one.settled),
            ),
        )
      },
      timeoutMs,
    )
  }

  /** Ends every peer and every instance that their records name, and removes the directory. */
  async close(): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.end('SIGKILL')))
    for (const pid of await strays(this.directory)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // Gone between the look and the signal.
      }
    }
    await rm(this.directory, { recursive: true, force: true })
  }
}

/**
 * Processes whose environment, arguments, working directory or output lie below `directory`: what our peers started and
 * nobody else did.
 */
export const strays = async (directory: string): Promise<readonly number[]> => {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const text = await Promise.all([
      ...['environ', 'cmdline'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
      ...['cwd', 'fd/1'].map((link) => readlink(`/proc/${name}/${link}`).catch(() => '')),
    ])
    if (text.some((part) => part.includes(directory))) found.push(Number(name))
  }
  return found
}

/** A service of the cell `e2e` with the given command. */
export const service = (
  name: string,
  command: readonly string[],
  over: Partial<ServiceSpec> = {},
): ServiceSpec => ({
  ...SERVICE_DEFAULTS,
  environment: {},
  ports: {},
  dependsOn: {},
  uses: [],
  constraints: [],
  name,
  command: [...command],
  replicas: 1,
  ...over,
})

export const applyOf = (...services: readonly ServiceSpec[]): Operation => ({
  kind: 'apply',
  cell: { name: 'e2e', services: [...services] },
})

/** Waits until the service has this many ready instances on living peers, as `peer` sees it; returns them. */
export const ready = (
  peer: Peer,
  name: string,
  count: number,
  timeoutMs = 30_000,
): Promise<InstancesReply['instances']> =>
  until(
    `${name} has ${count} ready`,
    async () => {
      const { instances } = await peer.instances()
      const found = instances.filter((one) => one.service === name && one.state === 'ready')
      return found.length === count && found
    },
    timeoutMs,
  )

// The composition root: builds a peer's shells, introduces them to the agent, starts and stops them in order. It decides
// which cluster the peer is of and nothing else. `tutti up` and the demo load it; nothing else does.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { defined } from '../lib/assert.ts'
import { textOf, utf8 } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import type { Log, LogLevel } from '../lib/log.ts'
import { checkTicketExpiry } from '../net/ticket.ts'
import { openDataDirectory, type DataDirectory } from './act/disk/data-directory.ts'
import {
  loadIdentity,
  readCluster,
  writeCluster,
  type ClusterOrigin,
  type Identity,
} from './act/disk/identity.ts'
import { makeDescriptorRoom } from './act/descriptor-room.ts'
import { connectFailure, examineMachine, machineMark } from './act/examine/machine.ts'
import { takePrecedence } from './act/precedence.ts'
import { AgentHandle } from './agent-handle.ts'
import { systemClock } from './clock.ts'
import { enrol, found, nameFor, ticketOf, type JoinOptions } from './enrolment.ts'
import type { Packages } from './package/store.ts'
import { startRuntime, type Runtime } from './runtime.ts'
import { createApi, type Api } from './serve/api/server.ts'
import type { JoinReply, JoinRequest } from './serve/api/contract.ts'
import type { Examiner } from './serve/doctor/doctor.ts'
import { createLog } from './serve/logging.ts'
import { createMetrics } from './serve/metrics.ts'

export interface PeerOptions {
  /** Absolute; created when it is missing. */
  readonly data: string
  /** Null: the name it had, else one like the host's. */
  readonly name: string | null
  /** Multiaddrs; empty: every address, at the default port. */
  readonly listen: readonly string[]
  /** `HOST:PORT` of the API over TCP; null: the Unix socket only. */
  readonly api: string | null
  /** Null: the labels it had. */
  readonly labels: Readonly<Record<string, string>> | null
  /** What packages may take on the disk; null: a default by the size of the disk. */
  readonly packageBudgetBytes: number | null
  /** Null: found a cluster where there is none yet. */
  readonly join: JoinOptions | null
  readonly logLevel: LogLevel
  /** The words that start the command line, for builds; null: this peer builds nothing. */
  readonly program: readonly string[] | null
}

/** A peer that runs: what its first line says, and how it ends. */
export interface RunningPeer {
  readonly name: string
  readonly id: string
  readonly cluster: string
  /** The API's Unix socket. */
  readonly socket: string
  /** `http://HOST:PORT` of the API over TCP; null: none. */
  readonly api: string | null
  /** The bearer token of the API over TCP is in this file; null: none. */
  readonly tokenFile: string | null
  readonly addresses: readonly string[]
  /** Whether this start created the cluster. */
  readonly founded: boolean
  /** Settles when the peer ends by itself: rejects with the reason. */
  readonly ended: Promise<void>
  /** Ends the peer in order; its instances run on. */
  stop(): Promise<void>
}

/** Beside the API's 7700; both unassigned by IANA and below the ephemeral range. */
const LISTEN_DEFAULT = '/ip4/0.0.0.0/tcp/7701'
const LABELS_FILE = 'labels.json'
const TOKEN_FILE = 'api.token'
const TOKEN_BYTES = 24
/**
 * What a start leaves behind, and meeting a fleet that starts with it, is a tenth of a peer's memory, and V8 keeps it until
 * it runs short, which an idle peer never does. By then all have met. Dropping it holds the event loop up for some 40 ms, once.
 */
const START_GARBAGE_MS = 30_000

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
  readonly version: string
}

/**
 * Runs this machine's peer. Resolves when it serves its API and holds what its cluster holds.
 * @throws TuttiError `busy` (another peer on the same data), `refused`, `unreachable`, `invalid`, `storage`.
 */
export const runPeer = async (options: PeerOptions): Promise<RunningPeer> => {
  const log = await createLog({ level: options.logLevel })
  takePrecedence(log)
  void makeDescriptorRoom()
  const data = await openDataDirectory(options.data)
  try {
    return await new Peer(options, data, log).start()
  } catch (thrown) {
    await data.close()
    throw thrown
  }
}

class Peer {
  readonly #options: PeerOptions
  readonly #data: DataDirectory
  readonly #log: Log
  readonly #handle = new AgentHandle()
  #runtime: Runtime | null = null
  #api: Api | null = null
  #apiAddress: string | null = null
  #ready = false
  #cancelCollection: () => void = () => undefined
  readonly #ended = Promise.withResolvers<void>()

  constructor(options: PeerOptions, data: DataDirectory, log: Log) {
    this.#options = options
    this.#data = data
    this.#log = log
  }

  async start(): Promise<RunningPeer> {
    const identity = await loadIdentity(this.#data)
    const known = await readCluster(this.#data)
    const origin = await this.#origin(identity, known)
    try {
      await this.#run(identity, origin)
      const runtime = this.#current()
      const token = this.#options.api === null ? null : await this.#token()
      const metrics = createMetrics({
        agent: this.#handle,
        links: () => this.#current().links.counters(),
        packages: () => this.#packages().counters(),
        version,
      })
      this.#api = await createApi({
        agent: this.#handle,
        output: { read: (query, signal) => this.#current().output.read(query, signal) },
        exec: { run: (request, input, signal) => this.#current().exec.run(request, input, signal) },
        packages: this.#packages(),
        preview: (edits) => this.#handle.preview(edits),
        join: (request) => this.#join(identity, request),
        log: this.#log,
        token,
        version,
        metrics,
        examiner: this.#examiner(),
        ready: () => (this.#ready ? null : 'this peer is still catching up with its cluster'),
      })
      await this.#api.listenUnix(this.#data.socket)
      const api =
        this.#options.api === null ? null : await this.#api.listenTcp(hostAndPort(this.#options.api))
      this.#apiAddress = api
      await runtime.agent.caughtUp()
      this.#ready = true
      this.#cancelCollection = systemClock.after(START_GARBAGE_MS, dropGarbage)
      return {
        name: runtime.name(),
        id: identity.member,
        cluster: origin.cluster,
        socket: this.#data.socket,
        api,
        tokenFile: token === null ? null : join(this.#data.directory, TOKEN_FILE),
        addresses: runtime.agent.addresses(),
        founded: known === null && origin.kind === 'founded',
        ended: this.#ended.promise,
        stop: () => this.#stop(),
      }
    } catch (thrown) {
      await this.#api?.close()
      await this.#runtime?.stop()
      throw thrown
    }
  }

  /** The cluster that this start is about: the one it was of, the ticket's, or a new one. */
  async #origin(identity: Identity, known: ClusterOrigin | null): Promise<ClusterOrigin> {
    const { join, name } = this.#options
    if (known !== null) {
      const wanted = join === null ? known.cluster : ticketOf(join).cluster
      if (wanted === known.cluster) return known
      throw new TuttiError(
        'conflict',
        `${this.#data.directory} belongs to cluster ${known.cluster} and the ticket is for another; choose another --data`,
      )
    }
    const named = nameFor(name)
    const origin =
      join === null
        ? found(identity.signer, named, (length) => new Uint8Array(randomBytes(length)))
        : await enrol({
            ticket: ticketOf(join),
            signer: identity.signer,
            name: named,
            nameChosen: name !== null,
            wall: systemClock.wall(),
            log: this.#log,
          })
    await writeCluster(this.#data, origin)
    return origin
  }

  async #run(identity: Identity, origin: ClusterOrigin): Promise<void> {
    this.#runtime = await startRuntime({
      data: this.#data,
      identity,
      origin,
      dial: this.#options.join === null ? [] : ticketOf(this.#options.join).addresses,
      listen: this.#options.listen.length === 0 ? [LISTEN_DEFAULT] : this.#options.listen,
      labels: await this.#labels(),
      packageBudgetBytes: this.#options.packageBudgetBytes,
      version,
      program: this.#options.program,
      log: this.#log,
    })
    this.#handle.use(this.#runtime.agent)
  }

  /** Leaves the present cluster of one for the ticket's. @throws TuttiError `refused` when there is something to lose. */
  async #join(identity: Identity, request: JoinRequest): Promise<JoinReply> {
    const ticket = ticketOf({ kind: 'ticket', ticket: request.ticket })
    const { view } = this.#handle.snapshot()
    if (view.cluster === ticket.cluster) return this.#joined(identity)
    if (view.members.length > 1 || view.services.length > 0) {
      const what =
        view.members.length > 1 ? `a cluster of ${view.members.length} members` : 'a cluster with services'
      throw new TuttiError('refused', `this peer is in ${what} already; join with a fresh --data instead`)
    }
    checkTicketExpiry(ticket, systemClock.wall())
    this.#handle.leave()
    const present = view.members.find(({ id }) => id === identity.member)?.name
    let origin: ClusterOrigin
    try {
      origin = await enrol({
        ticket,
        signer: identity.signer,
        name: request.name ?? present ?? nameFor(null),
        nameChosen: request.name !== undefined,
        wall: systemClock.wall(),
        log: this.#log,
      })
    } catch (thrown) {
      this.#handle.stay()
      throw thrown
    }
    try {
      await this.#current().stop()
      // The old document goes before the new origin is written: a crash in between leaves an empty cluster of one.
      await rm(this.#data.log, { recursive: true, force: true })
      await writeCluster(this.#data, origin)
      await this.#run(identity, origin)
    } catch (thrown) {
      // Admitted there and gone here: only a fresh start can tell which is true.
      this.#ended.reject(thrown)
      throw thrown
    }
    await this.#current().agent.caughtUp()
    return this.#joined(identity)
  }

  #joined(identity: Identity): JoinReply {
    const { view } = this.#handle.snapshot()
    return {
      cluster: view.cluster,
      id: identity.member,
      name: this.#current().name(),
      members: view.members.length,
    }
  }

  async #labels(): Promise<Readonly<Record<string, string>>> {
    if (this.#options.labels !== null) {
      await this.#data.writeSmall(LABELS_FILE, utf8(JSON.stringify(this.#options.labels)))
      return this.#options.labels
    }
    const kept = await this.#data.readSmall(LABELS_FILE)
    return kept === null ? {} : (JSON.parse(textOf(kept)) as Readonly<Record<string, string>>)
  }

  /** Of whichever cluster the peer is in by now. */
  #packages(): Packages {
    const now = (): Packages => defined(this.#current().agent.packages, 'the packages of a peer')
    return {
      begin: (manifest) => now().begin(manifest),
      take: (chunk, bytes) => now().take(chunk, bytes),
      secure: (digest, copies, signal) => now().secure(digest, copies, signal),
      holds: (digest) => now().holds(digest),
      contents: (digest, signal) => now().contents(digest, signal),
      counters: () => now().counters(),
    }
  }

  #examiner(): Examiner {
    const offsetMs = systemClock.wall() - systemClock.now()
    return {
      machine: machineMark(),
      connect: connectFailure,
      examine: () =>
        examineMachine({
          data: this.#data.directory,
          peer: {
            addresses: this.#current().agent.addresses(),
            api: this.#apiAddress,
            steppedMs: systemClock.wall() - systemClock.now() - offsetMs,
          },
        }),
    }
  }

  /** The API's bearer token: made once, kept with the data, 0600. */
  async #token(): Promise<string> {
    const kept = await this.#data.readSmall(TOKEN_FILE)
    if (kept !== null) return textOf(kept).trim()
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    await this.#data.writeSmall(TOKEN_FILE, utf8(`${token}\n`))
    return token
  }

  #current(): Runtime {
    if (this.#runtime === null) throw new TuttiError('not-ready', 'this peer has not started yet')
    return this.#runtime
  }

  async #stop(): Promise<void> {
    this.#cancelCollection()
    await this.#api?.close()
    await this.#runtime?.stop()
    await this.#data.close()
  }
}

/**
 * Gives the memory back, too, which a regular collection keeps. Asked for here, since with `--expose-gc` from the start V8
 * refuses the compiled code of Node.js's own modules, and every command takes 25 ms more.
 */
const dropGarbage = (): void => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as NodeJS.GCFunction
  setFlagsFromString('--no-expose-gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/** @throws TuttiError `invalid` when it is not `HOST:PORT`. */
const hostAndPort = (address: string): { readonly host: string; readonly port: number } => {
  const colon = address.lastIndexOf(':')
  const port = Number(address.slice(colon + 1))
  if (colon < 0 || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new TuttiError(
      'invalid',
      `'${address}' is not an address for the API; write HOST:PORT, as in 127.0.0.1:7700`,
    )
  }
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, '') || '127.0.0.1', port }
}

// Service links: for each service that a local instance uses, one stable loopback port whose TCP connections go to a
// ready instance of it, wherever that runs. The port is remembered across restarts of the peer, since running instances
// keep it in their environment. Deliberately absent: HTTP, encryption, and any choice of who is ready (setRoutes says).

import { createServer, type Server, type Socket } from 'node:net'
import { utf8 } from '../../lib/bytes.ts'
import { TuttiError, messageOf } from '../../lib/errors.ts'
import { hash32 } from '../../lib/hash.ts'
import { partsOfService, type ServiceId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import { portsOf, portText } from '../../lib/port-text.ts'
import type { Endpoint } from '../plan/endpoints.ts'
import { FailedEndpoints, forward, inTurn, type LinkEndpoint } from './links-proxy.ts'

/** A few kilobytes kept durably under a name by the peer's own disk; node/act/disk has one. */
export interface SmallStore {
  /** Null when it was never written. */
  readSmall(name: string): Promise<Uint8Array | null>
  /** Atomic: after a crash it is the old one or the new one. */
  writeSmall(name: string, bytes: Uint8Array): Promise<void>
}

export interface LinksOptions {
  readonly store: SmallStore
  readonly log: Log
  /** Monotonic milliseconds. @default performance.now */
  readonly now?: () => number
  /** Connections through all links at once; more are reset. @default 2048 */
  readonly connectionsMax?: number
}

export interface LinksCounters {
  readonly accepted: number
  /** Open now. */
  readonly open: number
  /** Reset because no instance was ready. */
  readonly withoutEndpoint: number
  /** Reset because every ready instance refused, or did not answer. */
  readonly unreachable: number
  /** Attempts on one endpoint that failed; the next one was tried. */
  readonly retries: number
  /** Reset because `connectionsMax` were open. */
  readonly overLimit: number
}

/** Two descriptors each; well under the usual hard limit of descriptors, far above what local callers need. */
const CONNECTIONS_MAX = 2048
/** Where links live when they can: below the kernel's ephemeral ports (32768 and up), above the registered favourites. */
const PORT_BASE = 21_000
const PORT_SPAN = 8000
/** Ports tried in that range before any free one will do. */
const PORT_TRIES = 32
const STORED_AS = 'links'

/** The routes that ready endpoints make: each at its first port; a service without ports is reached by nobody. */
export const linkRoutes = (
  endpoints: ReadonlyMap<ServiceId, readonly Endpoint[]>,
): ReadonlyMap<ServiceId, readonly LinkEndpoint[]> =>
  new Map(
    [...endpoints].map(([service, ready]) => [
      service,
      ready.flatMap(({ host, port }) => (port === null ? [] : [{ host, port }])),
    ]),
  )

interface Link {
  readonly service: ServiceId
  readonly server: Server
  readonly port: number
  turn: number
}

/** `TUTTI_USES_LEDGER` for `billing/ledger`. */
const variableOf = (name: string): string => `TUTTI_USES_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`

export class ServiceLinks {
  readonly #options: LinksOptions
  readonly #failed: FailedEndpoints
  readonly #links = new Map<ServiceId, Link>()
  readonly #sockets = new Set<Socket>()
  /** Ports as persisted, listening or not. */
  #ports = new Map<ServiceId, number>()
  /** As last written: a write that failed is tried again with the next instance. */
  #persisted = ''
  #routes: ReadonlyMap<ServiceId, readonly LinkEndpoint[]> = new Map()
  /** One opening or closing at a time, so that a service never gets two ports. */
  #turn: Promise<void> = Promise.resolve()
  #closed = false
  #counts = { accepted: 0, withoutEndpoint: 0, unreachable: 0, retries: 0, overLimit: 0 }

  constructor(options: LinksOptions) {
    this.#options = options
    this.#failed = new FailedEndpoints(options.now ?? (() => performance.now()))
  }

  /** Listens again on every port of the last run: instances that were adopted still call them. Once, before all else. */
  start(): Promise<void> {
    return this.#exclusive(async () => {
      const bytes = await this.#options.store.readSmall(STORED_AS)
      this.#persisted = bytes === null ? '' : Buffer.from(bytes).toString('utf8')
      this.#ports = portsOf<ServiceId>(this.#persisted)
      for (const service of this.#ports.keys()) {
        try {
          await this.#open(service)
        } catch (thrown) {
          // One port in another's hands must not keep the peer from starting; environmentFor tries again.
          this.#options.log.log('warn', 'link not opened', { service, reason: messageOf(thrown) })
        }
      }
    })
  }

  /**
   * The address of each used service as environment: `TUTTI_USES_<SERVICE>` and, unambiguous when two cells have a
   * service of one name, `TUTTI_USES_<CELL>_<SERVICE>`. Where two claim one variable, the first in `uses` has it.
   * Resolves when the ports listen and are remembered.
   * @throws TuttiError `storage` when a new port cannot be remembered, `busy` when no port is to be had.
   */
  async environmentFor(uses: readonly ServiceId[]): Promise<Readonly<Record<string, string>>> {
    await this.#exclusive(async () => {
      for (const service of uses) {
        if (!this.#links.has(service)) await this.#open(service)
      }
      await this.#persist()
    })
    const environment: Record<string, string> = {}
    const claim = (name: string, service: ServiceId): void => {
      environment[name] ??= `127.0.0.1:${this.#links.get(service)?.port ?? 0}`
    }
    for (const service of uses) {
      const { cell, name } = partsOfService(service)
      claim(variableOf(name), service)
      claim(variableOf(`${cell}_${name}`), service)
    }
    return environment
  }

  /**
   * Ready instances by service, from then on. Connections that are open stay, also to an endpoint that is no longer
   * named: it drains, and ends them by its own stop.
   */
  setRoutes(routes: ReadonlyMap<ServiceId, readonly LinkEndpoint[]>): void {
    this.#routes = routes
    this.#failed.retain([...routes.values()].flat())
  }

  /** Closes and forgets the links of services that no local instance uses any more; open connections go on. */
  retain(used: ReadonlySet<ServiceId>): Promise<void> {
    if ([...this.#ports.keys()].every((service) => used.has(service))) return Promise.resolve()
    return this.#exclusive(async () => {
      for (const service of this.#ports.keys()) {
        if (used.has(service)) continue
        this.#links.get(service)?.server.close()
        this.#links.delete(service)
        this.#ports.delete(service)
      }
      await this.#persist()
    })
  }

  counters(): LinksCounters {
    return { ...this.#counts, open: this.#sockets.size }
  }

  /** Stops listening and cuts every connection; the ports stay remembered. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#turn
    for (const { server } of this.#links.values()) server.close()
    this.#links.clear()
    for (const socket of this.#sockets) socket.destroy()
  }

  #exclusive(work: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(() => {
      if (this.#closed) throw new TuttiError('not-ready', 'this peer is stopping')
      return work()
    })
    this.#turn = run.catch(() => undefined)
    return run
  }

  async #open(service: ServiceId): Promise<void> {
    const remembered = this.#ports.get(service)
    const first = hash32(service) % PORT_SPAN
    const wanted = [
      ...(remembered === undefined ? [] : [remembered]),
      ...Array.from({ length: PORT_TRIES }, (_, step) => PORT_BASE + ((first + step) % PORT_SPAN)),
      0,
    ]
    for (const port of wanted) {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
      const bound = await listenOn(server, port)
      if (bound === null) continue
      if (remembered !== undefined && bound !== remembered) {
        this.#options.log.log(
          'warn',
          'link moved to another port; instances that run already miss it until a restart',
          {
            service,
            from: remembered,
            to: bound,
          },
        )
      }
      const link: Link = { service, server, port: bound, turn: 0 }
      server.on('connection', (client) => this.#accept(link, client))
      server.on('error', (error) => {
        this.#options.log.log('error', 'link listener failed', { service, reason: error.message })
      })
      this.#links.set(service, link)
      this.#ports.set(service, bound)
      return
    }
    throw new TuttiError('busy', `no local port is free for the link to ${service}`)
  }

  #accept(link: Link, client: Socket): void {
    this.#counts.accepted += 1
    if (this.#sockets.size >= (this.#options.connectionsMax ?? CONNECTIONS_MAX)) {
      this.#counts.overLimit += 1
      client.resetAndDestroy()
      return
    }
    const endpoints = this.#routes.get(link.service) ?? []
    if (endpoints.length === 0) {
      this.#counts.withoutEndpoint += 1
      client.resetAndDestroy()
      return
    }
    this.#sockets.add(client)
    client.once('close', () => this.#sockets.delete(client))
    const order = inTurn(endpoints, link.turn, this.#failed)
    link.turn += 1
    void this.#forward(client, order)
  }

  async #forward(client: Socket, order: readonly LinkEndpoint[]): Promise<void> {
    const { failures, endpoint } = await forward(client, order, this.#failed)
    this.#counts.retries += failures
    if (endpoint === null && failures > 0) this.#counts.unreachable += 1
  }

  async #persist(): Promise<void> {
    const text = portText(this.#ports)
    if (text === this.#persisted) return
    await this.#options.store.writeSmall(STORED_AS, utf8(text))
    this.#persisted = text
  }
}

/** The port it listens on, or null when that port cannot be had. */
const listenOn = (server: Server, port: number): Promise<number | null> =>
  new Promise((resolve) => {
    const failed = (): void => resolve(null)
    server.once('error', failed)
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.off('error', failed)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : null)
    })
  })

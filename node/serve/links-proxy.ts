// Forwards one accepted TCP connection to one of several endpoints: tries them in turn until one connects, then joins
// both directions with half-close and backpressure kept. It deliberately knows no services and keeps no listener
// (links.ts does), and it never resends: bytes are read from the client only after an endpoint has connected.

import { connect, type Socket } from 'node:net'

/** Where a ready instance is reached. */
export interface LinkEndpoint {
  /** IP address or host name. */
  readonly host: string
  readonly port: number
}

/** Remembers which endpoints failed of late, on the monotonic clock. One for all services: an address is an address. */
export class FailedEndpoints {
  readonly #outUntilMs = new Map<string, number>()
  readonly #inARow = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  isOut(endpoint: LinkEndpoint): boolean {
    return (this.#outUntilMs.get(keyOf(endpoint)) ?? -Infinity) > this.#now()
  }

  /** A connect failed: out for a second (L8), twice as long at each further failure in a row, up to OUT_MAX_MS. */
  failed(endpoint: LinkEndpoint): void {
    const key = keyOf(endpoint)
    const inARow = this.#inARow.get(key) ?? 0
    this.#inARow.set(key, inARow + 1)
    this.#outUntilMs.set(key, this.#now() + Math.min(OUT_MAX_MS, OUT_MIN_MS * 2 ** Math.min(inARow, 10)))
  }

  connected(endpoint: LinkEndpoint): void {
    this.#outUntilMs.delete(keyOf(endpoint))
    this.#inARow.delete(keyOf(endpoint))
  }

  /** Forgets every endpoint but these, so that the memory follows the routes. */
  retain(endpoints: Iterable<LinkEndpoint>): void {
    const kept = new Set([...endpoints].map(keyOf))
    for (const key of this.#inARow.keys()) {
      if (kept.has(key)) continue
      this.#inARow.delete(key)
      this.#outUntilMs.delete(key)
    }
  }
}

/** One second: by then readiness has usually moved through the cluster (L8), and a hiccup is over. */
const OUT_MIN_MS = 1000
/** A host that swallows packets costs one connect timeout each time it is tried; every eight seconds is rare enough. */
const OUT_MAX_MS = 8000
/** Longer than any handshake on a network that services can live on; one lost SYN (resent after 1 s) is survived. */
const CONNECT_TIMEOUT_MS = 1500
/** First keep-alive probe on an idle connection: finds dead ends long before the kernel's default of two hours. */
const KEEP_ALIVE_MS = 30_000

const keyOf = ({ host, port }: LinkEndpoint): string => `${host} ${port}`

/**
 * `endpoints` in the order of the round robin's turn; those that failed of late go last, but stay: when all have
 * failed, trying beats refusing.
 */
export const inTurn = (
  endpoints: readonly LinkEndpoint[],
  turn: number,
  failed: FailedEndpoints,
): readonly LinkEndpoint[] => {
  // Turned after the filter, else the neighbour of a failed one would get its share on top of its own.
  const rotated = (group: readonly LinkEndpoint[]): readonly LinkEndpoint[] => {
    const start = group.length === 0 ? 0 : turn % group.length
    return [...group.slice(start), ...group.slice(0, start)]
  }
  return [
    ...rotated(endpoints.filter((endpoint) => !failed.isOut(endpoint))),
    ...rotated(endpoints.filter((endpoint) => failed.isOut(endpoint))),
  ]
}

/** A connected socket, or null when the endpoint refused, was not reached in time, or the client has gone. */
const dial = (endpoint: LinkEndpoint, client: Socket): Promise<Socket | null> =>
  new Promise((resolve) => {
    const socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    })
    const settle = (result: Socket | null): void => {
      clearTimeout(timer)
      client.off('close', giveUp)
      socket.off('error', giveUp)
      socket.off('connect', connected)
      if (result === null) {
        // A late error of a socket nobody wants must not be unhandled.
        socket.on('error', () => undefined)
        socket.destroy()
      }
      resolve(result)
    }
    const giveUp = (): void => settle(null)
    const connected = (): void => settle(socket)
    const timer = setTimeout(giveUp, CONNECT_TIMEOUT_MS)
    client.once('close', giveUp)
    socket.once('error', giveUp)
    socket.once('connect', connected)
  })

/**
 * Joins two sockets until both directions have ended. An end is passed on as an end (half-close); anything else that
 * ends one side resets the other, since a clean end after a cut would look like a complete answer.
 */
export const join = (a: Socket, b: Socket): void => {
  const couple = (source: Socket, target: Socket): void => {
    source.pipe(target)
    source.on('error', () => target.resetAndDestroy())
    source.on('close', () => {
      if (!source.readableEnded || !source.writableFinished) target.resetAndDestroy()
    })
  }
  couple(a, b)
  couple(b, a)
}

export interface ForwardOutcome {
  /** Endpoints that did not connect before one did, or all of them. */
  readonly failures: number
  /** Null: none connected; the client's connection was reset. */
  readonly endpoint: LinkEndpoint | null
}

/**
 * Connects a paused client to the first endpoint that answers. Resolves once it is joined or given up; never throws.
 * @param client accepted with `pauseOnConnect` and `allowHalfOpen`.
 */
export const forward = async (
  client: Socket,
  endpoints: readonly LinkEndpoint[],
  failed: FailedEndpoints,
): Promise<ForwardOutcome> => {
  let failures = 0
  const ignore = (): void => undefined
  client.on('error', ignore)
  for (const endpoint of endpoints) {
    if (client.destroyed) return { failures, endpoint: null }
    const upstream = await dial(endpoint, client)
    if (upstream === null) {
      // The client's own leaving says nothing about the endpoint.
      if (client.destroyed) return { failures, endpoint: null }
      failures += 1
      failed.failed(endpoint)
      continue
    }
    failed.connected(endpoint)
    join(client, upstream)
    client.setKeepAlive(true, KEEP_ALIVE_MS)
    client.off('error', ignore)
    return { failures, endpoint }
  }
  client.resetAndDestroy()
  return { failures, endpoint: null }
}

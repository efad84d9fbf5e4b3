// The client of a peer's API: over its Unix socket or a URL, JSON in and out, NDJSON and server-sent events as async
// iterables. Every failure becomes a TuttiError whose sentence says what to do. Deliberately absent: retries, which only
// following has use for, and validation of replies: the peer has validated them, and loading the schema costs more than
// most commands take.

import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { ERROR_CODES, TuttiError, messageOf, type ErrorCode } from '../lib/errors.ts'
import type { ErrorReply, ROUTES } from '../node/serve/api/contract.ts'
import type { PACKAGE_ROUTES } from '../node/serve/api/contract-packages.ts'
import { SOCKET_NAME, defaultDataDirectory, socketOf } from './default-data.ts'
import { UsageError } from './exit.ts'
import type { Context } from './io.ts'
import { eventsOf, jsonOf, linesOf } from './streams.ts'

/** A path of the API. */
export type Route =
  (typeof ROUTES)[keyof typeof ROUTES] | (typeof PACKAGE_ROUTES)[keyof typeof PACKAGE_ROUTES]
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** Where a peer answers. */
export type Target =
  { readonly kind: 'socket'; readonly path: string } | { readonly kind: 'url'; readonly url: URL }

// A peer answers from memory; only a change waits, for its disk. Half a minute means that it hangs.
const REPLY_TIMEOUT_MS = 30_000
// A reply for 1,000 members and 2,000 slots takes 1 MB; beyond this something else answers.
const REPLY_BYTES_MAX = 64 * 1024 * 1024

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** Reads `--peer`: a socket, a data directory, `unix:PATH`, a URL, or `HOST:PORT`. @throws UsageError. */
export const parseTarget = (text: string, directory: string): Target => {
  const unix = /^unix:(?:\/\/)?(.+)$/.exec(text)?.[1]
  if (unix === undefined && /^https?:\/\//.test(text)) {
    if (!URL.canParse(text)) throw new UsageError(`'${text}' is not a URL; write http://HOST:PORT`)
    return { kind: 'url', url: new URL(text) }
  }
  if (unix === undefined && /^(\[[0-9a-f:]+\]|[^/:]+):\d+$/i.test(text)) {
    return { kind: 'url', url: new URL(`http://${text}`) }
  }
  const path = resolve(directory, unix ?? text)
  return { kind: 'socket', path: isDirectory(path) ? join(path, SOCKET_NAME) : path }
}

/** The peer that a command means: `--peer`, `$TUTTI_PEER`, or the default data directory's. */
export const targetOf = (context: Context): Target => {
  const given = context.peer ?? context.io.environment['TUTTI_PEER'] ?? ''
  if (given !== '') return parseTarget(given, context.io.directory)
  return { kind: 'socket', path: socketOf(defaultDataDirectory(context.io.environment)) }
}

const nameOf = (target: Target): string => (target.kind === 'socket' ? target.path : target.url.origin)

/** A failed connection as the sentence that helps. */
export const connectionError = (target: Target, thrown: unknown): TuttiError => {
  if (thrown instanceof TuttiError) return thrown
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  const where = nameOf(target)
  const cause = { cause: thrown }
  if (code === 'EACCES' || code === 'EPERM') {
    return new TuttiError('forbidden', `may not open ${where}; run this as the user the peer runs as`, cause)
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK' || code === 'ENOTDIR') {
    const next =
      target.kind === 'socket'
        ? 'start one with tutti up'
        : 'check the address, or start one there with tutti up --api'
    return new TuttiError('unreachable', `no peer answers on ${where}; ${next}`, cause)
  }
  return new TuttiError(
    'unreachable',
    `lost the peer on ${where} (${messageOf(thrown)}); check it and try again`,
    cause,
  )
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code)

/** An error reply as the error it carries. */
export const refusal = (target: Target, status: number, text: string): TuttiError => {
  try {
    const { error } = JSON.parse(text) as ErrorReply
    if (typeof error.message === 'string') {
      return new TuttiError(isErrorCode(error.code) ? error.code : 'internal', error.message)
    }
  } catch {
    // Not an error of ours: described below by its status.
  }
  return new TuttiError(
    'internal',
    `${nameOf(target)} answered with status ${status} and no tutti error; is it a peer?`,
  )
}

/** Talks to one peer. */
export class Client {
  readonly target: Target
  readonly #token: string | null

  constructor(target: Target, token: string | null) {
    this.target = target
    this.#token = token
  }

  /** The header that says who asks; none over a socket, whose permissions say it. */
  get authorization(): Readonly<Record<string, string>> {
    return this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }
  }

  /** How people call the place it talks to. */
  get name(): string {
    return nameOf(this.target)
  }

  /** @throws TuttiError, the peer's own or `unreachable` or `timeout`. */
  async get<T>(route: Route, query: Query = {}, timeoutMs = REPLY_TIMEOUT_MS): Promise<T> {
    return this.#exchange<T>('GET', route, query, undefined, timeoutMs)
  }

  /** @throws TuttiError, the peer's own or `unreachable` or `timeout`. */
  async post<T>(route: Route, body: unknown, timeoutMs = REPLY_TIMEOUT_MS): Promise<T> {
    return this.#exchange<T>('POST', route, {}, body, timeoutMs)
  }

  /** The same with bytes as the body. @throws TuttiError, the peer's own or `unreachable` or `timeout`. */
  async send<T>(route: Route, query: Query, body: Uint8Array, timeoutMs = REPLY_TIMEOUT_MS): Promise<T> {
    return this.#exchange<T>('POST', route, query, body, timeoutMs)
  }

  /** An NDJSON stream, value by value; ends with the peer's answer or silently when `signal` aborts. */
  async *lines<T>(route: Route, query: Query, signal?: AbortSignal): AsyncGenerator<T> {
    yield* this.#stream<T>(route, query, 'application/x-ndjson', linesOf, signal)
  }

  /** A server-sent event stream, value by value; ends with the peer's answer or silently when `signal` aborts. */
  async *events<T>(route: Route, query: Query, signal?: AbortSignal): AsyncGenerator<T> {
    yield* this.#stream<T>(route, query, 'text/event-stream', eventsOf, signal)
  }

  async #exchange<T>(
    method: 'GET' | 'POST',
    route: Route,
    query: Query,
    body: unknown,
    timeoutMs: number,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const reply = await this.#open(method, route, query, body, 'application/json', deadline)
      const text = await textOf(reply)
      return jsonOf(text, this.name) as T
    } catch (thrown) {
      if (deadline.aborted) {
        const sentence = `the peer on ${this.name} did not answer in time; check it with tutti peers`
        throw new TuttiError('timeout', sentence, { cause: thrown })
      }
      throw connectionError(this.target, thrown)
    }
  }

  async *#stream<T>(
    route: Route,
    query: Query,
    accept: string,
    read: (chunks: AsyncIterable<string>, source: string) => AsyncIterable<unknown>,
    signal?: AbortSignal,
  ): AsyncGenerator<T> {
    const stop = new AbortController()
    const signals = signal === undefined ? [stop.signal] : [stop.signal, signal]
    try {
      const reply = await this.#open('GET', route, query, undefined, accept, AbortSignal.any(signals))
      reply.setEncoding('utf8')
      for await (const value of read(reply as AsyncIterable<string>, this.name)) yield value as T
    } catch (thrown) {
      if (signal?.aborted !== true) throw connectionError(this.target, thrown)
    } finally {
      stop.abort()
    }
  }

  /** Sends the request; resolves with a reply of status 200 to 299. */
  async #open(
    method: string,
    route: Route,
    query: Query,
    body: unknown,
    accept: string,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const isBytes = body instanceof Uint8Array
    const payload = body === undefined || isBytes ? body : JSON.stringify(body)
    const options: RequestOptions = {
      method,
      path: pathOf(this.target, route, query),
      // One exchange a connection: nothing keeps the command alive after its answer.
      agent: false,
      signal,
      headers: {
        accept,
        ...(payload === undefined
          ? {}
          : {
              'content-type': isBytes ? 'application/octet-stream' : 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
        ...this.authorization,
      },
    }
    const request = await requestTo(this.target, options)
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.once('error', reject)
      request.end(payload)
    })
    const status = reply.statusCode ?? 0
    if (status >= 200 && status < 300) return reply
    throw refusal(this.target, status, await textOf(reply))
  }
}

const pathOf = (target: Target, route: Route, query: Query): string => {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value))
  const base = target.kind === 'url' ? target.url.pathname.replace(/\/$/, '') : ''
  return `${base}${route}${search.size === 0 ? '' : `?${search}`}`
}

const requestTo = async (target: Target, options: RequestOptions): Promise<ClientRequest> => {
  // Not imported: that asks the module for all it has, and loads its WebSocket and fetch, a quarter of a command's time.
  const http = process.getBuiltinModule('node:http')
  if (target.kind === 'socket') {
    const { path } = target
    // By a function, and so without an agent, which would work out the name of a TLS server with two large expressions.
    return http.request({ ...options, agent: undefined, createConnection: () => connect(path) })
  }
  const { hostname, port, protocol } = target.url
  const address = { ...options, hostname: hostname.replace(/^\[|\]$/g, ''), port }
  // Loaded only here: TLS doubles what the client costs to load.
  if (protocol === 'https:') return (await import('node:https')).request(address)
  return http.request(address)
}

const textOf = async (reply: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of reply as AsyncIterable<Buffer>) {
    length += part.length
    if (length > REPLY_BYTES_MAX)
      throw new TuttiError('too-large', 'the answer is too large; is this a tutti peer?')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** The client of the peer that a command means. */
export const clientOf = (context: Context): Client => new Client(targetOf(context), context.token)

// A peer that says what a test wants it to say, on a Unix socket; and an Io whose streams are buffers. Tests of the command
// line run whole commands against these.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../../cli/program.ts'
import type { Bytes, Io } from '../../cli/io.ts'

export interface Asked {
  readonly method: string
  readonly url: URL
  readonly body: unknown
  readonly token: string | undefined
}

export type Answer = (asked: Asked, response: ServerResponse) => unknown

export interface FakePeer {
  readonly directory: string
  readonly socket: string
  readonly asked: Asked[]
  close(): Promise<void>
}

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  let text = ''
  request.setEncoding('utf8')
  for await (const part of request as AsyncIterable<string>) text += part
  return text === '' ? undefined : (JSON.parse(text) as unknown)
}

/** Routes are `GET /v1/peers`; what an answer returns is sent as JSON, unless it wrote to the response itself. */
export const fakePeer = async (routes: Readonly<Record<string, Answer>>): Promise<FakePeer> => {
  const directory = mkdtempSync(join(tmpdir(), 'tutti-cli-'))
  const socket = join(directory, 'tutti.sock')
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const url = new URL(request.url ?? '/', 'http://peer')
      const method = request.method ?? ''
      const one = { method, url, body: await bodyOf(request), token: request.headers.authorization }
      asked.push(one)
      const route = routes[`${method} ${url.pathname}`]
      if (route === undefined) return fail(response, 404, 'unknown', `no route ${method} ${url.pathname}`)
      const value = await route(one, response)
      if (value !== undefined)
        response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
      return undefined
    }
    answer().catch((error: unknown) => fail(response, 500, 'internal', String(error)))
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return {
    directory,
    socket,
    asked,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Answers with an error of the API. */
export const fail = (response: ServerResponse, status: number, code: string, message: string): undefined => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ error: { code, message, requestId: 'r1' } }))
  return undefined
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly peer?: FakePeer
  readonly environment?: Readonly<Record<string, string>>
  readonly directory?: string
  readonly isTerminal?: boolean
  /** What the person answers; left out: nobody is there. */
  readonly answer?: string
  readonly interrupt?: AbortSignal
  /** What is on stdin, for commands that read it. */
  readonly input?: readonly Uint8Array[]
}

/** An Io that writes into the returned buffers. */
export const bufferedIo = (
  options: RunOptions = {},
): { readonly io: Io; readonly out: string[]; readonly err: string[] } => {
  const out: string[] = []
  const err: string[] = []
  const { answer, isTerminal = false } = options
  const sinkFor = (parts: string[]) => ({
    write: (text: string) => void parts.push(text),
    isTerminal,
    columns: 80,
  })
  const environment: Record<string, string> = { ...options.environment }
  if (options.peer !== undefined) environment['TUTTI_PEER'] = options.peer.socket
  const io: Io = {
    stdout: sinkFor(out),
    stderr: sinkFor(err),
    environment,
    directory: options.directory ?? tmpdir(),
    ask:
      answer === undefined
        ? null
        : (question) => {
            err.push(question)
            return Promise.resolve(answer)
          },
    interruption: () => options.interrupt ?? new AbortController().signal,
    bytes: () => bufferedBytes(options, out, err),
  }
  return { io, out, err }
}

const bufferedBytes = (options: RunOptions, out: string[], err: string[]): Bytes => ({
  input: (async function* () {
    yield* options.input ?? []
  })(),
  write: (stream, bytes) => {
    ;(stream === 'stdout' ? out : err).push(Buffer.from(bytes).toString('latin1'))
    return Promise.resolve()
  },
  terminal: null,
  outputIsTerminal: options.isTerminal ?? false,
  onSignal: () => () => undefined,
})

/** Runs `tutti WORDS…` in this process. */
export const tutti = async (words: readonly string[], options: RunOptions = {}): Promise<Ran> => {
  const { io, out, err } = bufferedIo(options)
  const code = await runProgram(words, io)
  return { code, stdout: out.join(''), stderr: err.join('') }
}

export const asOf = { peer: 'a', digest: 'd1d2d3d4d5d6', at: 100_000, alive: 3, members: 3 }

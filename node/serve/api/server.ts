// The API's server: the same routes on a Unix socket, guarded by file permissions, and, when asked for, on TCP, guarded
// by a token. Wires what the routes need; decides nothing.

import type { FastifyInstance } from 'fastify'
import { TuttiError, messageOf } from '../../../lib/errors.ts'
import { Doctor } from '../doctor/doctor.ts'
import { answerExecs } from '../exec.ts'
import { answerQuestions } from '../gathering.ts'
import { PlacementMemo } from '../../plan/placement.ts'
import { watchReply } from '../replies/watch.ts'
import { WatchFeed } from '../watch-feed.ts'
import { createApp } from './app.ts'
import { reader, type ApiContext, type ApiOptions } from './context.ts'
import { streamGate } from './streaming.ts'
import { listenPrivately } from './unix-socket.ts'

/** A shorter secret is guessable over a network. */
const TOKEN_CHARACTERS_MIN = 16

export interface Api {
  /** Without a token, as the Unix socket serves it; `inject()` tests it. */
  readonly app: FastifyInstance
  /**
   * Serves on a Unix socket with mode 0600. A socket that a crashed peer left is replaced.
   * @throws TuttiError `busy` when a living peer serves there, `conflict`, `invalid`.
   */
  listenUnix(path: string): Promise<void>
  /**
   * Serves on TCP, where every caller must send the token. Resolves to the bound address, `http://HOST:PORT`.
   * @throws TuttiError `invalid` without a token, `busy` when the address is taken.
   */
  listenTcp(address: { readonly host: string; readonly port: number }): Promise<string>
  /** Ends every stream and connection, then stops listening. */
  close(): Promise<void>
}

/** Builds the API and registers this peer's answers to other peers' questions. Serves nothing before `listen…`. */
export const createApi = async (options: ApiOptions): Promise<Api> => {
  const { token, examiner = null, ...rest } = options
  const closing = new AbortController()
  const memo = new PlacementMemo()
  const reading = reader(() => options.agent.snapshot(), memo)
  const context: ApiContext = {
    ...rest,
    doctor:
      examiner === null ? null : new Doctor({ agent: options.agent, examiner, version: options.version }),
    reading,
    memo,
    closing: closing.signal,
    streams: streamGate(),
    watch: new WatchFeed({
      compute: () => watchReply(reading()),
      onChange: (listener) => options.agent.onChange(listener),
    }),
  }
  answerQuestions(options)
  answerExecs(context)
  const app = await createApp(context, null)
  const closers: (() => Promise<unknown>)[] = [() => app.close()]
  return {
    app,
    listenUnix: async (path) => {
      const remove = await listenPrivately(path, (temporary) => app.listen({ path: temporary }))
      closers.push(remove)
    },
    listenTcp: async (address) => {
      if (token === null || token.length < TOKEN_CHARACTERS_MIN)
        throw new TuttiError(
          'invalid',
          `the API on TCP needs a token of at least ${TOKEN_CHARACTERS_MIN} characters`,
        )
      const tcp = await createApp(context, token)
      closers.push(() => tcp.close())
      try {
        return await tcp.listen(address)
      } catch (cause) {
        throw new TuttiError(
          'busy',
          `cannot serve the API on ${address.host}:${address.port} (${messageOf(cause)}); choose another --api`,
          { cause },
        )
      }
    },
    close: async () => {
      closing.abort()
      for (const close of closers.splice(0)) await close()
    },
  }
}

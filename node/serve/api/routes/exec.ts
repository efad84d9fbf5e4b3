// The one route that talks both ways: a WebSocket on which a command runs in an instance. The first message is the opening
// (JSON), everything after it is exec-wire.ts. Deliberately absent: the conversation itself, which is node/serve/exec.ts.

import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { WebSocket } from 'ws'
import { TuttiError } from '../../../../lib/errors.ts'
import { exec } from '../../exec.ts'
import type { ApiContext } from '../context.ts'
import { ROUTES } from '../contract.ts'
import { ExecOpening } from '../contract-exec.ts'
import { described } from '../described.ts'
import { encodeHeard } from '../exec-wire.ts'
import { outsideError } from '../statuses.ts'
import { messagesOf, sendMessage } from '../web-socket.ts'

/** To notice a caller whose machine went dark: the kernel asks after this idle time, then every second ten times. */
const KEEP_ALIVE_MS = 15_000

export const execRoute = (app: FastifyInstance, context: ApiContext): void => {
  app.route({
    method: 'GET',
    url: ROUTES.exec,
    schema: described({
      summary: 'Runs a command in an instance, over a WebSocket',
      description:
        'The first message is this JSON, each later one binary with its kind in the first byte. To the peer: 0 input, 1 end of input, 2 terminal size (two varints: columns, rows), 3 signal (its name with its length before it). ' +
        'From the peer: 0 which instance was chosen, 1 stdout, 2 stderr, and last one of 3 exit (status + 1, signal), 4 there is no such command, 5 failed (code, message). Closing the socket ends the command.',
      tag: 'streams',
      streams: { 'application/json': ExecOpening },
    }),
    handler: () => {
      throw new TuttiError(
        'invalid',
        `${ROUTES.exec} is a WebSocket; connect to it as one, or use tutti exec`,
      )
    },
    wsHandler: (socket, request) => {
      if (request.raw.socket instanceof Socket) request.raw.socket.setKeepAlive(true, KEEP_ALIVE_MS)
      void serve(context, socket)
    },
  })
}

/** Never rejects. */
const serve = async (context: ApiContext, socket: WebSocket): Promise<void> => {
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, context.closing])
  let leave: () => void = () => undefined
  try {
    leave = context.streams.enter()
    const messages = messagesOf(socket)
    const opening = await messages.next()
    if (opening.done === true) return
    for await (const message of exec(context, opening.value, messages, signal))
      await sendMessage(socket, message)
  } catch (thrown) {
    if (!gone.signal.aborted) {
      const { code, message } = outsideError(thrown)
      await sendMessage(socket, encodeHeard({ kind: 'failed', code, message })).catch(() => undefined)
      context.log.log('debug', 'an exec was ended', { error: thrown })
    }
  } finally {
    leave()
    socket.close()
  }
}

// A conversation with a peer: the API's WebSocket, over its Unix socket or a URL. Messages in, messages out; a refused
// upgrade is the peer's own error. Deliberately absent: what the messages mean.

import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { TuttiError } from '../lib/errors.ts'
import { messagesOf, sendMessage } from '../node/serve/api/web-socket.ts'
import { connectionError, refusal, type Client, type Route } from './client.ts'

export interface Conversation {
  /** What the peer says, until it closes. @throws TuttiError `unreachable` when the connection breaks. */
  readonly messages: AsyncIterable<Uint8Array>
  /** Resolves when the message is on its way. */
  send(message: Uint8Array): Promise<void>
  close(): void
}

/** Opening one is answered from memory; half a minute means that the peer hangs. */
const OPEN_TIMEOUT_MS = 30_000

/** @throws TuttiError, the peer's own or `unreachable`. */
export const openSocket = async (client: Client, route: Route): Promise<Conversation> => {
  const { WebSocket } = await import('ws')
  const { target } = client
  const url = target.kind === 'socket' ? new URL('ws://localhost') : new URL(target.url)
  if (target.kind === 'url') url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.pathname = `${target.kind === 'url' ? url.pathname.replace(/\/$/, '') : ''}${route}`
  const socket = new WebSocket(url, {
    headers: client.authorization,
    handshakeTimeout: OPEN_TIMEOUT_MS,
    perMessageDeflate: false,
    ...(target.kind === 'socket' ? { createConnection: () => connect(target.path) } : {}),
  })
  // Read from the start, lest a message comes before somebody listens.
  const messages = messagesOf(socket)
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', (thrown) => reject(connectionError(target, thrown)))
    socket.once('unexpected-response', (_request, response) => {
      text(response).then(
        (body) => reject(refusal(target, response.statusCode ?? 0, body)),
        (thrown: unknown) => reject(connectionError(target, thrown)),
      )
    })
  })
  return {
    messages: reported(messages, client),
    send: (message) => sendMessage(socket, message),
    close: () => socket.close(),
  }
}

async function* reported(messages: AsyncIterable<Uint8Array>, client: Client): AsyncGenerator<Uint8Array> {
  try {
    yield* messages
  } catch (cause) {
    throw new TuttiError(
      'unreachable',
      `lost the peer on ${client.name}, and with it the command; see tutti peers`,
      {
        cause,
      },
    )
  }
}

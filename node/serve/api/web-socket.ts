// A WebSocket as messages that are read at the reader's pace and written at the socket's. Used by both ends. Knows nothing
// of what the messages mean; the library is a type here, so that loading this loads nothing.

import type { WebSocket } from 'ws'

/** Messages read ahead: enough to keep the socket busy. */
const AHEAD_MAX = 8

/**
 * Messages until the other side closes; text is taken as its bytes. Listens from the call on, so that none is missed.
 * The iteration throws what broke the socket.
 */
export const messagesOf = (socket: WebSocket): AsyncGenerator<Uint8Array, void, void> => {
  const waiting: Uint8Array[] = []
  let failure: Error | null = null
  let wake: () => void = () => undefined
  const onMessage = (message: Buffer): void => {
    waiting.push(message)
    if (waiting.length >= AHEAD_MAX) socket.pause()
    wake()
  }
  const onError = (error: Error): void => {
    failure = error
    wake()
  }
  const onClose = (): void => wake()
  socket.on('message', onMessage)
  socket.on('error', onError)
  socket.on('close', onClose)
  return (async function* () {
    try {
      for (;;) {
        const message = waiting.shift()
        if (message !== undefined) {
          if (waiting.length < AHEAD_MAX && socket.isPaused) socket.resume()
          yield message
        } else if (failure !== null) throw failure
        else if (socket.readyState === socket.CLOSED) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      socket.off('message', onMessage)
      socket.off('close', onClose)
      // The error listener stays: an error without one would end the process.
      if (socket.isPaused) socket.resume()
    }
  })()
}

/** Resolves when the message is on its way to the other side. @throws when the socket is closed. */
export const sendMessage = (socket: WebSocket, message: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.send(message, { binary: true }, (error) => {
      if (error === undefined || error === null) resolve()
      else reject(error)
    })
  })

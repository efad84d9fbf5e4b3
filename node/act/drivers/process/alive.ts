// The FIFO by which a shim is watched: it holds the writing end, so end-of-file says that it is gone, at once and
// whether or not it is a child of this process. Costs one descriptor an instance and nothing while nothing happens.

import { constants, openSync } from 'node:fs'
import { Socket } from 'node:net'

/** One watched FIFO. */
export interface AliveWatch {
  /** Resolves with the shim's first line, or null when it ended before it said anything. */
  readonly told: Promise<string | null>
  /** Resolves when the writing end is gone. Never, if it was gone before this watch: look at the process after opening. */
  readonly ended: Promise<void>
  /** Lets go; `ended` does not resolve after it. */
  close(): void
}

/** Opens a FIFO for watching. @throws when it does not exist. */
export const watchAlive = (path: string): AliveWatch => {
  // Non-blocking: opening must not wait for a writer. libuv polls it like a socket, so no thread is spent.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const socket = new Socket({ fd: descriptor, readable: true, writable: false })
  const told = Promise.withResolvers<string | null>()
  const ended = Promise.withResolvers<void>()
  let closed = false
  const end = (): void => {
    told.resolve(null)
    if (!closed) ended.resolve()
    closed = true
    socket.destroy()
  }
  socket.on('data', (chunk: Buffer) => {
    told.resolve(chunk.toString('latin1'))
  })
  socket.on('end', end)
  socket.on('error', end)
  return {
    told: told.promise,
    ended: ended.promise,
    close: () => {
      closed = true
      told.resolve(null)
      socket.destroy()
    },
  }
}

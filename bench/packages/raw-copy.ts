// What the machine's loopback gives to one sender and nine receivers, each a process of its own: so many bytes to each over plain
// TCP, written to a file as a package is. Nothing is encrypted, hashed or kept.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

const PIECE_BYTES = 256 * 1024

/** Milliseconds that it takes until all have everything. */
export const rawCopyMs = async (folder: string, receivers: number, bytes: number): Promise<number> => {
  const piece = Buffer.alloc(PIECE_BYTES, 7)
  const server = createServer((socket) => {
    let left = bytes
    const send = (): void => {
      while (left > 0) {
        left -= piece.length
        if (!socket.write(piece)) {
          socket.once('drain', send)
          return
        }
      }
      socket.end()
    }
    send()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const children = Array.from({ length: receivers }, (_, at) =>
    fork(import.meta.filename, [join(folder, `raw-${at}`)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    }),
  )
  await Promise.all(children.map((child) => once(child, 'message')))
  const from = performance.now()
  const ended = children.map((child) => once(child, 'exit'))
  for (const child of children) child.send(port)
  await Promise.all(ended)
  const tookMs = performance.now() - from
  server.close()
  return tookMs
}

/** As a child: copies from the port that it is told. */
const receive = async (file: string): Promise<void> => {
  const told = once(process, 'message')
  process.send?.('up')
  const [port] = await told
  await pipeline(connect(Number(port), '127.0.0.1'), createWriteStream(file))
  process.disconnect()
}

const [file] = process.argv.slice(2)
if (process.send !== undefined && file !== undefined) await receive(file)

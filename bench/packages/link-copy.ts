// What one link gives: so many bytes over plain TCP from the first host to the second, written to a file. Nothing is encrypted,
// hashed or kept.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { connect, createServer } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Netbed } from '../../test/e2e/support/netbed.ts'

const PORT = 7801
const PIECE_BYTES = 256 * 1024

/** Milliseconds from the connection's start until all of it is there. */
export const linkCopyMs = async (bed: Netbed, file: string, bytes: number): Promise<number> => {
  const inside = (host: number, ...words: readonly string[]) =>
    spawn(
      'nsenter',
      [`--net=/run/netns/${bed.host(host)}`, process.execPath, import.meta.filename, ...words],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
  const sender = inside(1, 'send', String(bytes))
  await once(sender.stdout, 'data')
  const receiver = inside(2, 'receive', bed.address(1), file)
  const [told] = (await once(receiver.stdout, 'data')) as readonly unknown[]
  await Promise.all([once(sender, 'exit'), once(receiver, 'exit')])
  return Number(String(told))
}

const send = async (bytes: number): Promise<void> => {
  const piece = Buffer.alloc(PIECE_BYTES, 7)
  const server = createServer((socket) => {
    server.close()
    void pipeline(function* () {
      for (let at = 0; at < bytes; at += piece.length) yield piece
    }, socket)
  }).listen(PORT)
  await once(server, 'listening')
  process.stdout.write('up\n')
}

const receive = async (host: string, file: string): Promise<void> => {
  const from = performance.now()
  await pipeline(connect(PORT, host), createWriteStream(file))
  process.stdout.write(`${performance.now() - from}\n`)
}

if (process.argv[1] === import.meta.filename) {
  const [, , role, first = '', second = ''] = process.argv
  if (role === 'send') await send(Number(first))
  else await receive(first, second)
}

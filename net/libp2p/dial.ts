// Reaching a member at one of several addresses. libp2p tries addresses one after the other, so a single dead one (a
// moved laptop, a bridge of another machine) would use up the time; here a plain TCP connection is raced to each of them,
// a quarter of a second apart (RFC 8305, happy eyeballs), and libp2p dials the one that answered first. Who is there is
// libp2p's to check: every address carries the member's id.

import { connect, type Socket } from 'node:net'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { hostPortOf } from './addresses.ts'
import { ADDRESS_STAGGER_MS } from './wire.ts'

export interface Dialler {
  dial(address: ReturnType<typeof multiaddr>, options: { readonly signal: AbortSignal }): Promise<Connection>
}

/**
 * The first connection that comes up at any of the addresses. An address must have a host and a port; with `/p2p/<id>` in
 * it nobody else is accepted. @throws the last failure, or the signal's reason.
 */
export const dialFirst = async (
  node: Dialler,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Connection> => {
  let left = [...addresses]
  let failure: unknown = new Error('there is no address to dial')
  while (left.length > 0) {
    signal.throwIfAborted()
    const next = left.length === 1 ? left[0] : await firstToAnswer(left, signal)
    if (next === undefined) throw failure
    try {
      return await node.dial(multiaddr(next), { signal })
    } catch (thrown) {
      failure = thrown
      left = left.filter((address) => address !== next)
    }
  }
  throw failure
}

/** The address at which a TCP connection came up first; undefined when none did. */
const firstToAnswer = (addresses: readonly string[], signal: AbortSignal): Promise<string | undefined> =>
  new Promise((resolve) => {
    const sockets: Socket[] = []
    let failures = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const finish = (winner: string | undefined): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      for (const socket of sockets) socket.destroy()
      resolve(winner)
    }
    const giveUp = (): void => finish(undefined)
    signal.addEventListener('abort', giveUp, { once: true })
    const attempt = (at: number): void => {
      clearTimeout(timer)
      const address = addresses[at]
      if (address === undefined) return
      // An address that is none becomes a failure like any other.
      const socket = connect(hostPortOf(address) ?? { host: '', port: 0 })
      sockets.push(socket)
      socket.once('connect', () => finish(address))
      socket.once('error', () => {
        failures += 1
        if (failures === addresses.length) finish(undefined)
        // A refusal is an answer: the next address need not wait for its turn.
        else if (sockets.length === at + 1) attempt(at + 1)
      })
      timer = setTimeout(() => attempt(at + 1), ADDRESS_STAGGER_MS)
    }
    attempt(0)
  })

// The newcomer's side of joining: a short-lived libp2p node whose identity is the ticket's key connects to a member, asks
// to be admitted and goes away. The body says who the newcomer really is; neither body nor answer is read here.

import type { Connection, Libp2p } from '@libp2p/interface'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Log } from '../../lib/log.ts'
import { hostPortOf } from './addresses.ts'
import { PART, REFUSED, sentenceOf } from './ask.ts'
import { dialFirst } from './dial.ts'
import { framesOf, sendFrame } from './frames.ts'
import { createNewcomerNode } from './node.ts'
import { GUEST_STAY_MS, JOIN_DIAL_TIMEOUT_MS, JOIN_PROTOCOL } from './wire.ts'

export interface JoinRequest {
  /** The ticket's secret: a raw 32-byte Ed25519 seed, whose public key is the invite's id. */
  readonly ticketSeed: Uint8Array
  /** Where members listen; with `/p2p/<id>` only that member is accepted. */
  readonly addresses: readonly string[]
  readonly body: Uint8Array
  readonly signal: AbortSignal
  readonly log: Log
}

/**
 * Asks the members at the addresses, one after the other, to admit this machine; returns the first answer.
 * @throws TuttiError `refused` (with the member's sentence, or when none of those reached knows the ticket),
 * `unreachable` when nobody answers, `timeout` when the signal fires.
 */
export const requestJoin = async (request: JoinRequest): Promise<Uint8Array> => {
  const { addresses, log, signal } = request
  const node = await createNewcomerNode(request.ticketSeed)
  await node.start()
  let failure = new TuttiError(
    'unreachable',
    "the ticket names no address; ask a member for a new one with 'tutti invite'",
  )
  try {
    for (const address of addresses) {
      if (signal.aborted) break
      try {
        return await askToJoin(node, address, request)
      } catch (thrown) {
        const error = thrown instanceof TuttiError ? thrown : unreachableAt(address, thrown)
        // The caller says the last of these to the user, as one sentence.
        log.log('debug', 'joining was not possible there', { address, reason: messageOf(thrown) })
        if (error instanceof Refusal) throw new TuttiError('refused', error.message)
        // That a member does not know the ticket says more than that another did not answer.
        if (failure.code !== 'refused') failure = error
      }
    }
    if (signal.aborted)
      throw new TuttiError('timeout', "no member answered in time; try again with 'tutti join'")
    throw failure
  } finally {
    await node.stop()
  }
}

/** A member's own sentence: it knows the ticket and says no, so that asking others is useless. */
class Refusal extends TuttiError {}

const unreachableAt = (address: string, cause: unknown): TuttiError =>
  new TuttiError(
    'unreachable',
    `nobody could be reached at ${address} (${messageOf(cause)}); check that the peer runs and that its port is open`,
    { cause },
  )

const askToJoin = async (node: Libp2p, address: string, request: JoinRequest): Promise<Uint8Array> => {
  if (hostPortOf(address) === null)
    throw new TuttiError('invalid', `'${address}' is not an address such as /ip4/10.0.0.1/tcp/7701`)
  const dialSignal = AbortSignal.any([request.signal, AbortSignal.timeout(JOIN_DIAL_TIMEOUT_MS)])
  const connection = await dialFirst(node, [address], dialSignal)
  try {
    return await converse(connection, address, request)
  } finally {
    connection.abort(new Error('done'))
  }
}

const converse = async (
  connection: Connection,
  address: string,
  request: JoinRequest,
): Promise<Uint8Array> => {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(GUEST_STAY_MS)])
  try {
    const stream = await connection.newStream(JOIN_PROTOCOL, { signal })
    const leave = (): void => stream.abort(new Error('the newcomer left'))
    signal.addEventListener('abort', leave, { once: true })
    try {
      await sendFrame(stream, request.body, signal)
      for await (const frame of framesOf(stream, LIMITS.messageBytesMax)) {
        if (frame[0] === PART) return frame.subarray(1)
        if (frame[0] === REFUSED) throw new Refusal('refused', sentenceOf(frame.subarray(1)))
      }
      throw new Error('the answer broke off')
    } finally {
      signal.removeEventListener('abort', leave)
    }
  } catch (thrown) {
    if (thrown instanceof Refusal || signal.aborted) throw thrown
    // The handshake went through and the other side hung up: its gater does not know the key.
    throw new TuttiError(
      'refused',
      `the peer at ${address} does not know this ticket: it is forged, was made for another cluster, or has been used up long ago; ask a member for a new one with 'tutti invite'`,
      { cause: thrown },
    )
  }
}

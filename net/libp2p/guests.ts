// Newcomers: connections made with the key of a ticket. Each stays for one exchange over the join protocol and a few
// seconds at most, few of them at once. Deliberately absent: what a ticket is worth; TransportEvents.join decides that.

import type { Connection, Stream } from '@libp2p/interface'
import { messageOf } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import { memberOf } from './admission.ts'
import { firstFrame, marked, PART, refuse } from './ask.ts'
import { sendFrame } from './frames.ts'
import { GUEST_STAY_MS, GUESTS_MAX, JOIN_REQUEST_BYTES_MAX, OPEN_TIMEOUT_MS } from './wire.ts'

export class Guests {
  readonly #clock: Clock
  readonly #log: Log
  readonly #join: (invite: MemberId, body: Uint8Array) => Promise<Uint8Array>
  /** Connections and what cancels their deadline. */
  readonly #present = new Map<Connection, () => void>()

  constructor(clock: Clock, log: Log, join: (invite: MemberId, body: Uint8Array) => Promise<Uint8Array>) {
    this.#clock = clock
    this.#log = log
    this.#join = join
  }

  /** Lets a guest's connection in for a while, or ends it when there are too many. */
  opened(connection: Connection): void {
    if (this.#present.has(connection) || connection.status !== 'open') return
    if (this.#present.size >= GUESTS_MAX) {
      connection.abort(new Error('too many newcomers'))
      return
    }
    const cancel = this.#clock.after(GUEST_STAY_MS, () =>
      connection.abort(new Error('a newcomer stayed too long')),
    )
    this.#present.set(connection, cancel)
    connection.addEventListener('close', () => {
      this.#present.get(connection)?.()
      this.#present.delete(connection)
    })
  }

  /** Serves one join request. Never rejects. */
  async serve(stream: Stream, connection: Connection): Promise<void> {
    const invite = memberOf(connection.remotePeer)
    try {
      const body = await firstFrame(stream, JOIN_REQUEST_BYTES_MAX)
      const answer = await this.#join(invite, body)
      const signal = AbortSignal.timeout(OPEN_TIMEOUT_MS)
      await sendFrame(stream, marked(PART, answer), signal)
      await stream.close({ signal })
    } catch (thrown) {
      this.#log.log('info', 'a newcomer was refused', { invite, reason: messageOf(thrown) })
      await refuse(stream, thrown)
    }
  }

  /** Ends the connections made with a key whose ticket is no more. */
  cut(invite: MemberId): void {
    for (const connection of this.#present.keys()) {
      if (memberOf(connection.remotePeer) === invite)
        connection.abort(new Error('the ticket is no longer known'))
    }
  }

  stop(): void {
    for (const [connection, cancel] of this.#present) {
      cancel()
      connection.abort(new Error('the peer stops'))
    }
    this.#present.clear()
  }
}

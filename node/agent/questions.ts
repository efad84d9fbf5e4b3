// Questions between the faces of two peers: what this one asks of another, and what it answers. A question may bring input
// along and is answered in parts. Deliberately absent: what is asked and answered; the face registers that.

import { TuttiError } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Transport, TransportEvents } from '../../net/transport.ts'
import type { AgentPort, PeerMethod } from '../ports.ts'

type Handler = Parameters<AgentPort['answer']>[1]

export interface QuestionsOptions {
  readonly transport: Transport
  /** Where a member is reached when there is no connection to it. */
  readonly addressesOf: (member: MemberId) => readonly string[]
}

export class Questions {
  readonly #options: QuestionsOptions
  readonly #handlers = new Map<string, Handler>()

  constructor(options: QuestionsOptions) {
    this.#options = options
  }

  /** AgentPort.ask. */
  readonly ask: AgentPort['ask'] = (member, method, body, signal, input) => {
    const { transport, addressesOf } = this.#options
    const options = { signal, addresses: addressesOf(member), ...(input === undefined ? {} : { input }) }
    return transport.request(member, method, body, options)
  }

  /** AgentPort.answer. */
  answer(method: PeerMethod, handler: Handler): void {
    this.#handlers.set(method, handler)
  }

  /** Somebody asks. @throws TuttiError `unsupported` when nobody here answers that. */
  readonly asked: TransportEvents['request'] = (from, method, body, signal, input) => {
    const handler = this.#handlers.get(method)
    if (handler === undefined)
      throw new TuttiError('unsupported', `this peer does not answer '${method}'; upgrade it`)
    return handler(from, body, signal, input)
  }
}

// Questions between two ends of the simulated network, as each end keeps them while they are under way: the one that asked,
// what it sends along, and the one that answers. Carrying their parts is network-transport.ts's.

import { TuttiError } from '../lib/errors.ts'
import type { MemberId } from '../lib/ids.ts'

/** One connection; each end holds it until it knows of its end. */
export interface Wire {
  readonly ends: readonly [MemberId, MemberId]
}

/** Why an answer is given up; a reason of one's own saves making an exception with its stack for each question. */
const GONE = 'the asker has left'

/** An answer under way. */
export class Answering {
  readonly #controller = new AbortController()
  /** Ends the wait for the asker. A listener of the signal would do, at ten times the cost. */
  wake: () => void = () => undefined

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  giveUp(): void {
    this.#controller.abort(GONE)
    this.wake()
  }
}

/** A question on its way. */
export interface Asked {
  readonly wire: Wire
  readonly parts: Uint8Array[]
  failure: TuttiError | null
  done: boolean
  wake: () => void
  readonly input: Input
}

/** What an asker sends along, as it stands at the answering end. */
export interface Input {
  /** Null: there is none. */
  readonly source: AsyncIterator<Uint8Array> | null
  readonly parts: Uint8Array[]
  ended: boolean
  wake: () => void
}

export const tooLate = (method: string): TuttiError =>
  new TuttiError('timeout', `the peer did not answer '${method}' in time`)

export const broke = (asked: Asked): TuttiError =>
  new TuttiError('unreachable', `the connection to ${asked.wire.ends.join(' or ')} broke while it was asked`)

export const fail = (asked: Asked, failure: TuttiError): void => {
  asked.failure ??= failure
  asked.done = true
  asked.wake()
}

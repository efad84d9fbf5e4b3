// How this peer introduces itself to the others: its facts, what it can read, and what it can do with the programs of its
// machine (confine instances, build releases). That is looked at again now and then, since programs come and go; what is
// equal to what was said costs nothing.

import { DOCUMENT_FORMAT } from '../../crdt/schema/format.ts'
import type { BuilderFacts, ConfinementFacts, PeerFacts } from '../../crdt/schema/status.ts'
import { STATUS_KEYS } from '../../crdt/status-decode.ts'
import { SYNC_FORMAT } from '../../crdt/sync-message.ts'
import type { Json } from '../../lib/order.ts'
import type { Clock } from '../../lib/time.ts'

/** Whoever has just installed bubblewrap waits for it, and a look costs a dozen calls of stat(2). */
const LOOK_MS = 5000

export interface IntroductionOptions {
  readonly clock: Clock
  readonly facts: Omit<PeerFacts, 'addresses' | 'host' | 'running'>
  /** What instances can be confined by here; asked now and then, since programs are installed. @default nothing is said */
  readonly confinement?: () => ConfinementFacts
  /** Whether releases can be built here; asked now and then. @default nothing is said */
  readonly builder?: () => BuilderFacts
  readonly hostOf: (addresses: readonly string[]) => string
  /** Sets an entry of this peer's status; `urgent` entries leave at once. */
  readonly say: (key: string, value: Json, urgent: boolean) => void
}

/** Says who this peer is. */
export class Introduction {
  readonly #options: IntroductionOptions
  #lookedMs = 0

  constructor(options: IntroductionOptions) {
    this.#options = options
  }

  /** At the start, once the addresses are known. */
  begin(addresses: readonly string[]): void {
    const { facts, hostOf, say } = this.#options
    // Before the facts, with which it leaves: nobody is to know the one without the other.
    this.#look()
    say(STATUS_KEYS.formats, { document: DOCUMENT_FORMAT, sync: SYNC_FORMAT }, false)
    const said = { ...facts, addresses: [...addresses], host: hostOf(addresses), running: true }
    say(STATUS_KEYS.facts, said, true)
  }

  tick(): void {
    if (this.#options.clock.now() - this.#lookedMs >= LOOK_MS) this.#look()
  }

  #look(): void {
    const { clock, confinement, builder, say } = this.#options
    this.#lookedMs = clock.now()
    if (confinement !== undefined) say(STATUS_KEYS.confinement, confinement(), false)
    if (builder !== undefined) say(STATUS_KEYS.builder, builder(), false)
  }
}

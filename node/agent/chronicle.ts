// What records from others lead to, as events for people: changes that were applied, and records that were kept out.

import type { Staged } from '../../crdt/replica.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { EventRing } from './event-ring.ts'

export class Chronicle {
  readonly #events: EventRing
  readonly #log: Log
  readonly #nameOf: (member: MemberId) => string

  constructor(events: EventRing, log: Log, nameOf: (member: MemberId) => string) {
    this.#events = events
    this.#log = log
    this.#nameOf = nameOf
  }

  applied(staged: readonly Staged[]): void {
    for (const { info } of staged)
      this.#events.add({ kind: 'change', subject: this.#nameOf(info.author), message: info.message })
  }

  quarantined(from: MemberId | null, reason: string): void {
    const subject = from === null ? 'unknown' : this.#nameOf(from)
    this.#log.log('warn', 'record quarantined', { from: subject, reason })
    this.#events.add({ kind: 'quarantine', subject, message: reason })
  }
}

// The past of the intent, read: who changed what, and the view as it was at any moment. Everything is worked out when it
// is asked for, from what the replica holds anyway; nothing is kept but the last few views, and a pass never asks. A
// moment is a set of changes closed under causality, so what it shows never changes again and is the same on every peer.

import type { ChangeHash, MemberId, ServiceId } from '../lib/ids.ts'
import { sortedBy } from '../lib/order.ts'
import { keyOf } from './fields.ts'
import { containerPathOf } from './genesis.ts'
import { describeChange, isUnder, type HistoryChange } from './history-changes.ts'
import type { Entry, History } from './history.ts'
import { pastReleases, type PastRelease } from './past-releases.ts'
import { winnerOf, type EntityFields, type Register, type Registers } from './registers.ts'
import type { View } from './schema/view.ts'
import { changeNamed, headsNamed, momentOf, newestFirst, type Moment } from './timeline.ts'
import type { CausalContext } from './validate.ts'
import type { ViewBuilder } from './view.ts'

export type { HistoryChange } from './history-changes.ts'
export type { PastRelease } from './past-releases.ts'

/** Fields named of one change in a list: a new version of a large cell is a screen, not a thousand lines. */
const EDITS_LISTED_MAX = 100
/** Fields named in one answer: each is a look-up of some 0.03 ms, and a question must not stall a peer. */
const EDITS_ANSWERED_MAX = 5000
/** Views kept: whoever compares two moments asks for both again. */
const VIEWS_KEPT_MAX = 4

export interface PastOptions {
  readonly history: History
  readonly registers: Registers<Entry>
  readonly builder: ViewBuilder
  readonly context: () => CausalContext
}

export interface ChangesQuery {
  /** At most so many, the newest. */
  readonly limit: number
  /** Only what touches this cell or service: `shop`, `shop/web`. */
  readonly of?: string | undefined
  /** Only what was made from then on, by its author's clock: wall time. */
  readonly since?: number | undefined
}

export interface ChangesFound {
  /** Newest first. */
  readonly changes: readonly HistoryChange[]
  /** There are older ones. */
  readonly more: boolean
}

export class Past {
  readonly #options: PastOptions
  /** By heads, the longest unused first. */
  readonly #views = new Map<string, View>()

  constructor(options: PastOptions) {
    this.#options = options
  }

  /** The changes, newest first. No change stands before one that its author knew of; peers that agree list alike. */
  changes({ limit, of, since = 0 }: ChangesQuery): ChangesFound {
    const { history } = this.#options
    const changes: HistoryChange[] = []
    let left = EDITS_ANSWERED_MAX
    for (const { entry } of newestFirst(history, history.committedHeads())) {
      if (entry.at < since || (of !== undefined && !entry.entities.some((entity) => isUnder(entity, of))))
        continue
      if (changes.length >= limit) return { changes, more: true }
      const change = this.#described(entry, Math.min(EDITS_LISTED_MAX, left), of)
      left -= change.edits.length
      changes.push(change)
    }
    return { changes, more: false }
  }

  /** One change in full, by the start of its hash. @throws TuttiError `unknown` or `invalid`. */
  change(start: string): HistoryChange {
    return this.#described(changeNamed(this.#options.history, start), EDITS_ANSWERED_MAX)
  }

  /**
   * The changes a word names the end of: `now`, the start of a hash, either with `~2` for two changes before it.
   * @throws TuttiError `unknown` or `invalid`.
   */
  moment(text: string): readonly ChangeHash[] {
    return headsNamed(this.#options.history, text)
  }

  /** The view that a replica has which knows these changes and their causes, and nothing else: digest and all. */
  viewAt(heads: readonly ChangeHash[]): View {
    const key = heads.join()
    if (key === this.#options.history.committedHeads().join()) return this.#options.builder.view()
    const kept = this.#views.get(key)
    this.#views.delete(key)
    const view = kept ?? this.#viewAt(heads)
    this.#views.set(key, view)
    for (const oldest of this.#views.keys()) {
      if (this.#views.size <= VIEWS_KEPT_MAX) break
      this.#views.delete(oldest)
    }
    return view
  }

  /** What the author of a change saw after it. */
  viewAfter(change: ChangeHash): View {
    return this.viewAt([change])
  }

  /** The distinct releases of a service, newest first: the present one leads, where the service lives. */
  releasesOf(service: ServiceId, limit?: number): readonly PastRelease[] {
    const { history, context } = this.#options
    const entity = `services/${service}`
    const fields = this.#options.registers.entity(entity)
    if (fields === undefined) return []
    return pastReleases(
      {
        service,
        fields,
        steps: newestFirst(history, history.committedHeads()),
        genesis: context().genesis,
        registerAt: (field, heads) => this.#registerAt(entity, field, heads),
        isInPast: this.#options.builder.isInPast,
      },
      limit,
    )
  }

  /** The name of a member, also of one that was removed; null: nobody ever had that id. */
  nameOf(member: MemberId): string | null {
    const name = winnerOf(this.#options.registers.entity(`members/${member}`)?.get('name'))
    return typeof name === 'string' ? name : null
  }

  /** All writes that compete for a field now, the one that holds last; empty: nobody ever wrote it. */
  readonly registerOf = (entity: string, field: string): Register<Entry> =>
    this.#options.registers.entity(entity)?.get(field) ?? []

  #described(entry: Entry, editsMax: number, of?: string): HistoryChange {
    const nameOf = (member: MemberId): string => this.nameOf(member) ?? member
    return describeChange(this.#options.context(), entry, { editsMax, nameOf, of })
  }

  #viewAt(heads: readonly ChangeHash[]): View {
    const { history, registers, builder } = this.#options
    const moment = momentOf(history, heads)
    const past = builder.copy()
    for (const entity of sortedBy(registers.entities(), (name) => name)) {
      const fields = this.#fieldsAt(entity, registers.entity(entity) ?? new Map(), moment)
      if (fields !== null) past.update(entity, fields)
    }
    return past.view()
  }

  /** Null: they were then what they are now. */
  #fieldsAt(entity: string, fields: EntityFields<Entry>, moment: Moment): EntityFields | null {
    if (!moment.touches(entity)) return new Map()
    let changed = false
    const then = new Map<string, Register>()
    for (const [field, register] of fields) {
      // What holds now and was there then held then: whatever it replaced, it had replaced.
      if (register.every(({ origin }) => moment.has(origin))) then.set(field, register)
      else {
        changed = true
        const before = this.#registerAt(entity, field, moment.heads)
        if (before.length > 0) then.set(field, before)
      }
    }
    return changed ? then : null
  }

  #registerAt(entity: string, field: string, heads: readonly ChangeHash[]): Register<Entry> {
    const { genesis, document } = this.#options.context()
    const { container, key } = keyOf(entity, field)
    const object = genesis.objectOf(containerPathOf(container, key))
    if (object === undefined) return []
    return document.visible(object, key, heads).flatMap(({ op, value }) => {
      const origin = this.#options.history.ofOp(op.actor, op.counter)
      return origin === undefined ? [] : [{ op, value, origin }]
    })
  }
}

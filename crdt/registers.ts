// What every field holds: the writes that no later write has replaced, the winner last. This is Automerge's own rule
// (a set removes what it saw; of the rest the highest Lamport timestamp wins), folded over changes whose `replaces`
// validate.ts has checked, so that a commit costs its own ops and the view never walks the document.

import type { ChangeHash, MemberId } from '../lib/ids.ts'
import { compareOps, type OpId } from './change-codec.ts'
import type { Scalar } from './edit.ts'

/** The change a write belongs to, as far as people and conflicts care. */
export interface WriteOrigin {
  readonly hash: ChangeHash
  readonly author: MemberId
  readonly at: number
}

export interface Write<Origin extends WriteOrigin = WriteOrigin> {
  readonly op: OpId
  readonly value: Scalar
  readonly origin: Origin
}

/** Ascending; the last one wins. Never empty. */
export type Register<Origin extends WriteOrigin = WriteOrigin> = readonly Write<Origin>[]
/** By field. */
export type EntityFields<Origin extends WriteOrigin = WriteOrigin> = ReadonlyMap<string, Register<Origin>>

/** One set, placed. */
export interface PlacedOp {
  readonly entity: string
  readonly field: string
  readonly value: Scalar
  readonly op: OpId
  readonly replaces: readonly OpId[]
}

const sameOp = (a: OpId, b: OpId): boolean => a.counter === b.counter && a.actor === b.actor

export class Registers<Origin extends WriteOrigin = WriteOrigin> {
  readonly #entities = new Map<string, Map<string, Register<Origin>>>()

  /** Folds one change in; everything in its causal past must have been folded in before. */
  apply(ops: readonly PlacedOp[], origin: Origin): void {
    for (const { entity, field, value, op, replaces } of ops) {
      let fields = this.#entities.get(entity)
      if (fields === undefined) this.#entities.set(entity, (fields = new Map()))
      const before = fields.get(field) ?? []
      const kept = before.filter((write) => !replaces.some((replaced) => sameOp(replaced, write.op)))
      const write = { op, value, origin }
      // A literal has room for what it holds; what grows by `push` has it for sixteen more, in every field there is.
      fields.set(field, kept.length === 0 ? [write] : [...kept, write].sort((a, b) => compareOps(a.op, b.op)))
    }
  }

  /** Starts an entity from fields folded elsewhere. */
  adopt(entity: string, fields: EntityFields<Origin> | undefined): void {
    this.#entities.set(entity, new Map(fields))
  }

  entity(entity: string): EntityFields<Origin> | undefined {
    return this.#entities.get(entity)
  }

  /** Unsorted. */
  entities(): IterableIterator<string> {
    return this.#entities.keys()
  }
}

/** The value that holds; undefined when the field was never written. */
export const winnerOf = (register: Register | undefined): Scalar | undefined => register?.at(-1)?.value

// Edits: what an operator's command becomes. One command is one list of edits is one change. Types and builders of
// plain values only; the replica applies them.

import type { MemberId } from '../lib/ids.ts'

/** A scalar as the document holds it. Structured values are canonical JSON strings. */
export type Scalar = string | number | boolean | null

/** Sets one key of one container. Nothing is ever deleted: null and tombstones are values. */
export interface Edit {
  readonly container: ContainerName
  readonly key: string
  readonly value: Scalar
}

/** Containers of the document. Services are spread over buckets by a hash of their id; the replica does that. */
export type ContainerName = 'cluster' | 'members' | 'invites' | 'cells' | 'packages' | 'services'

export interface EditMeta {
  /** What the operator did, in words: `scale shop/web=3`. */
  readonly message: string
  /** Wall time, for display. */
  readonly at: number
}

export interface ChangeInfo {
  readonly author: MemberId
  readonly message: string
  readonly at: number
}

/** One edit as people read it. Null: nothing was there before, or nothing is left. */
export interface EditDescription {
  /** `shop/web replicas`. */
  readonly path: string
  readonly from: string | null
  readonly to: string | null
}

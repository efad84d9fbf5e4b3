// The words of the replica: what it is made of, what a judgement returns, what waits to become durable. Types only.

import type { ActorId, ChangeHash, ClusterId, MemberId } from '../lib/ids.ts'
import type { Signer } from '../lib/signature.ts'
import type { ChangeInfo } from './edit.ts'

export interface ReplicaOptions {
  readonly cluster: ClusterId
  /** Fresh and random at every process start. Its first four bytes give way to a hash of the member (genesis.ts). */
  readonly actor: ActorId
  readonly signer: Signer
}

/** A change that waits to become durable. */
export interface Staged {
  readonly hash: ChangeHash
  /** The encoded record: what is appended to the store and sent to others. */
  readonly record: Uint8Array
  readonly info: ChangeInfo
}

export interface Refusal {
  /** One sentence. */
  readonly reason: string
  /** Who signed it, or claims to; null when the record does not even say. */
  readonly author: MemberId | null
}

export interface Judged {
  /** In causal order. Includes orphans that these records made whole. */
  readonly staged: readonly Staged[]
  /** Committed or staged before. */
  readonly known: number
  readonly orphans: number
  readonly invalid: readonly Refusal[]
}

/** What the disk holds; all of it was judged before it was written. */
export interface Restored {
  readonly document: Uint8Array | null
  readonly records: readonly Uint8Array[]
  readonly later: readonly Uint8Array[]
}

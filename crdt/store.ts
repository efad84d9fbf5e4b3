// Store port: where records become durable. The contract suite is test/contracts/store.ts; the disk's implementation is
// node/act/disk, the simulator has one that tears and loses unsynced writes.

/** What a frame holds: a signed intent record, or a signed status record. */
export type FrameKind = 'intent' | 'status'

export interface Frame {
  readonly kind: FrameKind
  readonly bytes: Uint8Array
}

/** A replacement for the whole log up to now. */
export interface Snapshot {
  /** The document as Automerge saves it: loads far faster than its changes. */
  readonly document: Uint8Array
  readonly frames: readonly Frame[]
}

export interface Loaded {
  /** Null when no snapshot was ever written. */
  readonly snapshot: Snapshot | null
  /** Appended since the snapshot, in order. */
  readonly frames: readonly Frame[]
  /**
   * Null for an intact store. Otherwise one sentence on what was lost: a torn tail loses nothing acknowledged, a
   * corrupt middle loses the rest of its file, which anti-entropy then refetches from the other peers.
   */
  readonly damage: string | null
}

export interface Store {
  load(): Promise<Loaded>
  /**
   * Resolves when all frames are durable; calls made meanwhile share one fdatasync. Order of calls is order on disk.
   * @throws TuttiError `storage` when the disk refuses; then none of these frames count, now or after a restart.
   */
  append(frames: readonly Frame[]): Promise<void>
  /** Replaces everything appended before this call, atomically; keeps the snapshot before it. @throws TuttiError `storage`. */
  writeSnapshot(snapshot: Snapshot): Promise<void>
  /** Bytes appended since the last snapshot: when to write the next one. */
  readonly appendedBytes: number
  close(): Promise<void>
}

// One segment of chunks as the peer's own thread knows it: how far it was ordered to be written, is known to be written, and is on the
// disk. Syncs it, one sync at a time. The bytes themselves are segment-file.ts's; which chunks lie in it, chunk-segments.ts's.

import { open } from 'node:fs/promises'

export class Segment {
  readonly number: number
  readonly path: string
  /** As far as it was ordered to be written. */
  orderedBytes = 0
  /** As far as it is known to be written. */
  bytes = 0
  /** Orders to write to it that are not answered. */
  pending = 0
  #syncedBytes = 0
  #syncing: Promise<void> | null = null

  constructor(number: number, path: string) {
    this.number = number
    this.path = path
  }

  /** As far as it is on the disk; what an earlier process wrote may not be. */
  get syncedBytes(): number {
    return this.#syncedBytes
  }

  /** What is known to be written is on the disk when this resolves. @throws what the system throws. */
  async sync(): Promise<void> {
    // What was written since the one under way began is the next one's.
    while (this.#syncing !== null) await this.#syncing
    if (this.#syncedBytes >= this.bytes) return
    this.#syncing = this.#syncNow().finally(() => (this.#syncing = null))
    await this.#syncing
  }

  /** Resolves when no sync is under way. Never rejects. */
  async idle(): Promise<void> {
    await this.#syncing?.catch(() => undefined)
  }

  async #syncNow(): Promise<void> {
    const upTo = this.bytes
    const handle = await open(this.path, 'r')
    try {
      await handle.datasync()
    } finally {
      await handle.close()
    }
    this.#syncedBytes = upTo
  }
}

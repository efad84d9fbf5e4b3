// Records whose causal past has not arrived yet. They are kept outside of Automerge, whose own queue is quadratic, and
// bounded: the oldest go first, since anti-entropy brings them again together with what they wait for.

import type { ChangeHash } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'

/** Of large records far fewer are kept: an orphan is rare, and its sender still has it. */
const ORPHAN_BYTES_MAX = 16 * 1024 * 1024

interface Orphan {
  readonly bytes: Uint8Array
  /** One of the changes it waits for; the others are found missing when this one has come. */
  readonly waitsFor: ChangeHash
}

export class Orphans {
  // In order of arrival.
  readonly #orphans = new Map<ChangeHash, Orphan>()
  readonly #waiting = new Map<ChangeHash, Set<ChangeHash>>()
  #bytes = 0

  get size(): number {
    return this.#orphans.size
  }

  add(hash: ChangeHash, bytes: Uint8Array, waitsFor: ChangeHash): void {
    this.#remove(hash)
    this.#orphans.set(hash, { bytes, waitsFor })
    const waiting = this.#waiting.get(waitsFor) ?? new Set()
    this.#waiting.set(waitsFor, waiting.add(hash))
    this.#bytes += bytes.length
    for (const oldest of this.#orphans.keys()) {
      if (this.#orphans.size <= LIMITS.orphansMax && this.#bytes <= ORPHAN_BYTES_MAX) break
      this.#remove(oldest)
    }
  }

  /** Takes out the records that waited for a change, in order of arrival. */
  take(arrived: ChangeHash): Uint8Array[] {
    const released: Uint8Array[] = []
    for (const hash of this.#waiting.get(arrived) ?? []) {
      const orphan = this.#orphans.get(hash)
      if (orphan !== undefined) released.push(orphan.bytes)
      this.#remove(hash)
    }
    return released
  }

  #remove(hash: ChangeHash): void {
    const orphan = this.#orphans.get(hash)
    if (orphan === undefined) return
    this.#orphans.delete(hash)
    this.#bytes -= orphan.bytes.length
    const waiting = this.#waiting.get(orphan.waitsFor)
    waiting?.delete(hash)
    if (waiting?.size === 0) this.#waiting.delete(orphan.waitsFor)
  }
}

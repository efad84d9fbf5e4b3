// One file of the simulated disk: what a process reads (the page cache) and what the medium holds, with the pages that
// differ and are known to. It decides nothing; disk.ts says when it syncs, fails or loses power.

import type { Random } from '../lib/random.ts'

/** What a cache writes back as a whole. */
const PAGE_BYTES = 4096
/** What a drive writes atomically. */
const SECTOR_BYTES = 512

export class SimulatedFile {
  #cache: Uint8Array
  #length: number
  /** As long as it is plus room to grow; only the first `#mediumLength` bytes are written. */
  #medium: Uint8Array
  #mediumLength: number
  /** Cache and medium are one array, until one of them changes. */
  #isOne = true
  readonly #dirty = new Set<number>()

  private constructor(bytes: Uint8Array) {
    this.#cache = bytes.slice()
    this.#length = bytes.length
    this.#medium = this.#cache
    this.#mediumLength = bytes.length
  }

  static of(bytes: Uint8Array): SimulatedFile {
    return new SimulatedFile(bytes)
  }

  get length(): number {
    return this.#length
  }

  /** What a power loss that keeps nothing unsynced would leave. */
  durable(): Uint8Array {
    return this.#medium.slice(0, this.#mediumLength)
  }

  read(): Uint8Array {
    return this.#cache.slice(0, this.#length)
  }

  write(bytes: Uint8Array, at: number): void {
    this.#part()
    this.#reserve(at + bytes.length)
    this.#cache.set(bytes, at)
    const before = this.#length
    this.#length = Math.max(this.#length, at + bytes.length)
    this.#soil(Math.min(at, before), at + bytes.length)
  }

  truncate(length: number): void {
    this.#part()
    this.#reserve(length)
    const shorter = Math.min(length, this.#length)
    this.#cache.fill(0, shorter)
    // The page astride the new end is zeroed behind it, and so has to be written again.
    this.#soil(shorter, Math.max(length, shorter + 1))
    this.#length = length
  }

  sync(): void {
    if (this.#mediumLength === 0 && this.#isDirtyThroughout()) {
      // Mostly it is never written again, as a voter's word.
      this.#medium = this.#cache
      this.#mediumLength = this.#length
      this.#isOne = true
      this.#dirty.clear()
      return
    }
    this.#part()
    if (this.#length > this.#medium.length) {
      const grown = new Uint8Array(this.#cache.length)
      grown.set(this.#medium.subarray(0, this.#mediumLength))
      this.#medium = grown
    }
    // What a shorter medium left behind is no part of a longer one.
    if (this.#length < this.#mediumLength) this.#medium.fill(0, this.#length, this.#mediumLength)
    for (const page of this.#dirty) {
      const from = page * PAGE_BYTES
      this.#medium.set(
        this.#cache.subarray(from, Math.min(from + PAGE_BYTES, this.#length)),
        Math.min(from, this.#length),
      )
    }
    this.#mediumLength = this.#length
    this.#dirty.clear()
  }

  /** Some pages reach the medium, all count as clean: the next sync will not write the lost ones. */
  failSync(random: Random): void {
    if (this.#dirty.size === 0) return
    this.#writeBack(random, this.#length, PAGE_BYTES)
    this.#dirty.clear()
  }

  /** Power loss: unsynced sectors reach the medium or not, each on its own; then the cache is what the medium holds. */
  loseUnsynced(random: Random): void {
    const written = this.#mediumLength
    const lengths = [written, this.#length]
    if (this.#length > written) lengths.push(written + random.below(this.#length - written))
    this.#writeBack(random, lengths[random.below(lengths.length)] ?? 0, SECTOR_BYTES)
    this.#dirty.clear()
    this.#cache = this.durable()
    this.#length = this.#mediumLength
  }

  #writeBack(random: Random, length: number, unitBytes: number): void {
    const medium = new Uint8Array(length)
    medium.set(this.#medium.subarray(0, Math.min(length, this.#mediumLength)))
    // Losing everything and losing nothing are as likely as losing parts, since both are what mostly happens.
    const chance = [0, 0.5, 1][random.below(3)] ?? 0
    for (const page of [...this.#dirty].sort((a, b) => a - b)) {
      for (let from = page * PAGE_BYTES; from < (page + 1) * PAGE_BYTES; from += unitBytes) {
        const to = Math.min(from + unitBytes, length, this.#length)
        if (random.next() < chance && from < to) medium.set(this.#cache.subarray(from, to), from)
      }
    }
    this.#medium = medium
    this.#mediumLength = length
    this.#isOne = false
  }

  #part(): void {
    if (this.#isOne && this.#cache.length > 0) this.#cache = this.#cache.slice()
    this.#isOne = false
  }

  #isDirtyThroughout(): boolean {
    for (let page = 0; page * PAGE_BYTES < this.#length; page += 1) if (!this.#dirty.has(page)) return false
    return true
  }

  #soil(from: number, to: number): void {
    for (let page = Math.floor(from / PAGE_BYTES); page * PAGE_BYTES < to; page += 1) this.#dirty.add(page)
  }

  /** Doubles the cache as it grows: a file of n appends is copied n log n times, not n². Most are written once. */
  #reserve(length: number): void {
    if (length <= this.#cache.length) return
    const grown = new Uint8Array(Math.max(length, this.#cache.length * 2))
    grown.set(this.#cache.subarray(0, this.#length))
    this.#cache = grown
  }
}

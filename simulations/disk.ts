// A disk in memory that obeys or fails on command, for simulated peers: the very store of production (crdt/log) runs on
// it. It models what a journalling file system promises and nothing more: written bytes sit in a page cache until a sync;
// a power loss keeps any sectors of the unsynced pages, the length before or after, and a prefix of the unsynced names;
// a failed sync leaves pages clean that were never written (fsyncgate). Everything random comes from the Random given.

import type { Files, OpenFile } from '../crdt/log/files.ts'
import { LogStore } from '../crdt/log/store.ts'
import type { Store } from '../crdt/store.ts'
import { assert, defined } from '../lib/assert.ts'
import { sortedEntries } from '../lib/order.ts'
import type { Random } from '../lib/random.ts'
import type { Clock } from '../lib/time.ts'
import { SimulatedFile } from './disk-file.ts'

export type DiskOperation = 'list' | 'read' | 'open' | 'write' | 'truncate' | 'sync' | 'rename' | 'remove'

export interface SimulatedDiskOptions {
  readonly random: Random
  /** For the slow mode; without it the disk is never slow. */
  readonly clock?: Clock
  /** Called before each operation takes effect; may crash, fill or break the disk. */
  readonly before?: (operation: DiskOperation, count: number) => void
  /** For messages. @default 'simulated disk' */
  readonly where?: string
}

/** Contents of a medium by file name. */
export type DiskImage = ReadonlyMap<string, Uint8Array>

interface Fault {
  readonly operation: DiskOperation
  readonly code: string
}

/** One operation: `act` is its effect, `onFault` what a failure leaves behind. */
type Step = <T>(operation: DiskOperation, act: () => T, onFault?: () => void) => Promise<T>

/** A failure as the system throws it. */
class DiskError extends Error {
  readonly code: string

  constructor(code: string) {
    super(`${code}: simulated`)
    this.code = code
  }
}

export class SimulatedDisk {
  /** Refuses everything that needs more space (ENOSPC), after having written a part of it. */
  full = false
  /** Milliseconds that every operation takes on the clock. */
  slowMs = 0
  readonly #random: Random
  readonly #options: SimulatedDiskOptions
  #names = new Map<string, SimulatedFile>()
  #durableNames = new Map<string, SimulatedFile>()
  /** Changes of names since the last directory sync, in order. */
  #unsyncedNames: ((names: Map<string, SimulatedFile>) => void)[] = []
  /** Handles of earlier processes are dead: what they still ask for never happens. */
  #life = 0
  #count = 0
  #faults: Fault[] = []

  constructor(options: SimulatedDiskOptions) {
    this.#options = options
    this.#random = options.random.fork('disk')
  }

  /** The store of a process that starts now; it is still to be loaded. */
  openStore(wrap: (files: Files) => Files = (files) => files): Store {
    return new LogStore(wrap(this.mount()))
  }

  /** The disk as a process that starts now sees it. */
  mount(): Files {
    const life = this.#life
    const step: Step = (operation, act, onFault) => this.#step(life, operation, act, onFault)
    return {
      where: this.#options.where ?? 'simulated disk',
      list: () => step('list', () => [...this.#names.keys()]),
      read: (name) => step('read', () => this.#names.get(name)?.read() ?? null),
      open: (name, mode) => step('open', () => this.#open(name, mode, step)),
      rename: (from, to) => step('rename', () => this.#rename(from, to)),
      remove: (name) =>
        step('remove', () => {
          this.#names.delete(name)
          this.#unsyncedNames.push((names) => names.delete(name))
        }),
      syncDirectory: () =>
        step('sync', () => {
          this.#durableNames = new Map(this.#names)
          this.#unsyncedNames = []
        }),
    }
  }

  /** What is on the medium under every durable name: what the worst power loss would leave, or a backup would take. */
  image(): DiskImage {
    return new Map(sortedEntries(this.#durableNames).map(([name, file]) => [name, file.durable()]))
  }

  /** Puts another medium in its place, of the same disk earlier or of another; an empty one is a wiped disk. */
  restore(image: DiskImage): void {
    this.#life += 1
    this.#unsyncedNames = []
    this.#names = new Map([...image].map(([name, bytes]) => [name, SimulatedFile.of(bytes)]))
    this.#durableNames = new Map(this.#names)
  }

  /** Power loss: of what was not synced anything may be gone, and parts of it. */
  crash(): void {
    this.#life += 1
    const kept = this.#random.below(this.#unsyncedNames.length + 1)
    for (const change of this.#unsyncedNames.slice(0, kept)) change(this.#durableNames)
    this.#unsyncedNames = []
    for (const file of new Set([...this.#names.values(), ...this.#durableNames.values()]))
      file.loseUnsynced(this.#random)
    this.#names = new Map(this.#durableNames)
  }

  /** The process ends (kill -9) and the machine lives on: what was written stays, what was under way does not happen. */
  kill(): void {
    this.#life += 1
  }

  /** Makes the next such operation fail with the system's code. A failed sync loses pages silently. */
  failNext(operation: DiskOperation, code: string): void {
    this.#faults.push({ operation, code })
  }

  /** Ends all trouble that was ordered: full, slow, failures to come. */
  heal(): void {
    this.full = false
    this.slowMs = 0
    this.#faults = []
  }

  bytesUsed(): number {
    let bytes = 0
    for (const file of this.#names.values()) bytes += file.length
    return bytes
  }

  /** Sorted names of the files. */
  files(): readonly string[] {
    return [...this.#names.keys()].sort()
  }

  /** Contents of one file, as a process would read them. */
  bytes(name: string): Uint8Array {
    return defined(this.#names.get(name), name).read()
  }

  /** Puts a file there, durably, behind the store's back. */
  put(name: string, bytes: Uint8Array): void {
    const file = SimulatedFile.of(bytes)
    this.#names.set(name, file)
    this.#durableNames.set(name, file)
  }

  /** Removes a file, durably, behind the store's back. */
  drop(name: string): void {
    this.#names.delete(name)
    this.#durableNames.delete(name)
  }

  /** Bit rot: flips bits of one byte, in the cache and on the medium. */
  flip(name: string, at: number, mask: number): void {
    const bytes = this.bytes(name)
    assert(at < bytes.length, 'there is a byte to flip')
    bytes[at] = (bytes[at] ?? 0) ^ mask
    this.put(name, bytes)
  }

  #open(name: string, mode: 'fresh' | 'existing', step: Step): OpenFile {
    let file = this.#names.get(name)
    if (file === undefined) {
      if (mode === 'existing') throw new DiskError('ENOENT')
      if (this.full) throw new DiskError('ENOSPC')
      const created = SimulatedFile.of(new Uint8Array())
      file = created
      this.#names.set(name, created)
      this.#unsyncedNames.push((names) => names.set(name, created))
    } else if (mode === 'fresh') file.truncate(0)
    const opened = file
    return {
      write: (bytes, at) => step('write', () => this.#write(opened, bytes, at)),
      truncate: (length) => step('truncate', () => opened.truncate(length)),
      sync: () =>
        step(
          'sync',
          () => opened.sync(),
          () => opened.failSync(this.#random),
        ),
      close: () => Promise.resolve(),
    }
  }

  #write(file: SimulatedFile, bytes: Uint8Array, at: number): void {
    const fits = this.full ? Math.max(0, file.length - at) : bytes.length
    if (bytes.length <= fits) return file.write(bytes, at)
    // The last block of a file has room beyond its end, so a part is written even on a full disk.
    file.write(bytes.subarray(0, fits + this.#random.below(Math.min(64, bytes.length - fits))), at)
    throw new DiskError('ENOSPC')
  }

  #rename(from: string, to: string): void {
    const file = this.#names.get(from)
    if (file === undefined) throw new DiskError('ENOENT')
    const change = (names: Map<string, SimulatedFile>): void => {
      names.delete(from)
      names.set(to, file)
    }
    change(this.#names)
    this.#unsyncedNames.push(change)
  }

  async #step<T>(life: number, operation: DiskOperation, act: () => T, onFault?: () => void): Promise<T> {
    const clock = this.#options.clock
    if (clock !== undefined && this.slowMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      clock.after(this.slowMs, resolve)
      await promise
    }
    if (life === this.#life) {
      this.#count += 1
      this.#options.before?.(operation, this.#count)
    }
    // The process that asked is gone: nothing happens, and nobody waits for the answer.
    if (life !== this.#life) return new Promise<T>(() => undefined)
    const fault = this.#faults.find((candidate) => candidate.operation === operation)
    if (fault !== undefined) {
      this.#faults = this.#faults.filter((candidate) => candidate !== fault)
      onFault?.()
      throw new DiskError(fault.code)
    }
    return act()
  }
}

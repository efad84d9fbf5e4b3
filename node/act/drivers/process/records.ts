// Records on disk, synced before anything is spawned (S10): one append-only log, in which all that is to be written in one
// moment shares a write and a sync, so that a hundred starts wait for the disk a few times and not a hundred
// (docs/adr/0019-record-log.md). Rewritten when most of it is past. Knows nothing of processes.

import { closeSync, fdatasync, mkdirSync, openSync, statSync, write } from 'node:fs'
import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { storageError } from '../../../../crdt/log/files.ts'
import type { InstanceId } from '../../../../lib/ids.ts'
import { sortedBy } from '../../../../lib/order.ts'
import { dropLine, recordLine, replay } from './record-log.ts'
import { fewATurn } from '../../few-a-turn.ts'
import { fileNameOf, parseRecord, type StoredRecord } from './record-text.ts'

/** All records of one driver, as its folder has them. */
export interface ReadRecords {
  /** By instance. */
  readonly records: readonly StoredRecord[]
  /** What could not be read, by name; the file that it is in was set aside for a person. */
  readonly damaged: readonly string[]
}

interface Waiting {
  readonly line: string
  readonly done: PromiseWithResolvers<void>
}

const LOG = 'log'
/** Of versions that kept each record in a file of its own; taken over into the log. */
const SUFFIX = '.json'
/**
 * The log grows by so many zeros at a time. A sync of bytes that lie within the file needs no journal of the file system,
 * which is half of its time; some 200 records fit.
 */
const ROOM_BYTES = 256 * 1024
/** Rewritten when it is this large, and this many times what its records take: a write costs one more of itself at most. */
const REWRITE_BYTES_MIN = 1024 * 1024
const REWRITE_FACTOR = 2

const writeAt = promisify(write)
const sync = promisify(fdatasync)
const nextTurn = promisify(setImmediate)

/** The log of records, and the names of files that it replaced. Call `readAll` first. */
export class Records {
  readonly #folder: string
  readonly #live = new Map<InstanceId, StoredRecord>()
  #waiting: Waiting[] = []
  #flushing: Promise<void> | null = null
  /** The open log; null: it is to be written anew before anything is added. */
  #descriptor: number | null = null
  #end = 0
  #room = 0
  /** Size that the log had when it held nothing but its records. */
  #bareBytes = 0
  #closed = false

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** Replaces a record; on disk when it resolves. @throws TuttiError `storage`. */
  async write(stored: StoredRecord): Promise<void> {
    const { instance } = stored.record
    this.#live.set(instance, stored)
    try {
      await this.#append(recordLine(stored))
    } catch (cause) {
      throw storageError(cause, `the record of ${instance} could not be written`)
    }
  }

  /** Drops a record; gone from disk when it resolves. Dropping what is not there is fine. */
  async remove(instance: InstanceId): Promise<void> {
    if (!this.#live.delete(instance)) return
    try {
      await this.#append(dropLine(instance))
    } catch (cause) {
      throw storageError(cause, `the record of ${instance} could not be dropped`)
    }
  }

  /** All records. What was torn or damaged is no longer in the log afterwards. @throws TuttiError `storage`. */
  async readAll(): Promise<ReadRecords> {
    const damaged: string[] = []
    const names = (await readdir(this.#folder)).toSorted()
    const files = names.filter((name) => name.endsWith(SUFFIX))
    for (const name of files) await this.#takeOver(name, damaged)
    let isWhole = false
    if (names.includes(LOG)) {
      const bytes = await readFile(this.#log)
      const read = replay(bytes)
      for (const stored of read.records) this.#live.set(stored.record.instance, stored)
      damaged.push(...read.damaged.map((line) => `${LOG}, line ${line}`))
      // Kept as it is; the records that are sound go on in a new one.
      if (read.damaged.length > 0) await rename(this.#log, `${this.#log}.damaged`)
      else isWhole = !read.isTorn && files.length === 0
      if (isWhole) this.#open(read.end, bytes.length)
    }
    if (!isWhole) await this.#rewrite()
    for (const name of files) await rm(join(this.#folder, name), { force: true })
    return { records: sortedBy(this.#live.values(), ({ record }) => record.instance), damaged }
  }

  /** Lets go of the file as soon as nobody waits for it any more. */
  close(): void {
    this.#closed = true
    if (this.#flushing === null) this.#letGo()
  }

  get #log(): string {
    return join(this.#folder, LOG)
  }

  /** A record of a version that kept it in a file of its own. */
  async #takeOver(name: string, damaged: string[]): Promise<void> {
    const path = join(this.#folder, name)
    const stored = parseRecord(await readFile(path, 'utf8'))
    if (stored !== null && `${fileNameOf(stored.record.instance)}${SUFFIX}` === name) {
      this.#live.set(stored.record.instance, stored)
      return
    }
    damaged.push(name)
    await rename(path, `${path}.damaged`)
  }

  async #append(line: string): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#waiting.push({ line, done })
    this.#flushing ??= this.#flush()
    await done.promise
  }

  async #flush(): Promise<void> {
    // Until all that waits for the same event has asked.
    await nextTurn()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#put(batch.map(({ line }) => line).join(''))
        // Not waited for: who asks meanwhile has the next sync.
        void fewATurn(batch, ({ done }) => done.resolve())
      } catch (error) {
        // How much of it the file holds is not known: it is written anew before anything comes after it.
        this.#letGo()
        for (const { done } of batch) done.reject(error)
      }
    }
    this.#flushing = null
    if (this.#closed) this.#letGo()
  }

  async #put(lines: string): Promise<void> {
    const isPast = this.#end > Math.max(REWRITE_BYTES_MIN, REWRITE_FACTOR * this.#bareBytes)
    // What the lines say is among the records already.
    if (this.#descriptor === null || isPast) {
      await this.#rewrite()
      return
    }
    const bytes = Buffer.from(lines)
    const end = this.#end + bytes.length
    const room = end <= this.#room ? 0 : ROOM_BYTES
    await writeFully(
      this.#descriptor,
      room === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(room)]),
      this.#end,
    )
    await sync(this.#descriptor)
    this.#end = end
    this.#room = Math.max(this.#room, end + room)
  }

  /** Puts a log in place that holds the present records and nothing else. */
  async #rewrite(): Promise<void> {
    this.#letGo()
    const lines = sortedBy(this.#live.values(), ({ record }) => record.instance).map(recordLine)
    const bytes = Buffer.from(lines.join(''))
    const temporary = `${this.#log}.tmp`
    try {
      await writeDurably(temporary, Buffer.concat([bytes, Buffer.alloc(ROOM_BYTES)]))
    } catch {
      // A disk that is all but full may still have room for what matters.
      await writeDurably(temporary, bytes)
    }
    await rename(temporary, this.#log)
    await syncFolder(this.#folder)
    this.#bareBytes = bytes.length
    this.#open(bytes.length, statSync(this.#log).size)
  }

  #open(end: number, room: number): void {
    this.#descriptor = openSync(this.#log, 'r+')
    this.#end = end
    this.#room = room
  }

  #letGo(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
  }
}

const writeFully = async (descriptor: number, bytes: Buffer, at: number): Promise<void> => {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await writeAt(descriptor, bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}

const writeDurably = async (path: string, bytes: Buffer): Promise<void> => {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
}

const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

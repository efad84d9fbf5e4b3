// Records on disk: one small file for each instance, replaced as a whole and synced before anything is spawned (S10).
// Also the names of an instance's other places, all derived from its id. Knows nothing of processes.

import { mkdirSync } from 'node:fs'
import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TuttiError } from '../../../../lib/errors.ts'
import type { InstanceId } from '../../../../lib/ids.ts'
import { sortedBy } from '../../../../lib/order.ts'
import { LATER_DEFAULTS } from '../../../../crdt/schema/service.ts'
import type { InstanceRecord } from '../../../ports.ts'

/** What the driver adds to a record. */
export interface StoredRecord {
  /** The boot in which it was spawned; in another one all its processes are gone. */
  readonly boot: string
  readonly record: InstanceRecord
}

const FORMAT = 1
/** A record fills whole pages, so that its next version mostly fits into its place: see `write`. */
const PAGE_BYTES = 4096
const SUFFIX = '.json'

/** An instance id as a file name: its parts are DNS labels and hex, so `~` is free. @throws TuttiError `invalid`. */
export const fileNameOf = (instance: InstanceId): string => {
  if (!/^[a-z0-9-]+\/[a-z0-9-]+\/[a-z0-9-]+@[a-z0-9]+$/.test(instance))
    throw new TuttiError('invalid', `'${instance}' is not the id of an instance`)
  return instance.replaceAll('/', '~')
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Null when the text is not a record that this version can act upon. */
export const parseRecord = (text: string): StoredRecord | null => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isTable(value) || value['format'] !== FORMAT || !isText(value['boot'])) return null
  const record = value['record']
  if (!isTable(record)) return null
  const texts = ['instance', 'slot', 'service', 'release', 'nonce']
  const counts = ['cpusMilli', 'memoryBytes', 'runs', 'failuresInARow']
  const definition = record['definition']
  const sound =
    texts.every((name) => isText(record[name])) &&
    counts.every((name) => typeof record[name] === 'number') &&
    typeof record['draining'] === 'boolean' &&
    /^[A-Za-z0-9_-]{8,128}$/.test(String(record['nonce'])) &&
    isTable(record['ports']) &&
    isTable(definition) &&
    Array.isArray(definition['command']) &&
    isTable(definition['ports']) &&
    Array.isArray(definition['uses'])
  // Written by this program and checked above as far as anything here relies on it.
  if (!sound) return null
  // Records of earlier versions do not have the later fields.
  const whole = { ...record, definition: { ...LATER_DEFAULTS, ...definition } }
  return { boot: value['boot'], record: whole as unknown as InstanceRecord }
}

/** The directory of records. */
export class Records {
  readonly #folder: string
  #temporary = 0
  /** Bytes of the records that this peer has written in full. */
  readonly #sizes = new Map<InstanceId, number>()
  readonly #writing = new Map<InstanceId, Promise<void>>()
  /** The sync under way, or the last one. */
  #sync: Promise<void> = Promise.resolve()
  #nextSync: Promise<void> | null = null

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /**
   * Replaces a record; on disk when it resolves. One of the same length is written over the old one, in one write: a peer
   * that is killed tears no write, and after a loss of power nothing is adopted anyway, so a record that it tore is no worse
   * than the old one. That saves a restart the file system's journal. @throws TuttiError `storage`.
   */
  async write(stored: StoredRecord): Promise<void> {
    const { instance } = stored.record
    // One after the other: the later one is the newer, and must stay.
    const turn = settled(this.#writing.get(instance) ?? Promise.resolve()).then(() => this.#write(stored))
    this.#writing.set(instance, turn)
    try {
      await turn
    } finally {
      if (this.#writing.get(instance) === turn) this.#writing.delete(instance)
    }
  }

  async #write(stored: StoredRecord): Promise<void> {
    const { instance } = stored.record
    const bytes = paged(JSON.stringify({ format: FORMAT, ...stored }))
    const known = this.#sizes.get(instance)
    this.#sizes.delete(instance)
    try {
      if (known === bytes.length) await writeDurably(this.#pathOf(instance), 'r+', bytes)
      else await this.#replace(this.#pathOf(instance), bytes)
      this.#sizes.set(instance, bytes.length)
    } catch (cause) {
      throw new TuttiError('storage', `the record of ${instance} could not be written`, { cause })
    }
  }

  async #replace(path: string, bytes: Buffer): Promise<void> {
    this.#temporary += 1
    const temporary = `${path}.${this.#temporary}.tmp`
    await writeDurably(temporary, 'w', bytes)
    await rename(temporary, path)
    await this.#syncFolder()
  }

  /** Drops a record; gone from disk when it resolves. Dropping what is not there is fine. */
  async remove(instance: InstanceId): Promise<void> {
    this.#sizes.delete(instance)
    await rm(this.#pathOf(instance), { force: true })
    await this.#syncFolder()
  }

  /** All records, sorted by instance, and the names of files that could not be read as one (set aside, kept for a person). */
  async readAll(): Promise<{
    readonly records: readonly StoredRecord[]
    readonly damaged: readonly string[]
  }> {
    const records: StoredRecord[] = []
    const damaged: string[] = []
    for (const name of (await readdir(this.#folder)).toSorted()) {
      const path = join(this.#folder, name)
      // Half-written ones of a crash: the record that they were to replace is still there.
      if (name.endsWith('.tmp')) await rm(path, { force: true })
      if (!name.endsWith(SUFFIX)) continue
      const stored = parseRecord(await readFile(path, 'utf8'))
      if (stored !== null && `${fileNameOf(stored.record.instance)}${SUFFIX}` === name) records.push(stored)
      else {
        damaged.push(name)
        await rename(path, `${path}.damaged`)
      }
    }
    return { records: sortedBy(records, (stored) => stored.record.instance), damaged }
  }

  #pathOf(instance: InstanceId): string {
    return join(this.#folder, `${fileNameOf(instance)}${SUFFIX}`)
  }

  /** Makes the names in the folder durable. Calls that wait for the present sync share the next one. */
  #syncFolder(): Promise<void> {
    this.#nextSync ??= settled(this.#sync).then(async () => {
      this.#nextSync = null
      this.#sync = syncOnce(this.#folder)
      await this.#sync
    })
    return this.#nextSync
  }
}

/** The text in whole pages: blanks after a JSON value mean nothing. */
const paged = (text: string): Buffer => {
  const length = Buffer.byteLength(text)
  const bytes = Buffer.alloc(Math.ceil(length / PAGE_BYTES) * PAGE_BYTES, ' ')
  bytes.write(text)
  return bytes
}

const writeDurably = async (path: string, flags: string, bytes: Buffer): Promise<void> => {
  const file = await open(path, flags, 0o600)
  try {
    await file.writeFile(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
}

/** Its failure was told to those who waited for it. */
const settled = async (work: Promise<void>): Promise<void> => {
  await work.catch(() => undefined)
}

const syncOnce = async (path: string): Promise<void> => {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

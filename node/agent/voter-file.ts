// The voter's word on the disk: one small file, replaced as a whole and synced before anybody hears of what is new in it.
// Writes are made one after the other. Deliberately absent: what the word says (crdt/schema/lease.ts).

import type { Files } from '../../crdt/log/files.ts'
import { decodeVoterRecord, encodeVoterRecord, type VoterRecord } from '../../crdt/schema/lease.ts'
import { concatBytes, sameBytes } from '../../lib/bytes.ts'
import { sha256 } from '../../lib/hash.ts'

/** Beside the log's files, whose names are others. */
const NAME = 'voter'
const DRAFT = 'voter.next'
/** Of SHA-256: what rots is noticed. */
const CHECK_BYTES = 16

export class VoterFile {
  readonly #files: Files

  constructor(files: Files) {
    this.#files = files
  }

  /** The last word; null: none, or none that can be read. @throws as the disk does. */
  async load(): Promise<VoterRecord | null> {
    const bytes = await this.#files.read(NAME)
    if (bytes === null || bytes.length < CHECK_BYTES) return null
    const body = bytes.subarray(CHECK_BYTES)
    return sameBytes(bytes.subarray(0, CHECK_BYTES), checkOf(body)) ? decodeVoterRecord(body) : null
  }

  /** Durable when it resolves. One at a time. @throws as the disk does; then the word before it still holds. */
  async save(record: VoterRecord): Promise<void> {
    const body = encodeVoterRecord(record)
    const file = await this.#files.open(DRAFT, 'fresh')
    try {
      await file.write(concatBytes([checkOf(body), body]), 0)
      await file.sync('bytes')
    } finally {
      await file.close()
    }
    await this.#files.rename(DRAFT, NAME)
    await this.#files.syncDirectory()
  }
}

const checkOf = (body: Uint8Array): Uint8Array => sha256(body).slice(0, CHECK_BYTES)

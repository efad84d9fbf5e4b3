// The status record: some entries that one member says of itself, signed by it. Each record also names the earlier
// records of the same incarnation that still matter (`retained`), so that whoever holds a record knows exactly what else
// it needs, without trusting whoever relayed it: the member's status at `seq` is these records' entries, later over
// earlier, and nothing else. A record that retains none replaces everything before it.

import { ByteReader, ByteWriter, concatBytes, utf8 } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import { memberIdOf, type MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { verifySignature, type Signer } from '../lib/signature.ts'
import { STATUS_KEYS_MAX, STATUS_KEY_BYTES_MAX, STATUS_VALUE_BYTES_MAX } from './schema/status.ts'
import { sharedReading, sharedRecord } from './status-share.ts'

export interface StatusEntry {
  readonly key: string
  /** JSON text; null deletes. */
  readonly value: string | null
}

export interface StatusRecord {
  readonly member: MemberId
  readonly incarnation: number
  /** 1 for the first record of an incarnation. */
  readonly seq: number
  /** Earlier seqs that still matter, ascending. */
  readonly retained: readonly number[]
  readonly entries: readonly StatusEntry[]
}

export type StatusHead = Pick<StatusRecord, 'member' | 'incarnation' | 'seq'>

const VERSION = 1
const MEMBER_BYTES_MAX = 64
const SIGNATURE_BYTES = 64
/** No other signature of tutti starts so. */
const DOMAIN = utf8('tutti/status/1/')
/** First byte of an entry's value: deleted, or JSON follows. */
const DELETED = 0
const PRESENT = 1

const bodyOf = (record: StatusRecord): Uint8Array => {
  const writer = new ByteWriter()
    .varint(VERSION)
    .text(record.member)
    .varint(record.incarnation)
    .varint(record.seq)
    .varint(record.retained.length)
  let last = 0
  for (const seq of record.retained) {
    writer.varint(seq - last)
    last = seq
  }
  writer.varint(record.entries.length)
  for (const { key, value } of record.entries) {
    writer.text(key).varint(value === null ? DELETED : PRESENT)
    if (value !== null) writer.text(value)
  }
  return writer.finish()
}

/** The signed encoding. @throws TuttiError `too-large`. */
export const sealStatus = (signer: Signer, record: Omit<StatusRecord, 'member'>): Uint8Array => {
  const body = bodyOf({ ...record, member: signer.member })
  const sealed = concatBytes([body, signer.sign(concatBytes([DOMAIN, body]))])
  if (sealed.length > LIMITS.statusBytesMax)
    throw new TuttiError(
      'too-large',
      `a status record of ${sealed.length} bytes exceeds ${LIMITS.statusBytesMax}`,
    )
  return sealed
}

/** Reads a record and verifies its signature. @throws TuttiError `invalid` or `too-large`. */
export const openStatus = (sealed: Uint8Array): StatusRecord => sharedRecord(sealed, opened)

const opened = (sealed: Uint8Array): StatusRecord => {
  if (sealed.length > LIMITS.statusBytesMax)
    throw new TuttiError(
      'too-large',
      `a status record of ${sealed.length} bytes exceeds ${LIMITS.statusBytesMax}`,
    )
  const body = sealed.subarray(0, Math.max(0, sealed.length - SIGNATURE_BYTES))
  const record = readBody(new ByteReader(body))
  const signature = sealed.subarray(body.length)
  if (!verifySignature(record.member, concatBytes([DOMAIN, body]), signature))
    throw new TuttiError('invalid', 'the status record is not signed by its member')
  return record
}

/** Whose record it claims to be, and which: enough to drop one that is known, before its signature costs anything. */
export const statusHeadOf = (sealed: Uint8Array): StatusHead => sharedReading(sealed, headOf)

const headOf = (sealed: Uint8Array): StatusHead => readHead(new ByteReader(sealed))

const readHead = (reader: ByteReader): StatusHead => {
  if (reader.varint() !== VERSION)
    throw new TuttiError('unsupported', 'the status record is of another version of tutti')
  const member = memberIdOf(reader.text(MEMBER_BYTES_MAX))
  return { member, incarnation: reader.varint(), seq: reader.varint() }
}

const readBody = (reader: ByteReader): StatusRecord => {
  const { member, incarnation, seq } = readHead(reader)
  if (seq < 1) throw new TuttiError('invalid', 'the status record has no seq')
  const retained: number[] = []
  let last = 0
  for (let left = bounded(reader.varint()); left > 0; left -= 1) {
    const step = reader.varint()
    last += step
    if (step < 1 || last >= seq)
      throw new TuttiError('invalid', 'the status record retains what is not before it')
    retained.push(last)
  }
  const entries: StatusEntry[] = []
  const keys = new Set<string>()
  for (let left = bounded(reader.varint()); left > 0; left -= 1) {
    const key = reader.text(STATUS_KEY_BYTES_MAX)
    if (keys.has(key)) throw new TuttiError('invalid', 'the status record names a key twice')
    keys.add(key)
    const kind = reader.varint()
    // The reader takes each integer and text in one form only, so with this one record has one encoding.
    if (kind !== PRESENT && kind !== DELETED)
      throw new TuttiError('invalid', 'the status record is not in its canonical form')
    entries.push({ key, value: kind === PRESENT ? reader.text(STATUS_VALUE_BYTES_MAX) : null })
  }
  reader.end()
  return { member, incarnation, seq, retained, entries }
}

const bounded = (count: number): number => {
  // Live entries and tombstones together; see MemberLog for why tombstones never outnumber the live ones by much.
  if (count > 2 * STATUS_KEYS_MAX)
    throw new TuttiError('too-large', 'the status record names more records or keys than a member may have')
  return count
}

// Messages of anti-entropy, encoded and decoded. Every length is bounded before anything is allocated; one that is not
// wholly understood is refused as a whole.

import { unreachable } from '../lib/assert.ts'
import { ByteReader, ByteWriter, fromHex, toHex } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import { memberIdOf, type ActorId, type MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { compareStrings, sortedEntries } from '../lib/order.ts'
import { RECORD_BYTES_MAX } from './record.ts'
import type { StatusCursor } from './status-map.ts'

export interface Vectors {
  /** Null: that part is equal already. */
  readonly intent: ReadonlyMap<ActorId, number> | null
  readonly status: ReadonlyMap<MemberId, StatusCursor> | null
}

/** Cursors of all members of a list, in its order. */
export interface ListedCursors {
  /** The list's fingerprint, hex. */
  readonly list: string
  /** Incarnation 0: nothing is known of that member. */
  readonly cursors: readonly StatusCursor[]
}

export type SyncMessage =
  /** What I have, as two fingerprints. */
  | { readonly kind: 'digest'; readonly intent: string; readonly status: string }
  /** Answer to a digest: mine is the same. */
  | { readonly kind: 'equal' }
  /** What I have, in detail: send what I lack. `answer`: and ask me for what you lack. */
  | ({ readonly kind: 'vectors'; readonly answer: boolean } & Vectors)
  /** The same, the cursors of status in the order of a list of members that both have: a thousand names are 50 kB. */
  | {
      readonly kind: 'listed'
      readonly answer: boolean
      readonly intent: Vectors['intent']
      readonly status: ListedCursors
    }
  /**
   * What you lack. `more`: it is not all; ask again once it is in. As decoded, records of status are parts of the message: most of
   * them are known, and whoever keeps one copies it.
   */
  | {
      readonly kind: 'records'
      readonly more: boolean
      readonly intent: readonly Uint8Array[]
      readonly status: readonly Uint8Array[]
    }

const VERSION = 1
const KINDS = ['digest', 'equal', 'vectors', 'records', 'listed'] as const
/** What a member says in its status that it reads of these messages. 1: `listed`, which others are not sent. */
export const SYNC_FORMAT = 1
/** Of a list's fingerprint: lists differ while a member comes or goes, so chance is all there is to fear. */
const LIST_BYTES = 8
/**
 * Digests travel shortened to 16 bytes: they only say whether to look closer, and two honest documents meet by chance
 * once in 2^64 comparisons. So an idle round is 34 bytes one way and 2 the other.
 */
const DIGEST_BYTES = 16

/** The fingerprint of a list of members as it travels. */
export const shortList = (digest: string): string => digest.slice(0, 2 * LIST_BYTES)

/** A full digest as it is compared. */
export const shortDigest = (digest: string): string => digest.slice(0, 2 * DIGEST_BYTES)

export const encodeSync = (message: SyncMessage): Uint8Array => {
  const writer = new ByteWriter().varint(VERSION).varint(KINDS.indexOf(message.kind))
  switch (message.kind) {
    case 'digest':
      // One field of a fixed length, to save the two bytes.
      return writer.bytes(fromHex(message.intent + message.status)).finish()
    case 'equal':
      return writer.finish()
    case 'vectors':
      writer.varint(message.answer ? 1 : 0)
      writeIntentVector(writer, message.intent)
      writeStatusVector(writer, message.status)
      return writer.finish()
    case 'listed':
      writer.varint(message.answer ? 1 : 0)
      writeIntentVector(writer, message.intent)
      writeCursors(writer, message.status)
      return writer.finish()
    case 'records':
      writer.varint(message.more ? 1 : 0)
      for (const records of [message.intent, message.status]) {
        writer.varint(records.length)
        for (const record of records) writer.bytes(record)
      }
      return writer.finish()
    default:
      return unreachable(message)
  }
}

const writeIntentVector = (writer: ByteWriter, vector: ReadonlyMap<ActorId, number> | null): void => {
  writer.varint(vector === null ? 0 : vector.size + 1)
  for (const [actor, seq] of vector === null ? [] : sortedEntries(vector))
    writer.bytes(fromHex(actor)).varint(seq)
}

const writeStatusVector = (writer: ByteWriter, vector: ReadonlyMap<MemberId, StatusCursor> | null): void => {
  writer.varint(vector === null ? 0 : vector.size + 1)
  for (const [member, { incarnation, seq }] of vector === null
    ? []
    : [...vector].sort(([a], [b]) => compareStrings(a, b)))
    writer.text(member).varint(incarnation).varint(seq)
}

/** Incarnations are seconds of wall clocks: what they are above the lowest is mostly short. */
const writeCursors = (writer: ByteWriter, { list, cursors }: ListedCursors): void => {
  const known = cursors.filter(({ incarnation }) => incarnation > 0)
  const lowest = known.reduce((least, { incarnation }) => Math.min(least, incarnation), Infinity)
  const base = known.length === 0 ? 0 : lowest - 1
  writer.bytes(fromHex(list)).varint(base).varint(cursors.length)
  for (const { incarnation, seq } of cursors)
    writer.varint(incarnation === 0 ? 0 : incarnation - base).varint(seq)
}

/** @throws TuttiError on anything but one whole message. */
export const decodeSync = (bytes: Uint8Array): SyncMessage => {
  if (bytes.length > LIMITS.messageBytesMax)
    throw new TuttiError('too-large', `a message of ${bytes.length} bytes exceeds ${LIMITS.messageBytesMax}`)
  const reader = new ByteReader(bytes)
  if (reader.varint() !== VERSION)
    throw new TuttiError('unsupported', 'the message is of another version of tutti')
  const message = readMessage(reader)
  reader.end()
  return message
}

const readMessage = (reader: ByteReader): SyncMessage => {
  const kind = KINDS[reader.varint()]
  switch (kind) {
    case 'digest': {
      const both = toHex(reader.bytes(2 * DIGEST_BYTES))
      if (both.length !== 4 * DIGEST_BYTES) throw new TuttiError('invalid', 'a digest has the wrong length')
      return { kind, intent: shortDigest(both), status: both.slice(2 * DIGEST_BYTES) }
    }
    case 'equal':
      return { kind }
    case 'vectors': {
      const answer = reader.varint() === 1
      const intent = readIntentVector(reader)
      const status = readVector(
        reader,
        () => memberIdOf(reader.text(64)),
        () => ({ incarnation: reader.varint(), seq: reader.varint() }),
      )
      return { kind, answer, intent, status }
    }
    case 'listed': {
      const answer = reader.varint() === 1
      const intent = readIntentVector(reader)
      return { kind, answer, intent, status: readCursors(reader) }
    }
    case 'records': {
      const more = reader.varint() === 1
      const intent = readRecords(() => reader.bytes(RECORD_BYTES_MAX), reader.varint())
      return {
        kind,
        more,
        intent,
        status: readRecords(() => reader.view(LIMITS.statusBytesMax), reader.varint()),
      }
    }
    case undefined:
    default:
      throw new TuttiError('unsupported', 'the message is of a kind that this version does not know')
  }
}

const readActor = (reader: ByteReader): ActorId => {
  const bytes = reader.bytes(16)
  if (bytes.length !== 16) throw new TuttiError('invalid', 'an actor has the wrong length')
  return toHex(bytes) as ActorId
}

// A count that lies runs into the end of the message: nothing is allocated ahead.
const readIntentVector = (reader: ByteReader): Map<ActorId, number> | null =>
  readVector(
    reader,
    () => readActor(reader),
    () => reader.varint(),
  )

const readVector = <K, V>(reader: ByteReader, key: () => K, value: () => V): Map<K, V> | null => {
  const count = reader.varint()
  if (count === 0) return null
  const vector = new Map<K, V>()
  for (let left = count - 1; left > 0; left -= 1) vector.set(key(), value())
  return vector
}

const readCursors = (reader: ByteReader): ListedCursors => {
  const list = reader.bytes(LIST_BYTES)
  if (list.length !== LIST_BYTES)
    throw new TuttiError('invalid', 'the fingerprint of a list has the wrong length')
  const base = reader.varint()
  const cursors: StatusCursor[] = []
  for (let left = reader.varint(); left > 0; left -= 1) {
    const above = reader.varint()
    cursors.push({ incarnation: above === 0 ? 0 : base + above, seq: reader.varint() })
  }
  return { list: toHex(list), cursors }
}

const readRecords = (read: () => Uint8Array, count: number): Uint8Array[] => {
  const records: Uint8Array[] = []
  for (let left = count; left > 0; left -= 1) records.push(read())
  return records
}

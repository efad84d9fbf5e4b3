// The record: how an intent change travels and is stored. It carries who wrote it and their signature over the raw
// change, so that it proves itself whoever relays it. Canonical: one record has one encoding. Knows nothing of what
// the change says; validate.ts judges that.

import { ByteReader, ByteWriter, concatBytes, fromHex, toHex, utf8 } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import { memberIdOf, type ActorId, type ChangeHash, type ClusterId, type MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { verifySignature, type Signer } from '../lib/signature.ts'

export interface IntentRecord {
  readonly author: MemberId
  readonly actor: ActorId
  readonly seq: number
  readonly hash: ChangeHash
  /** The change as Automerge reads it, uncompressed. */
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
}

const VERSION = 1
/** A base58 peer id of an Ed25519 key is 52 characters; a little room costs nothing. */
const MEMBER_BYTES_MAX = 64
/** Everything but the change: version, member, actor, seq, hash, signature and lengths. */
const ENVELOPE_BYTES_MAX = 256
export const RECORD_BYTES_MAX = LIMITS.changeBytesMax + ENVELOPE_BYTES_MAX

/**
 * What is signed: a prefix that no other signature of tutti starts with, the cluster, so that a change cannot be moved
 * to another cluster of the same founder, and the raw change, which holds actor and seq.
 */
export const recordSigningBytes = (cluster: ClusterId, bytes: Uint8Array): Uint8Array =>
  concatBytes([utf8(`tutti/intent/1/${cluster}/`), bytes])

export const signRecord = (
  signer: Signer,
  cluster: ClusterId,
  change: Omit<IntentRecord, 'author' | 'signature'>,
): IntentRecord => ({
  ...change,
  author: signer.member,
  signature: signer.sign(recordSigningBytes(cluster, change.bytes)),
})

export const recordIsAuthentic = (cluster: ClusterId, record: IntentRecord): boolean =>
  verifySignature(record.author, recordSigningBytes(cluster, record.bytes), record.signature)

export const encodeRecord = (record: IntentRecord): Uint8Array =>
  new ByteWriter()
    .varint(VERSION)
    .text(record.author)
    .bytes(fromHex(record.actor))
    .varint(record.seq)
    .bytes(fromHex(record.hash))
    .bytes(record.bytes)
    .bytes(record.signature)
    .finish()

/** @throws TuttiError `invalid` or `too-large` on anything but one record. Proves nothing yet: check signature and hash. */
export const decodeRecord = (bytes: Uint8Array): IntentRecord => {
  if (bytes.length > RECORD_BYTES_MAX)
    throw new TuttiError('too-large', `a record of ${bytes.length} bytes exceeds ${RECORD_BYTES_MAX}`)
  const reader = new ByteReader(bytes)
  if (reader.varint() !== VERSION)
    throw new TuttiError('unsupported', 'the record is of another version of tutti')
  const author = memberIdOf(reader.text(MEMBER_BYTES_MAX))
  const actor = reader.bytes(16)
  const seq = reader.varint()
  const hash = reader.bytes(32)
  const change = reader.bytes(LIMITS.changeBytesMax)
  const signature = reader.bytes(64)
  reader.end()
  if (actor.length !== 16 || hash.length !== 32 || signature.length !== 64)
    throw new TuttiError('invalid', 'a field of the record has the wrong length')
  return {
    author,
    actor: toHex(actor) as ActorId,
    seq,
    hash: toHex(hash) as ChangeHash,
    bytes: change,
    signature,
  }
}

// The join protocol's two messages. The newcomer connects with the invite's key, which Noise proves, and names the key
// it will live under from then on with a signature by that key: so nobody can have a stranger's key admitted. Codec
// and signature only; admission.ts judges.

import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import { memberIdOf, type ClusterId, type MemberId } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { verifySignature, type Signer } from '../lib/signature.ts'

export interface JoinRequest {
  readonly cluster: ClusterId
  /** The newcomer's own key. */
  readonly member: MemberId
  /** What it wants to be called. */
  readonly name: string
  /** The operator chose the name: it is taken as it is, or refused. Otherwise a free one like it is found. */
  readonly nameChosen: boolean
  /** Where it listens. */
  readonly addresses: readonly string[]
  /** By `member`, over cluster, invite and member. */
  readonly signature: Uint8Array
}

/** A refusal is no answer: it travels as the error's sentence. */
export interface JoinAnswer {
  readonly cluster: ClusterId
  /** The name it was admitted under. */
  readonly name: string
  readonly members: readonly { readonly id: MemberId; readonly addresses: readonly string[] }[]
}

const REQUEST_VERSION = 1
const ANSWER_VERSION = 1
const DOMAIN = 'tutti/join/1/'
const TEXT_BYTES_MAX = 1024
/** As many as a status may name (PeerFacts). */
const ADDRESSES_MAX = 32
const SIGNATURE_BYTES = 64

const signedBytes = (cluster: ClusterId, invite: MemberId, member: MemberId): Uint8Array =>
  new ByteWriter().text(DOMAIN).text(cluster).text(invite).text(member).finish()

/** The newcomer's request under the invite, signed by its own key. */
export const signJoin = (
  request: Omit<JoinRequest, 'member' | 'signature'>,
  invite: MemberId,
  signer: Signer,
): JoinRequest => ({
  ...request,
  member: signer.member,
  signature: signer.sign(signedBytes(request.cluster, invite, signer.member)),
})

/** Whether the key that the request names really asks for it, under this invite. */
export const joinIsSigned = (request: JoinRequest, invite: MemberId): boolean =>
  verifySignature(request.member, signedBytes(request.cluster, invite, request.member), request.signature)

export const encodeJoinRequest = (request: JoinRequest): Uint8Array => {
  const writer = new ByteWriter().varint(REQUEST_VERSION)
  writer.text(request.cluster).text(request.member).text(request.name)
  writer.varint(request.nameChosen ? 1 : 0)
  writeAll(writer, request.addresses)
  return writer.bytes(request.signature).finish()
}

/** @throws TuttiError `invalid`, `too-large` or `unsupported` on anything but one whole request. */
export const decodeJoinRequest = (bytes: Uint8Array): JoinRequest => {
  const reader = new ByteReader(bytes)
  expectVersion(reader.varint(), REQUEST_VERSION)
  const request = {
    cluster: reader.text(TEXT_BYTES_MAX) as ClusterId,
    member: reader.text(TEXT_BYTES_MAX) as MemberId,
    name: reader.text(TEXT_BYTES_MAX),
    nameChosen: flagOf(reader.varint()),
    addresses: readAll(reader),
    signature: reader.bytes(SIGNATURE_BYTES),
  }
  reader.end()
  return request
}

export const encodeJoinAnswer = (answer: JoinAnswer): Uint8Array => {
  const writer = new ByteWriter().varint(ANSWER_VERSION).text(answer.cluster).text(answer.name)
  writer.varint(answer.members.length)
  for (const member of answer.members) writeAll(writer.text(member.id), member.addresses)
  return writer.finish()
}

/** @throws TuttiError `invalid`, `too-large` or `unsupported` on anything but one whole answer. */
export const decodeJoinAnswer = (bytes: Uint8Array): JoinAnswer => {
  const reader = new ByteReader(bytes)
  expectVersion(reader.varint(), ANSWER_VERSION)
  const cluster = reader.text(TEXT_BYTES_MAX) as ClusterId
  const name = reader.text(TEXT_BYTES_MAX)
  const count = countOf(reader.varint(), LIMITS.membersMax)
  const members: JoinAnswer['members'][number][] = []
  for (let at = 0; at < count; at += 1) {
    members.push({ id: memberIdOf(reader.text(TEXT_BYTES_MAX)), addresses: readAll(reader) })
  }
  reader.end()
  return { cluster, name, members }
}

const writeAll = (writer: ByteWriter, texts: readonly string[]): void => {
  // The reader refuses more; the first ones are the most reachable.
  const sent = texts.slice(0, ADDRESSES_MAX)
  writer.varint(sent.length)
  for (const text of sent) writer.text(text)
}

const readAll = (reader: ByteReader): readonly string[] => {
  const count = countOf(reader.varint(), ADDRESSES_MAX)
  const texts: string[] = []
  for (let at = 0; at < count; at += 1) texts.push(reader.text(TEXT_BYTES_MAX))
  return texts
}

const countOf = (count: number, countMax: number): number => {
  if (count > countMax) throw new TuttiError('too-large', `a list of ${count} exceeds ${countMax}`)
  return count
}

const flagOf = (value: number): boolean => {
  if (value > 1) throw new TuttiError('invalid', 'a flag is neither 0 nor 1')
  return value === 1
}

const expectVersion = (version: number, expected: number): void => {
  if (version === expected) return
  throw new TuttiError(
    'unsupported',
    'the other side speaks another version of joining; run the same tutti on both',
  )
}

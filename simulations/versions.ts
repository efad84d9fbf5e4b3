// Versions of tutti in one simulated cluster: an older peer and a newer one than the code under test, as the others meet
// them. What differs is what they say of themselves; the transport of such a peer says it in its member's name, sealed
// anew, so that the signatures hold. An older one knows less: no later status keys and fields, an earlier placement
// version, no later fields in the document. A newer one says more: keys, fields and a placement version that nobody knows.
// Deliberately absent: when a machine runs which version (faults/versions.ts), and how a version would act otherwise.

import { concatBytes } from '../lib/bytes.ts'
import type { Signer } from '../lib/signature.ts'
import { canonicalJson } from '../lib/order.ts'
import { STATUS_KEYS } from '../crdt/status-decode.ts'
import { openStatus, sealStatus, statusHeadOf, type StatusEntry } from '../crdt/status-record.ts'
import { decodeSync, encodeSync } from '../crdt/sync-message.ts'
import type { Transport } from '../net/transport.ts'
import { PLACEMENT_VERSION } from '../node/plan/placement-version.ts'

export type Version = 'older' | 'present' | 'newer'

/** The placement version that a peer of this version speaks at most. */
export const placementVersionMaxOf = (version: Version): number =>
  version === 'older' ? 1 : version === 'newer' ? PLACEMENT_VERSION + 1 : PLACEMENT_VERSION

/** First byte of a gossiped status (node/agent/replication.ts). */
const GOSSIP_STATUS = 2
/** What an older version does not say yet: keys, and fields of instances. None of it decides where anything runs. */
const LATER_KEYS: ReadonlySet<string> = new Set([STATUS_KEYS.confinement, STATUS_KEYS.formats])
const LATER_FIELDS: ReadonlySet<string> = new Set(['unfulfilledSince', 'exit', 'output'])
/** A key, and a field of every value, that no version knows. */
const TOMORROW = 'tomorrow'

/** The transport of a peer of that version. The signer is its member's. */
export const speaking = (version: Version, transport: Transport, signer: Signer): Transport => {
  if (version === 'present') return transport
  const said = (record: Uint8Array): Uint8Array => inWordsOf(version, record, signer)
  // One message goes to all neighbours.
  const retellings = new WeakMap<Uint8Array, Uint8Array>()
  const retoldOnce = (bytes: Uint8Array): Uint8Array => {
    const known = retellings.get(bytes) ?? retold(bytes, said)
    retellings.set(bytes, known)
    return known
  }
  return {
    self: transport.self,
    start: (events) => transport.start(events),
    stop: () => transport.stop(),
    addresses: () => transport.addresses(),
    setMembers: (members) => transport.setMembers(members),
    setInvites: (invites) => transport.setInvites(invites),
    dial: (member, addresses) => transport.dial(member, addresses),
    disconnect: (member) => transport.disconnect(member),
    connections: () => transport.connections(),
    send: (to, channel, bytes) => transport.send(to, channel, channel === 'sync' ? retoldOnce(bytes) : bytes),
    publish: (bytes) => transport.publish(bytes[0] === GOSSIP_STATUS ? republished(bytes, said) : bytes),
    request: (to, method, body, options) => transport.request(to, method, body, options),
  }
}

const republished = (bytes: Uint8Array, said: (record: Uint8Array) => Uint8Array): Uint8Array =>
  concatBytes([Uint8Array.of(GOSSIP_STATUS), said(bytes.subarray(1))])

const retold = (bytes: Uint8Array, said: (record: Uint8Array) => Uint8Array): Uint8Array => {
  const message = decodeSync(bytes)
  if (message.kind !== 'records' || message.status.length === 0) return bytes
  return encodeSync({ ...message, status: message.status.map(said) })
}

/** A status record as that version would have sealed it; others' records as they are. */
const inWordsOf = (version: Exclude<Version, 'present'>, sealed: Uint8Array, signer: Signer): Uint8Array => {
  // A liar's rubbish is not this member's word.
  if (statusHeadOf(sealed).member !== signer.member) return sealed
  const { incarnation, seq, retained, entries } = openStatus(sealed)
  const words = version === 'older' ? olderWords(entries) : newerWords(entries, seq)
  return sealStatus(signer, { incarnation, seq, retained, entries: words })
}

const olderWords = (entries: readonly StatusEntry[]): readonly StatusEntry[] =>
  entries
    .filter(({ key }) => !LATER_KEYS.has(key))
    .map((entry) => altered(entry, (fields) => fields.filter(([name]) => !LATER_FIELDS.has(name))))

const newerWords = (entries: readonly StatusEntry[], seq: number): readonly StatusEntry[] => [
  ...entries.map((entry) => altered(entry, (fields) => [...fields, [TOMORROW, { said: seq }]])),
  { key: `${TOMORROW}/${seq % 3}`, value: canonicalJson({ seq }) },
]

type Fields = readonly (readonly [string, unknown])[]

const altered = ({ key, value }: StatusEntry, alter: (fields: Fields) => Fields): StatusEntry => {
  const fields: unknown = value === null ? null : JSON.parse(value)
  if (value === null || typeof fields !== 'object' || fields === null) return { key, value }
  return { key, value: JSON.stringify(Object.fromEntries(alter(Object.entries(fields)))) }
}

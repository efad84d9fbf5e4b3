// Ed25519 signatures by member id. A member id is its public key (libp2p's identity multihash), so verifying needs no
// look-up and no trust in whoever relayed the bytes. Signing takes the raw 32-byte seed; key files are the shell's.

import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { decodeBase58, encodeBase58 } from './base58.ts'
import { TuttiError } from './errors.ts'
import { memberIdOf, type MemberId } from './ids.ts'

/** Signs in the name of one member. */
export interface Signer {
  readonly member: MemberId
  /** 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array
}

// libp2p peer id of an Ed25519 key: identity multihash (00, length 24) of the protobuf {type: Ed25519, data: 32 bytes}.
const PEER_ID_PREFIX = Uint8Array.from([0x00, 0x24, 0x08, 0x01, 0x12, 0x20])
// DER wrappers around a raw key (RFC 8410 §4 and §7).
const PKCS8_PREFIX = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
])
const SPKI_PREFIX = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00])

const joined = (head: Uint8Array, tail: Uint8Array): Buffer => Buffer.concat([head, tail])

/** The member id of a raw 32-byte public key. */
export const memberIdOfKey = (publicKey: Uint8Array): MemberId =>
  memberIdOf(encodeBase58(joined(PEER_ID_PREFIX, publicKey)))

/** The raw 32-byte public key that a member id is. @throws TuttiError `invalid` when it is not an Ed25519 peer id. */
export const keyOfMemberId = (member: MemberId): Uint8Array => {
  const bytes = decodeBase58(member)
  const prefixed = PEER_ID_PREFIX.every((byte, at) => bytes[at] === byte)
  if (bytes.length !== PEER_ID_PREFIX.length + 32 || !prefixed) {
    throw new TuttiError('invalid', `'${member}' is not the peer id of an Ed25519 key`)
  }
  return bytes.subarray(PEER_ID_PREFIX.length)
}

/** A signer from a raw 32-byte Ed25519 seed. */
export const signerFromSeed = (seed: Uint8Array): Signer => {
  const key = createPrivateKey({ key: joined(PKCS8_PREFIX, seed), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const member = memberIdOfKey(spki.subarray(SPKI_PREFIX.length))
  return {
    member,
    sign: (bytes) => {
      const signature = new Uint8Array(sign(null, bytes, key))
      // What was signed in this very process needs no proof.
      if (verdicts !== null) keepVerdict(signature, { member, bytes: bytes.slice(), genuine: true })
      return signature
    },
  }
}

// Importing a key costs as much as half a verification; a fleet has few members, so the keys are kept (bounded below).
const KEYS_KEPT_MAX = 4096
const keys = new Map<MemberId, KeyObject>()

const keyObjectOf = (member: MemberId): KeyObject => {
  const kept = keys.get(member)
  if (kept !== undefined) return kept
  const key = createPublicKey({
    key: joined(SPKI_PREFIX, keyOfMemberId(member)),
    format: 'der',
    type: 'spki',
  })
  if (keys.size >= KEYS_KEPT_MAX) keys.clear()
  keys.set(member, key)
  return key
}

/** Whether a text is the peer id of an Ed25519 key. */
export const isMemberId = (text: string): text is MemberId => {
  try {
    keyObjectOf(text as MemberId)
    return true
  } catch {
    return false
  }
}

interface Verdict {
  readonly member: MemberId
  readonly bytes: Uint8Array
  readonly genuine: boolean
}

/** Verdicts by signature, each with all that it is a pure function of. Null: none are kept. */
let verdicts: Map<string, Verdict> | null = null
let verdictsMax = 0

/**
 * Keeps the last `max` verdicts from now on, 0 for none. For a process in which many peers verify the same records, as in a
 * simulation; one peer meets hardly any record twice, so production keeps none. @default 0
 */
export const keepVerdicts = (max: number): void => {
  verdicts = max > 0 ? new Map() : null
  verdictsMax = max
}

/** Whether `signature` over `bytes` was made with the key that `member` is. False, never a throw, on malformed input. */
export const verifySignature = (member: MemberId, bytes: Uint8Array, signature: Uint8Array): boolean => {
  if (verdicts === null) return isGenuine(member, bytes, signature)
  const kept = verdicts.get(keyOf(signature))
  if (kept?.member === member && Buffer.compare(kept.bytes, bytes) === 0) return kept.genuine
  const genuine = isGenuine(member, bytes, signature)
  keepVerdict(signature, { member, bytes: bytes.slice(), genuine })
  return genuine
}

const keyOf = (signature: Uint8Array): string => Buffer.from(signature).toString('latin1')

const keepVerdict = (signature: Uint8Array, verdict: Verdict): void => {
  if (verdicts === null) return
  const key = keyOf(signature)
  if (verdicts.size >= verdictsMax && !verdicts.has(key)) {
    const [oldest] = verdicts.keys()
    if (oldest !== undefined) verdicts.delete(oldest)
  }
  verdicts.set(key, verdict)
}

const isGenuine = (member: MemberId, bytes: Uint8Array, signature: Uint8Array): boolean => {
  try {
    return signature.length === 64 && verify(null, bytes, keyObjectOf(member), signature)
  } catch {
    return false
  }
}

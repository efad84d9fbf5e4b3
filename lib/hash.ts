// Hashes: SHA-256 for identity, and a 32-bit mix for rendezvous ranking. Both are pure functions of their bytes, which
// is why `node:crypto` is allowed in this file and in signature.ts although the rest of lib imports nothing.

import { hash as digestOf } from 'node:crypto'

/** SHA-256 as 64 lower-case hex characters. Strings are hashed as UTF-8. */
export const sha256Hex = (data: string | Uint8Array): string => digestOf('sha256', data, 'hex')

const SHA256_BYTES = 32

/** SHA-256 as 32 bytes. A text of one character a byte takes a third of the time that a buffer takes. */
export const sha256 = (data: string | Uint8Array): Uint8Array => {
  const text = digestOf('sha256', data, 'binary')
  const bytes = new Uint8Array(SHA256_BYTES)
  for (let at = 0; at < SHA256_BYTES; at += 1) bytes[at] = text.charCodeAt(at)
  return bytes
}

/** The first 32 bits of SHA-256, the lowest byte first: a checksum. */
export const sha256Word = (data: Uint8Array): number => {
  const text = digestOf('sha256', data, 'binary')
  const low = text.charCodeAt(0) | (text.charCodeAt(1) << 8)
  return (low | (text.charCodeAt(2) << 16) | (text.charCodeAt(3) << 24)) >>> 0
}

/**
 * A 32-bit hash of a string: FNV-1a over UTF-16 code units, then murmur3's finalizer, since FNV alone leaves the high
 * bits of short keys poorly mixed. Not for identity and not against adversaries; for ranking.
 */
export const hash32 = (text: string): number => {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  return mix32(hash)
}

/** Murmur3's 32-bit finalizer (Appleby, MurmurHash3, fmix32): every input bit changes every output bit half the time. */
export const mix32 = (value: number): number => {
  let hash = value >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

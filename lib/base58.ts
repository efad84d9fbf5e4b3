// Base58 (bitcoin alphabet), which libp2p peer ids are written in. Only what reading a 38-byte identity needs; it is
// here because crdt verifies signatures by member id and must not import libp2p.

import { TuttiError } from './errors.ts'

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** The bytes that `text` encodes. @throws TuttiError `invalid` on a character outside the alphabet. */
export const decodeBase58 = (text: string): Uint8Array => {
  let value = 0n
  let zeros = 0
  let leading = true
  for (const character of text) {
    const digit = ALPHABET.indexOf(character)
    if (digit < 0) throw new TuttiError('invalid', `'${character}' is not a base58 character`)
    if (leading && digit === 0) zeros += 1
    else leading = false
    value = value * 58n + BigInt(digit)
  }
  const bytes: number[] = []
  for (; value > 0n; value >>= 8n) bytes.unshift(Number(value & 0xffn))
  return Uint8Array.from([...Array.from({ length: zeros }, () => 0), ...bytes])
}

/** `bytes` in base58. */
export const encodeBase58 = (bytes: Uint8Array): string => {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  let text = ''
  for (; value > 0n; value /= 58n) text = (ALPHABET[Number(value % 58n)] ?? '') + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = ALPHABET[0] + text
  }
  return text
}
